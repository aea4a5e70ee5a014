package dynamics

import (
	"fmt"
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// mean is a running mean with its standard error.
type mean struct {
	n                 int
	sum, mean, spread float64 // spread is the sum of squared deviations from the mean
}

func (s *mean) add(v float64) {
	s.n++
	s.sum += v
	d := v - s.mean
	s.mean = s.sum / float64(s.n)
	s.spread += d * (v - s.mean)
}

// row is the mean as a figure; of one item there is no standard error.
func (s *mean) row(set, measure string) Row {
	r := Row{Set: set, Measure: measure, Value: Value(s.mean), StdErr: Value(math.NaN()), N: s.n}
	if s.n > 1 {
		r.StdErr = Value(math.Sqrt(s.spread / float64(s.n-1) / float64(s.n)))
	}
	return r
}

// figure is a row of a whole set, without a standard error.
func figure(set, site, measure string, v float64, n int) Row {
	return Row{Set: set, Site: site, Measure: measure, Value: Value(v), StdErr: Value(math.NaN()), N: n}
}

// quantiles of local complexity that are reported.
var quantiles = []float64{0.05, 0.25, 0.5, 0.75, 0.95}

// quantile of sorted values, between two of them linearly, as numpy has it.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	lo := int(at)
	if lo+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[lo] + (at-float64(lo))*(sorted[lo+1]-sorted[lo])
}

// taker is a sink that takes columns and keeps no file.
type taker func(cols []result.Column) error

// Write takes the columns of a batch; Commit and Abort do nothing.
func (t taker) Write(cols []result.Column) error { return t(cols) }
func (taker) Commit(any) error                   { return nil }
func (taker) Abort() error                       { return nil }

// scores takes in what logits and labels say.
type scores struct {
	accuracy, crossEntropy, mse, margin, fragile mean
}

func (s *scores) write(cols []result.Column) error {
	by := make(map[string]result.Column, len(cols))
	for _, c := range cols {
		by[c.Name] = c
	}
	if c, ok := by["fragile"]; ok {
		for i, v := range c.Values.([]int64) {
			if !c.Null[i] {
				s.fragile.add(float64(v))
			}
		}
	}
	label, logits := by["label"], by["logits"]
	classes := logits.Width
	if classes < 2 {
		return nil
	}
	z := make([]float64, classes)
	for i, l := range label.Values.([]int64) {
		if label.Null[i] || logits.Null[i] {
			continue
		}
		if l >= int64(classes) {
			return fmt.Errorf("item %q has label %d, and the network %d outputs", by["id"].Values.([]string)[i], l, classes)
		}
		switch v := logits.Values.(type) {
		case []float32:
			for k := range z {
				z[k] = float64(v[i*classes+k])
			}
		case []float64:
			copy(z, v[i*classes:])
		}
		s.score(z, int(l))
	}
	return nil
}

// score takes in the logits of one item.
func (s *scores) score(z []float64, label int) {
	most, other := math.Inf(-1), math.Inf(-1)
	class, squares := 0, 0.0
	for k, v := range z {
		if v > most {
			class, most = k, v
		}
		if k != label {
			other = max(other, v)
		}
		miss := v - hit(k == label)
		squares += miss * miss
	}
	sum := 0.0
	for _, v := range z {
		sum += math.Exp(v - most)
	}
	s.accuracy.add(hit(class == label))
	s.crossEntropy.add(most + math.Log(sum) - z[label])
	s.mse.add(squares / float64(len(z)))
	s.margin.add(z[label] - other)
}

func (s *scores) rows(set string) (rows []Row) {
	for _, f := range []struct {
		name string
		*mean
	}{{"accuracy", &s.accuracy}, {"cross_entropy", &s.crossEntropy}, {"mse", &s.mse}, {"margin", &s.margin}, {"fragile", &s.fragile}} {
		if f.n > 0 {
			rows = append(rows, f.row(set, f.name))
		}
	}
	return rows
}

// crossings takes in the counts of local complexity.
type crossings struct {
	radii  []float64
	sites  []string
	values [][]float64 // for each radius, those of each site, then of all together; of every item
}

func newCrossings(radii []float64, sites []site.Site) *crossings {
	c := &crossings{radii: radii}
	for i := range sites {
		c.sites = append(c.sites, sites[i].Name)
	}
	c.values = make([][]float64, len(radii)*(len(sites)+1))
	return c
}

func (c *crossings) write(cols []result.Column) error {
	count := cols[slices.IndexFunc(cols, func(c result.Column) bool { return c.Name == "count" })]
	all, sites := count.Values.([]int64), len(c.sites)
	for i := range len(all) / count.Width {
		if count.Null[i] {
			continue
		}
		row := all[i*count.Width : (i+1)*count.Width]
		for r := range c.radii {
			total := int64(0)
			for s, n := range row[r*sites : (r+1)*sites] {
				total += n
				c.add(r*(sites+1)+s, n)
			}
			c.add(r*(sites+1)+sites, total)
		}
	}
	return nil
}

func (c *crossings) add(at int, n int64) { c.values[at] = append(c.values[at], float64(n)) }

// rows are the figures: all sites together first.
func (c *crossings) rows(set string) (rows []Row) {
	for r, radius := range c.radii {
		of := func(s int, site string) {
			values := c.values[r*(len(c.sites)+1)+s]
			if len(values) == 0 {
				return
			}
			var m mean
			for _, v := range values {
				m.add(v)
			}
			slices.Sort(values)
			first := m.row(set, "complexity")
			first.Site, first.Radius = site, radius
			rows = append(rows, first)
			for _, q := range quantiles {
				f := figure(set, site, fmt.Sprintf("complexity_q%02.0f", 100*q), quantile(values, q), m.n)
				f.Radius = radius
				rows = append(rows, f)
			}
		}
		of(len(c.sites), "")
		for s, site := range c.sites {
			of(s, site)
		}
	}
	return rows
}
