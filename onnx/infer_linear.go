package onnx

import (
	"fmt"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

func gemm(c call) ([]Fact, error) {
	a, b := c.at(0).Shape, c.at(1).Shape
	f := Fact{DType: c.at(0).DType}
	if a == nil || b == nil {
		return one(f)
	}
	if len(a) != 2 || len(b) != 2 {
		return nil, fmt.Errorf("Gemm takes matrices, got %v and %v", a, b)
	}
	ta, tb := c.n.Int("transA", 0) != 0, c.n.Int("transB", 0) != 0
	m, k := a[0], a[1]
	if ta {
		m, k = k, m
	}
	l, n := b[0], b[1]
	if tb {
		l, n = n, l
	}
	if k >= 0 && l >= 0 && k != l {
		return nil, fmt.Errorf("matrices %v and %v do not fit", a, b)
	}
	f.Shape = []int64{m, n}
	if s, err := broadcast(f.Shape, c.at(2).Shape); c.at(2).Shape != nil && c.opset >= 7 && (err != nil ||
		len(s) != 2 || m >= 0 && s[0] > m || n >= 0 && s[1] > n) {
		return nil, fmt.Errorf("the bias %v does not fit a product of shape %v", c.at(2).Shape, f.Shape)
	}
	return one(f)
}

func matMul(c call) ([]Fact, error) {
	a, b := c.at(0).Shape, c.at(1).Shape
	f := Fact{DType: c.at(0).DType}
	if c.n.Op == "MatMulInteger" {
		f.DType = tensor.Int32
	}
	if a == nil || b == nil {
		return one(f)
	}
	if len(a) == 0 || len(b) == 0 {
		return nil, fmt.Errorf("MatMul takes no scalars, got %v and %v", a, b)
	}
	va, vb := len(a) == 1, len(b) == 1
	if va {
		a = []int64{1, a[0]}
	}
	if vb {
		b = []int64{b[0], 1}
	}
	if k, l := a[len(a)-1], b[len(b)-2]; k >= 0 && l >= 0 && k != l {
		return nil, fmt.Errorf("shapes %v and %v do not fit", c.at(0).Shape, c.at(1).Shape)
	}
	lead, err := broadcast(a[:len(a)-2], b[:len(b)-2])
	if err != nil {
		return nil, err
	}
	f.Shape = append([]int64{}, lead...)
	if !va {
		f.Shape = append(f.Shape, a[len(a)-2])
	}
	if !vb {
		f.Shape = append(f.Shape, b[len(b)-1])
	}
	return one(f)
}

// einsum follows equations without an ellipsis.
func einsum(c call) ([]Fact, error) {
	f := Fact{DType: c.at(0).DType}
	eq := strings.ReplaceAll(c.n.Str("equation", ""), " ", "")
	terms, out, explicit := strings.Cut(eq, "->")
	in := strings.Split(terms, ",")
	if eq == "" || strings.Contains(eq, ".") || len(in) != len(c.in) {
		return one(f)
	}
	dims := map[byte]int64{}
	for i, labels := range in {
		s := c.in[i].Shape
		if s == nil {
			return one(f)
		}
		if len(s) != len(labels) {
			return nil, fmt.Errorf("equation %s and input %d of shape %v", quoted(eq), i, s)
		}
		for j, d := range s {
			switch was, seen := dims[labels[j]]; {
			case !seen || was == -1 || was == 1:
				dims[labels[j]] = d
			case d != -1 && d != 1 && d != was:
				return nil, fmt.Errorf("equation %s and shapes %v", quoted(eq), c.shapes())
			}
		}
	}
	if !explicit { // the labels that appear once, in alphabetical order
		var once []byte
		for label := range dims {
			if strings.Count(terms, string(rune(label))) == 1 {
				once = append(once, label)
			}
		}
		slices.Sort(once)
		out = string(once)
	}
	f.Shape = []int64{}
	for i := range len(out) {
		d, ok := dims[out[i]]
		if !ok {
			return nil, fmt.Errorf("equation %s", quoted(eq))
		}
		f.Shape = append(f.Shape, d)
	}
	return one(f)
}
