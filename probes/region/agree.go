package region

import (
	"context"
	"errors"
	"fmt"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// Reference is what positions and regions are compared with: the channel code of a
// region. For each site, channel and knot it says whether the bit is set at half or more
// of the positions inside.
//
// The agreement of a position with it is the share of the position's bits, one for each
// channel and knot, that are as the reference has them. That of a region is the share of
// the bits inside a site, and of all sites the mean. A region with one code at all
// positions agrees with itself by 1.
type Reference struct {
	Place
	// Code is the whole code of the region's picture.
	Code []byte
	// Left names the sites of which no position lies inside the region by the rule:
	// nothing is compared there.
	Left []string

	from  Source
	sites []referred // all sites with positions; those that are left out have no code
}

// referred is a site, and the code that it has where every position is as the reference.
type referred struct {
	rowSite
	all  *Selection
	code []byte
}

// Agree compares with a region what is written from now on: each row gets the
// "agreement" of its region, null where that has no position of a site that is compared.
// The region's picture is run here, by the prober whose rows will come. ds is the
// dataset that it was found in.
func (r *Rows) Agree(ctx context.Context, p *probes.Prober, ds dataset.Dataset, with *Place) (*Reference, error) {
	g, err := r.where(with.Item)
	if err != nil {
		return nil, fmt.Errorf("the reference %q: %w", with.ID, err)
	}
	one, err := dataset.Range(ds, with.Item, with.Item+1)
	if err != nil {
		return nil, fmt.Errorf("the reference %q: %w", with.ID, err)
	}
	var code single
	if _, err := p.Write(ctx, one, &code, probes.RunOptions{}, probes.Code{}); err != nil {
		return nil, fmt.Errorf("running the picture of the reference %q: %w", with.ID, err)
	}
	if code.fault != "" {
		return nil, fmt.Errorf("running the picture of the reference %q: %s", with.ID, code.fault)
	}
	if len(code.bits) != r.width {
		return nil, fmt.Errorf("the reference %q has a code of %d bytes, the rows %d", with.ID, len(code.bits), r.width)
	}
	ref, err := r.refer(with, g, code.bits)
	if err != nil {
		return nil, fmt.Errorf("the reference: %w", err)
	}
	r.agree = ref
	return ref, nil
}

// refer makes a reference of the code of a region's picture.
func (r *Rows) refer(of *Place, g picture.Geometry, code []byte) (*Reference, error) {
	cx, cy, err := new(entry).see(g, of.Region, r.tiled)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", of.ID, err)
	}
	m, err := of.Region.project(g, cx, cy)
	if err != nil {
		return nil, err
	}
	ref := &Reference{Place: *of, Code: code, from: r.from}
	for _, s := range r.sites {
		inside, err := s.Units(m, r.o.Rule)
		if err != nil {
			return nil, err
		}
		at := referred{rowSite: s, all: s.Select(s.everywhere())}
		if inside.Units > 0 {
			at.code = at.all.spread(inside.ChannelCode(nil, code[s.offset:s.offset+s.bytes], 0.5))
		} else {
			ref.Left = append(ref.Left, s.Site)
		}
		ref.sites = append(ref.sites, at)
	}
	if len(ref.Left) == len(ref.sites) {
		return nil, fmt.Errorf("no unit of any site lies inside the region %q by the rule %q; the rule %q takes more", of.ID, r.o.Rule, Any)
	}
	return ref, nil
}

// single keeps the code of one item.
type single struct {
	bits  []byte
	fault string
}

func (s *single) Write(cols []result.Column) error {
	for _, c := range cols {
		switch v := c.Values.(type) {
		case []byte:
			if c.Name == "code" {
				s.bits = append([]byte(nil), v...)
			}
		case []string:
			if c.Name == "error" && len(v) == 1 {
				s.fault = v[0]
			}
		}
	}
	return nil
}

func (s *single) Commit(any) error { return errors.New("a code of one item is no result") }
func (s *single) Abort() error     { return nil }

// everywhere is all positions.
func (l *Layout) everywhere() *Mask {
	m := newMask(l.H, l.W)
	for y := range l.H {
		for x := range l.W {
			m.rows[y].set(x)
		}
	}
	return m
}

// spread is the code of the site in which every position inside has the bits of a
// channel code.
func (s *Selection) spread(channels []byte) []byte {
	l, out := s.layout, make([]byte, len(s.Bits))
	s.runs(func(r stretch) {
		for p := range l.planes {
			for k := range r.length {
				if probes.Bit(channels, p*s.Channels+r.channel+k) {
					setBits(out, p*l.units+r.unit+k, 1)
				}
			}
		}
	})
	return out
}

// region is the agreement of a region, which selects units of each site, in a picture
// with the whole code; some is false where it selects none.
func (r *Reference) region(selected []*Selection, code []byte) (share float64, some bool) {
	n := 0
	for i, s := range r.sites {
		size := selected[i].Size()
		if s.code == nil || size == 0 {
			continue
		}
		share += 1 - float64(selected[i].Differ(code[s.offset:s.offset+s.bytes], s.code))/float64(size)
		n++
	}
	return share / float64(max(n, 1)), n > 0
}

// Regions are those of item i, a picture of a size: those that rows are of.
func (r *Reference) Regions(i int, size picture.Size) []Region {
	if !r.from.Has(i) {
		return nil
	}
	rs, _ := r.from.Regions(i, size) // what has none is a row that says why
	return rs
}

// Positions calls use with each site that is compared and the agreement of its
// positions, row by row, in a picture with the whole code.
func (r *Reference) Positions(code []byte, use func(l *Layout, agreement []float64)) {
	for _, s := range r.sites {
		if s.code == nil {
			continue
		}
		differ := s.all.differing(code[s.offset:s.offset+s.bytes], s.code)
		agreement := make([]float64, len(differ))
		for i, n := range differ {
			agreement[i] = 1 - float64(n)/float64(s.planes*s.Channels)
		}
		use(s.Layout, agreement)
	}
}

// differing is, row by row, the number of bits of each position in which two codes of
// the site differ.
func (s *Selection) differing(a, b []byte) []int {
	l := s.layout
	counts := make([]int, l.H*l.W)
	s.runs(func(r stretch) {
		at := &counts[r.y*l.W+r.x]
		for p := range l.planes {
			for u := p*l.units + r.unit; u < p*l.units+r.unit+r.length; u++ {
				if probes.Bit(a, u) != probes.Bit(b, u) {
					*at++
				}
			}
		}
	})
	return counts
}
