package onnx

import (
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// typeWords are the element types as Cast named them before version 6.
var typeWords = map[string]tensor.DType{"FLOAT": tensor.Float32, "UINT8": tensor.Uint8, "INT8": tensor.Int8, "UINT16": tensor.Uint16,
	"INT16": tensor.Int16, "INT32": tensor.Int32, "INT64": tensor.Int64, "STRING": tensor.String, "BOOL": tensor.Bool,
	"FLOAT16": tensor.Float16, "DOUBLE": tensor.Float64, "UINT32": tensor.Uint32, "UINT64": tensor.Uint64,
	"COMPLEX64": tensor.Complex64, "COMPLEX128": tensor.Complex128, "BFLOAT16": tensor.BFloat16}

// CastTo is the type that a Cast gives, whatever version of it the node is.
func (n *Node) CastTo() tensor.DType {
	if word := n.Str("to", ""); word != "" { // before version 6
		return typeWords[word]
	}
	return tensor.DType(n.Int("to", 0))
}

func cast(c call) ([]Fact, error) {
	return one(castTo(c.at(0), c.n.CastTo()))
}

// Cast is what is known of f as another type: its content as that type holds it.
func (f Fact) Cast(to tensor.DType) Fact { return castTo(f, to) }

func castLike(c call) ([]Fact, error) { return one(castTo(c.at(0), c.at(1).DType)) }

func castTo(f Fact, to tensor.DType) Fact {
	out := Fact{DType: to, Shape: f.Shape, Const: slices.Clone(f.Const)}
	for i, v := range out.Const {
		if out.Const[i] = round(to, v); to == tensor.Bool && v != 0 {
			out.Const[i] = 1
		}
	}
	return out
}
