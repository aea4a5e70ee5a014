package encoding

import (
	"fmt"

	"github.com/onnxprobe/onnxprobe/probes/result"
)

// Accuracy says how often predictions equal labels.
type Accuracy struct {
	// Items are those with a label and a prediction.
	Items    int     `json:"items"`
	Right    int     `json:"right"`
	Accuracy float64 `json:"accuracy"`
}

// networkAccuracy is how often the network's own prediction is right; nil when no item
// has both a label and a prediction. Labels must number the classes as the network does.
func networkAccuracy(c *Codes) *Accuracy {
	var a Accuracy
	a.Items, a.Right, a.Accuracy = c.right(func(row int) (Label, bool) {
		label, _ := c.Label(row)
		n, ok := c.Predicted(row)
		if n == label.Number { // the network has no names
			return label, ok
		}
		return numbered(n), ok && label.Number != NoNumber
	})
	if a.Items == 0 {
		return nil
	}
	return &a
}

// right counts the items with a label and a prediction, and of them those where these are the
// same.
func (c *Codes) right(predicted func(row int) (Label, bool)) (items, right int, share float64) {
	for row := range c.n {
		label, ok := c.Label(row)
		if p, known := predicted(row); ok && known {
			if items++; p == label {
				right++
			}
		}
	}
	return items, right, ratio(right, items)
}

// largest is the place of the largest of a row's numbers; NoNumber of a row without them.
func largest(c *result.Column, row int) (int64, error) {
	if c.Width == 0 || c.Null != nil && c.Null[row] {
		return NoNumber, nil
	}
	lo, hi := row*c.Width, (row+1)*c.Width
	switch v := c.Values.(type) {
	case []float64:
		return placeOf(v[lo:hi]), nil
	case []float32:
		return placeOf(v[lo:hi]), nil
	case []int64:
		return placeOf(v[lo:hi]), nil
	}
	return NoNumber, fmt.Errorf("column %s holds %T; want lists of numbers", c.Name, c.Values)
}

// placeOf is the place of the largest of numbers, the first of several; NoNumber where there
// is no choice between classes: of fewer than two numbers, or of NaN.
func placeOf[T int64 | float32 | float64](values []T) int64 {
	at := 0
	for i, v := range values {
		if v != v {
			return NoNumber
		}
		if v > values[at] {
			at = i
		}
	}
	if len(values) < 2 {
		return NoNumber
	}
	return int64(at)
}
