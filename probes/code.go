package probes

import (
	"context"
	"slices"

	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// Code is an item's packed code, "code": one bit a unit and knot, 1 above the knot, site
// after site in the order that the graph runs them.
type Code struct {
	// Sites are globs of the sites whose codes are written, each as a part of its own;
	// nil writes the whole code.
	Sites []string
	// BySite makes each site's code a part of its own.
	BySite bool
	// Below adds the bits of "below the knot" to the graph, for whoever runs that: a
	// value exactly on its knot is neither above nor below.
	Below bool
}

// About is the probe's row in lists.
func (Code) About() About {
	return About{Name: "code", Doc: "one bit a unit and knot: is the value before the activation above the knot"}
}

// Attach asks for the site's code.
func (c Code) Attach(t *Tap) error {
	if t.Code(); c.Below {
		t.Below()
	}
	return nil
}

// Start chooses the sites.
func (c Code) Start(_ context.Context, r *Prober) (Maker, error) {
	m := &codeMaker{Code: c, width: r.Plan.CodeBytes()}
	switch {
	case c.Sites != nil:
		chosen, err := site.Choose(r.Plan.Sites, c.Sites)
		if err != nil {
			return nil, err
		}
		m.width = 0
		offset := 0
		for i := range r.Plan.Sites {
			s := &r.Plan.Sites[i]
			if slices.ContainsFunc(chosen, func(c site.Site) bool { return c.Name == s.Name }) {
				m.parts, m.from = append(m.parts, result.Part{Name: s.Name, Width: s.Bytes()}), append(m.from, offset)
				m.width += s.Bytes()
			}
			offset += s.Bytes()
		}
	case c.BySite:
		m.parts = r.Plan.parts()
	}
	return m, nil
}

type codeMaker struct {
	Code
	parts []result.Part
	from  []int // where each of the parts begins in the whole code, nil for all of it
	width int
}

// Columns is the column "code".
func (m *codeMaker) Columns(b *Batch) ([]result.Column, error) {
	c := result.Column{Name: "code", Values: b.Codes(), Width: m.width, Parts: m.parts, Null: b.Failed()}
	if m.from != nil {
		all, codes := b.CodeBytes(), b.Codes()
		chosen := make([]byte, 0, b.Len()*m.width)
		for i := range b.Len() {
			for k, p := range m.parts {
				chosen = append(chosen, codes[i*all+m.from[k]:][:p.Width]...)
			}
		}
		c.Values = chosen
	}
	return []result.Column{c}, nil
}
