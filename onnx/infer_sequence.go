package onnx

import (
	"fmt"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// recurrent is of RNN, GRU and LSTM: all hidden states, the last one, and the last cell.
func recurrent(c call) ([]Fact, error) {
	d, x := c.at(0).DType, c.at(0).Shape
	out := []Fact{{DType: d}, {DType: d}, {DType: d}}
	if x == nil {
		return out, nil
	}
	if len(x) != 3 {
		return nil, fmt.Errorf("an input of shape %v, want a sequence, a batch and features", x)
	}
	directions, hidden := int64(1), c.n.Int("hidden_size", -1)
	if c.n.Str("direction", "forward") == "bidirectional" {
		directions = 2
	}
	if r := c.at(2).Shape; hidden < 0 && len(r) == 3 && domain(c.n.Domain) == "" {
		hidden = r[2]
	}
	steps, batch := x[0], x[1]
	out[0].Shape, out[1].Shape = []int64{steps, directions, batch, hidden}, []int64{directions, batch, hidden}
	if c.n.Int("layout", 0) == 1 {
		steps, batch = batch, steps
		out[0].Shape, out[1].Shape = []int64{batch, steps, directions, hidden}, []int64{batch, directions, hidden}
	}
	out[2].Shape = out[1].Shape
	return out, nil
}

// dim is dimension i of a shape, -1 where it is not known.
func dim(shape []int64, i int) int64 {
	if i < len(shape) {
		return shape[i]
	}
	return -1
}

// Sizes of which one can be unknown.
func sumOf(a, b int64) int64 {
	if a < 0 || b < 0 {
		return -1
	}
	return plus(a, b)
}

func productOf(a, b int64) int64 {
	if a < 0 || b < 0 {
		return -1
	}
	return times(a, b)
}

func quotient(a, b int64) int64 {
	if a < 0 || b < 1 {
		return -1
	}
	return a / b
}

// attention is ONNX's own: the result, the keys and values to keep, and the scores.
func attention(c call) ([]Fact, error) {
	q, k, v := c.at(0).Shape, c.at(1).Shape, c.at(2).Shape
	out := []Fact{{DType: c.at(0).DType}, {DType: c.at(1).DType}, {DType: c.at(2).DType}, {DType: c.at(0).DType}}
	if q == nil || k == nil || v == nil {
		return out, nil
	}
	// Rank 3 has the heads side by side in the last axis.
	split := func(s []int64, heads string) ([]int64, error) {
		if len(s) == 4 {
			return s, nil
		}
		if n := c.n.Int(heads, 0); len(s) == 3 && n > 0 {
			return []int64{s[0], n, s[1], quotient(s[2], n)}, nil
		}
		return nil, fmt.Errorf("an input of shape %v with %s %d", s, heads, c.n.Int(heads, 0))
	}
	q4, err := split(q, "q_num_heads")
	if err != nil {
		return nil, err
	}
	k4, err := split(k, "kv_num_heads")
	if err != nil {
		return nil, err
	}
	v4, err := split(v, "kv_num_heads")
	if err != nil {
		return nil, err
	}
	total := k4[2]
	if c.n.Input(4) != "" {
		total = sumOf(total, dim(c.at(4).Shape, 2))
	}
	if len(q) == 4 {
		out[0].Shape = []int64{q4[0], q4[1], q4[2], v4[3]}
	} else {
		out[0].Shape = []int64{q4[0], q4[2], productOf(q4[1], v4[3])}
	}
	out[1].Shape = []int64{k4[0], k4[1], total, k4[3]}
	out[2].Shape = []int64{v4[0], v4[1], total, v4[3]}
	out[3].Shape = []int64{q4[0], q4[1], q4[2], total}
	return out, nil
}

// packedAttention is com.microsoft's attention that projects its input first, by a
// weight of queries, keys and values side by side.
func packedAttention(weight, past, dtype int) func(call) ([]Fact, error) {
	return func(c call) ([]Fact, error) {
		x, w := c.at(0).Shape, c.at(weight).Shape
		out := []Fact{{DType: c.at(dtype).DType}, {DType: c.at(dtype).DType}}
		if x == nil {
			return out, nil
		}
		if len(x) < 2 || w != nil && len(w) != 2 {
			return nil, fmt.Errorf("an input of shape %v and a weight of %v", x, w)
		}
		width := quotient(dim(w, 1), 3)
		if sizes := c.n.Ints("qkv_hidden_sizes"); len(sizes) == 3 {
			width = sizes[2]
		}
		out[0].Shape = append(slices.Clone(x[:len(x)-1]), width)
		if heads := c.n.Int("num_heads", -1); len(x) == 3 && c.n.Int("past_present_share_buffer", 0) == 0 {
			steps := x[1]
			if c.n.Input(past) != "" {
				steps = sumOf(steps, dim(c.at(past).Shape, 3))
			}
			out[1].Shape = []int64{2, x[0], heads, steps, quotient(width, heads)}
		}
		return out, nil
	}
}

// multiHead is com.microsoft's attention of queries, keys and values, together or apart.
func multiHead(c call) ([]Fact, error) {
	q, k, v := c.at(0).Shape, c.at(1).Shape, c.at(2).Shape
	out := []Fact{{DType: c.at(0).DType}, {DType: c.at(0).DType}, {DType: c.at(0).DType}}
	switch {
	case len(q) == 5: // [batch, steps, heads, 3, size]
		out[0].Shape = []int64{q[0], q[1], productOf(q[2], q[4])}
	case len(q) == 3 && len(v) == 3:
		out[0].Shape = []int64{q[0], q[1], v[2]}
	case len(q) == 3 && len(v) == 4: // [batch, heads, steps, size]
		out[0].Shape = []int64{q[0], q[1], productOf(v[1], v[3])}
	case len(q) == 3 && len(k) == 5 && c.n.Input(2) == "": // [batch, steps, heads, 2, size]
		out[0].Shape = []int64{q[0], q[1], productOf(k[2], k[4])}
	}
	return out, nil
}

// groupQuery is attention whose heads share keys and values. Without keys the queries
// are followed by both.
func groupQuery(c call) ([]Fact, error) {
	q := c.at(0).Shape
	heads, shared := c.n.Int("num_heads", -1), c.n.Int("kv_num_heads", -1)
	out := []Fact{{DType: c.at(0).DType}, {DType: c.at(3).DType}, {DType: c.at(4).DType}}
	for i := range out {
		if out[i].DType == tensor.Undefined {
			out[i].DType = c.at(0).DType
		}
	}
	if len(q) != 3 {
		return out, nil
	}
	width := q[2]
	if c.n.Input(1) == "" {
		width = productOf(heads, quotient(width, sumOf(heads, productOf(2, shared))))
	}
	out[0].Shape = []int64{q[0], q[1], width}
	for i := range out[1:] {
		out[1+i].Shape = []int64{q[0], shared, -1, quotient(width, heads)}
	}
	return out, nil
}
