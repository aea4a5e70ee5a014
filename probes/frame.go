package probes

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"math/rand/v2"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// Frame is P orthonormal directions in input space, shared by all items of a
// run: float32 [P, d], d the product of the sample's shape.
type Frame struct {
	Directions int
	Dim        int
	Data       []float32
	// File is where the frame was read from, for manifests; "" for one that was drawn.
	File string
}

// NewFrame draws a random frame: the Q-factor, with positive diagonal R, of
// Gaussian directions, so that it is uniform among all frames. The same seed
// gives the same frame on every machine.
func NewFrame(directions, dim int, seed uint64) (*Frame, error) {
	if directions < 1 || directions > dim {
		return nil, fmt.Errorf("a frame of %d orthogonal directions in an input space of %d dimensions: between 1 and %d can be had", directions, dim, dim)
	}
	r := rand.New(rand.NewPCG(seed, 0x6672616d65))
	q := make([][]float64, directions)
	for i := range q {
		q[i] = make([]float64, dim)
		for j := range q[i] {
			q[i][j] = r.NormFloat64()
		}
	}
	if !orthonormal(q) {
		return nil, fmt.Errorf("a frame of %d directions in %d dimensions: the random directions are dependent; take another seed", directions, dim)
	}
	return newFrame(q), nil
}

// Within is the frame with its directions restricted to the elements of the input that
// are inside, and made orthonormal again in their order: vertices then move nothing else.
func (f *Frame) Within(inside []bool) (*Frame, error) {
	if len(inside) != f.Dim {
		return nil, fmt.Errorf("restricting a frame over %d elements to some of %d", f.Dim, len(inside))
	}
	n := 0
	for _, in := range inside {
		if in {
			n++
		}
	}
	if n < f.Directions {
		return nil, fmt.Errorf("%d elements of the input lie inside, and the frame has %d directions; take fewer directions", n, f.Directions)
	}
	q := make([][]float64, f.Directions)
	for i := range q {
		q[i] = make([]float64, f.Dim)
		for j, in := range inside {
			if in {
				q[i][j] = float64(f.Data[i*f.Dim+j])
			}
		}
	}
	if !orthonormal(q) {
		return nil, fmt.Errorf("the frame's %d directions are dependent on the %d elements that lie inside; take fewer directions or another seed", f.Directions, n)
	}
	return newFrame(q), nil
}

// orthonormal makes vectors orthonormal in their order; false says that they are
// dependent.
func orthonormal(q [][]float64) bool {
	for i := range q {
		before := 0.0
		for _, v := range q[i] {
			before += v * v
		}
		// Gram-Schmidt, twice: once leaves an error that grows with directions.
		for range 2 {
			for _, p := range q[:i] {
				dot := 0.0
				for j, v := range p {
					dot += v * q[i][j]
				}
				for j, v := range p {
					q[i][j] -= dot * v
				}
			}
		}
		norm := 0.0
		for _, v := range q[i] {
			norm += v * v
		}
		if norm = math.Sqrt(norm); !(norm > 1e-9*math.Sqrt(before)) {
			return false
		}
		for j := range q[i] {
			q[i][j] /= norm
		}
	}
	return true
}

func newFrame(q [][]float64) *Frame {
	f := &Frame{Directions: len(q), Dim: len(q[0]), Data: make([]float32, 0, len(q)*len(q[0]))}
	for _, row := range q {
		for _, v := range row {
			f.Data = append(f.Data, float32(v))
		}
	}
	return f
}

// ReadFrame is FrameOf the array in a .npy file.
func ReadFrame(path string) (*Frame, error) {
	t, err := tensor.ReadNpyFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the frame %q: %w", path, err)
	}
	f, err := FrameOf(t)
	if err != nil {
		return nil, fmt.Errorf("the frame %q: %w", path, err)
	}
	f.File = path
	return f, nil
}

// WriteNpy writes the frame as a .npy file.
func (f *Frame) WriteNpy(w io.Writer) error { return tensor.WriteNpy(w, f.Tensor()) }

// FrameOf takes directions from an array [P, ...], such as a frame that the
// authors' code drew. The rows must be orthonormal to within float32 rounding.
func FrameOf(t *tensor.Tensor) (*Frame, error) {
	if len(t.Shape) < 2 || t.Shape[0] < 1 || !t.DType.IsFloat() {
		return nil, fmt.Errorf("a frame is an array of floats, directions by input dimensions; this one is %s %v", t.DType, t.Shape)
	}
	f := &Frame{Directions: t.Shape[0], Dim: tensor.Count(t.Shape[1:])}
	if f.Dim < 1 {
		return nil, fmt.Errorf("a frame of shape %v is empty", t.Shape)
	}
	for _, v := range t.Float64s() {
		f.Data = append(f.Data, float32(v))
	}
	for i := range f.Directions {
		for j := range i + 1 {
			dot := 0.0
			for k := range f.Dim {
				dot += float64(f.Data[i*f.Dim+k]) * float64(f.Data[j*f.Dim+k])
			}
			want := 0.0
			if i == j {
				want = 1
			}
			if !(math.Abs(dot-want) < 1e-4) {
				return nil, fmt.Errorf("the frame is not orthonormal: the product of directions %d and %d is %.6g, want %g", i, j, dot, want)
			}
		}
	}
	return f, nil
}

// SHA256 is the hash, in hex, of the directions as little-endian float32.
func (f *Frame) SHA256() string {
	h := sha256.New()
	_ = binary.Write(h, binary.LittleEndian, f.Data) // a hash does not fail
	return hex.EncodeToString(h.Sum(nil))
}

// Tensor is the frame as an array [P, d].
func (f *Frame) Tensor() *tensor.Tensor { return tensor.Of(f.Data, f.Directions, f.Dim) }

// scaled is the directions times radius, rounded once.
func (f *Frame) scaled(radius float64) []float32 {
	v := make([]float32, len(f.Data))
	for k, q := range f.Data {
		v[k] = float32(radius) * q
	}
	return v
}
