package encoding

import (
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/probes/site"
)

// Units says how bits are used over a set of codes.
type Units struct {
	Bits int `json:"bits"`
	// Dead bits are 0 for every item, Saturated ones 1: they tell nothing apart.
	Dead      int `json:"dead"`
	Saturated int `json:"saturated"`
	// Entropy is the mean over the bits of -p log2 p - (1-p) log2 (1-p), p being the
	// share of items for which the bit is 1: 1 when every bit halves the items.
	Entropy float64 `json:"entropy"`
}

// Use counts over all codes of c, padding left out.
func Use(c *Codes, threads int) Units {
	var u Units
	if c.n == 0 {
		return u
	}
	ones, padding := make([]float64, 8*c.width), c.padding()
	c.sumOf(ones, slices.Repeat([]float64{1}, c.n), SearchOptions{Threads: threads}.threads())
	total := 0.0
	for i, n := range ones {
		if padding(i) {
			continue
		}
		u.Bits++
		switch p := n / float64(c.n); p {
		case 0:
			u.Dead++
		case 1:
			u.Saturated++
		default:
			total -= p*math.Log2(p) + (1-p)*math.Log2(1-p)
		}
	}
	if u.Bits > 0 {
		u.Entropy = total / float64(u.Bits)
	}
	return u
}

// padding says of a bit whether it only fills a byte up.
func (c *Codes) padding() func(bit int) bool {
	parts := c.Parts()
	if parts == nil {
		return func(bit int) bool { return bit >= c.Bits }
	}
	fill := make([]bool, 8*c.width)
	for _, p := range parts {
		for i := 8*p.Offset + p.Bits; i < 8*(p.Offset+p.Bytes()); i++ {
			fill[i] = true
		}
	}
	return func(bit int) bool { return fill[bit] }
}

// Part is the code of one site within a code.
type Part struct {
	Site   string
	Offset int // the first byte
	Bits   int
}

// Bytes is the part's length.
func (p Part) Bytes() int { return (p.Bits + 7) / 8 }

// Parts are the sites that the codes are made of, in their order; nil when that is not
// known, or when the codes are sketches, digests or channel codes of regions with a
// manifest of an earlier version, which does not give their channels.
func (c *Codes) Parts() (parts []Part) {
	if c.parts != nil {
		return c.parts
	}
	if c.Origin == nil || c.On != Code && c.On != Channels || c.On == Channels && len(c.regions.boxes) > 0 && !c.Origin.parts {
		return nil
	}
	at := 0
	for i := range c.Origin.Sites {
		s := &c.Origin.Sites[i]
		if c.On == Code && !c.Origin.wrote(s.Name) || c.On == Channels && s.Channels == 0 {
			continue
		}
		p := Part{s.Name, at, s.bits(c.On)}
		if parts = append(parts, p); p.Bits < 0 || p.Bytes() > c.width-at {
			return nil
		}
		at += p.Bytes()
	}
	if at != c.width {
		return nil
	}
	return parts
}

// Part is a new set with the codes of one site.
func (c *Codes) Part(p Part) *Codes { return c.Group(p.Site, []Part{p}) }

// Group is a new set with the codes of some sites one after the other, called name in
// messages. What the network predicted stays with the whole codes.
func (c *Codes) Group(name string, parts []Part) *Codes {
	var of []Part
	width, bits := 0, 0
	for _, p := range parts {
		of = append(of, Part{p.Site, width, p.Bits})
		width, bits = width+p.Bytes(), bits+p.Bits
	}
	q, err := NewCodes(width)
	if err != nil { // no bits at all
		q, _ = NewCodes(1)
	}
	q.Name, q.On, q.Bits, q.parts = c.Name+", "+name, c.On, bits, of
	q.ids, q.paths, q.labels, q.failed = c.ids, c.paths, c.labels, c.failed
	q.grow(c.n)
	code, group := make([]byte, c.width), make([]byte, 0, q.width)
	for i := range c.n {
		c.At(code, i)
		group = group[:0]
		for _, p := range parts {
			group = append(group, code[p.Offset:p.Offset+p.Bytes()]...)
		}
		_ = q.Append(group[:q.width])
	}
	return q
}

// wrote says whether the codes of the site called name are among those that were written.
func (o *Origin) wrote(name string) bool {
	globs := o.Settings.CodeSites
	return globs == nil || slices.ContainsFunc(globs, func(g string) bool { ok, _ := site.Match(g, name); return ok })
}
