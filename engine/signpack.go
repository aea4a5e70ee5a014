package engine

// Domain and SignPack name an operator that is not ONNX's, for backends that read
// values once where standard operators would read them several times:
//
//	codes, nan = SignPack(x, knots)
//
// x is float32 or float64 [N, ...], knots [K] of the same type. codes is uint8
// [N, ceil(K units / 8)]: for each item K planes, one after the other without a gap,
// in the order of numpy.packbits (most significant bit first), with zeros up to the
// last byte. Bit u of a plane is 1 when value u is greater than the knot, or less
// with the attribute below = 1; a NaN is neither.
// nan is float32 [N]: NaN for an item with a NaN among its values, else 0. Either
// output may be left out.
const (
	Domain   = "onnxprobe"
	SignPack = "SignPack"
)

// Packer is a backend that brings the operator SignPack.
type Packer interface {
	Backend
	// Packs says whether sessions with these options run it.
	Packs(Options) bool
}
