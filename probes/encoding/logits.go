package encoding

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/parquet-go/parquet-go"
)

// Accuracy says how often predictions equal labels.
type Accuracy struct {
	// Items are those with a label and a prediction.
	Items    int     `json:"items"`
	Right    int     `json:"right"`
	Accuracy float64 `json:"accuracy"`
}

// NetworkAccuracy is how often the network's own prediction is right; nil when no item
// has both a label and a prediction. Labels must number the classes as the network does.
func NetworkAccuracy(c *Codes) *Accuracy {
	var a Accuracy
	for row := range c.n {
		label, ok := c.Label(row)
		predicted, known := c.Predicted(row)
		if !ok || !known {
			continue
		}
		if a.Items++; label == predicted {
			a.Right++
		}
	}
	if a.Items == 0 {
		return nil
	}
	a.Accuracy = ratio(a.Right, a.Items)
	return &a
}

// largest is the place of the largest of a row's list of numbers; noLabel of a row
// without one.
func (c *column) largest() (int64, error) {
	var a argMax
	for first := true; ; first = false {
		v, err := c.next()
		if err == io.EOF && !first {
			return a.place(), nil
		}
		if err != nil {
			return noLabel, err
		}
		if first != (v.RepetitionLevel() == 0) {
			if first {
				return noLabel, fmt.Errorf("column %s: a row begins within a list", c.name)
			}
			c.back = true
			return a.place(), nil
		}
		switch {
		case v.IsNull():
			a.add(math.NaN())
		case v.Kind() == parquet.Float:
			a.add(float64(v.Float()))
		case v.Kind() == parquet.Double:
			a.add(v.Double())
		default:
			return noLabel, fmt.Errorf("column %s holds %s; want floating-point numbers", c.name, v.Kind())
		}
	}
}

// argMax finds the place of the largest of numbers, the first of several.
type argMax struct {
	n, at int64
	most  float64
	nan   bool
}

func (a *argMax) add(v float64) {
	if a.n == 0 || v > a.most {
		a.at, a.most = a.n, v
	}
	a.n++
	a.nan = a.nan || math.IsNaN(v)
}

// place is noLabel where there is no choice between classes: of fewer than two numbers,
// or of NaN.
func (a *argMax) place() int64 {
	if a.n < 2 || a.nan {
		return noLabel
	}
	return a.at
}

// predicted is the place of the largest of the logits; infinities and NaN are null in
// JSON, and leave none.
func (it *item) predicted() (int64, error) {
	var a argMax
	if len(it.Logits) == 0 || bytes.Contains(it.Logits, []byte("null")) {
		return noLabel, nil
	}
	var all []float64
	if err := json.Unmarshal(it.Logits, &all); err != nil {
		return noLabel, fmt.Errorf("logits that are no list of numbers: %w", err)
	}
	for _, v := range all {
		a.add(v)
	}
	return a.place(), nil
}
