package report

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
)

// found shows what a search found, or the groups of duplicates, and says whether printed
// is one of these.
func (c *collector) found(r *shown, printed any) (known bool) {
	switch x := printed.(type) {
	case *encoding.Matches:
		r.Kind, r.Notes = "search", append(r.Notes, separated(x.String()))
		c.matches(r, x)
	case *encoding.Groups:
		r.Kind, r.Notes = "dedup", append(r.Notes, separated(x.Summary().String())+".")
		c.groups(r, x)
	default:
		return false
	}
	return true
}

func (c *collector) matches(r *shown, m *encoding.Matches) {
	s := sought{alike: alikeBy(m.Base.On, nil)}
	for _, neighbors := range m.Found {
		s.next()
		for place, n := range neighbors {
			s.found(place, float64(n.Distance))
		}
	}
	for _, q := range c.sheet(r, &s) {
		strip := Strip{Title: m.Queries.ID(q), Items: []Item{{Mark: "query", Caption: m.Queries.ID(q), Picture: m.Queries.Picture(q)}}}
		for _, n := range m.Found[q] {
			s.add(&strip, m.Base, m.Base.Picture(int(n.Row)), float64(n.Distance))
		}
		r.Strips = append(r.Strips, strip)
	}
	r.neighbors(&s)
}

// search shows the file of a search.
func search(c *collector, r *shown) error {
	t, err := r.read("query", "rank", "id", "path", "distance")
	if err != nil {
		return err
	}
	base, queries := c.sets(r)
	s := sought{alike: alikeBy(base.On, nil)}
	var starts []int // of queries
	for i := range t.rows {
		if t.number("rank", i) == 1 || i == 0 {
			starts = append(starts, i)
			s.next()
		}
		s.found(i-starts[len(starts)-1], t.number("distance", i))
	}
	for _, q := range c.sheet(r, &s) {
		id := t.text("query", starts[q])
		strip := Strip{Title: id, Items: []Item{{Mark: "query", Caption: id, Picture: encoding.Picture{ID: id}}}}
		for i := starts[q]; i < end(starts, q, t.rows); i++ {
			s.add(&strip, base, t.picture(i), t.number("distance", i))
		}
		r.Strips = append(r.Strips, strip)
	}
	r.locate(base, queries)
	r.neighbors(&s)
	return nil
}

// end is where the part ends that begins at starts[k].
func end(starts []int, k, all int) int { return append(starts, all)[k+1] }

// picture is that of a row, as far as the file of a result says.
func (c *columns) picture(row int) encoding.Picture {
	return encoding.Picture{ID: c.text("id", row), Path: c.text("path", row)}
}

func (r *shown) neighbors(s *sought) {
	r.table("Search", []string{"queries", "neighbors"}, cells(s.n(), s.items))
	groups := filled(binned{"the nearest", s.first}, binned{"the others found", s.rest})
	r.figure("Distances of the neighbors found", fmt.Sprintf("Bits in which a neighbor's %s differs from its query's.", s.alike.code))(
		histogram("neighbors", "Hamming distance (bits)", groups...))
	r.searched(s)
}

func (c *collector) groups(r *shown, g *encoding.Groups) {
	s := sought{grouped: true, alike: alikeBy(g.Codes.On, nil)}
	for _, rows := range g.Members {
		s.next()
		s.sizes = append(s.sizes, float64(len(rows)))
		for place, row := range rows {
			s.found(place, float64(g.Codes.Distance(rows[0], row)))
		}
	}
	for _, k := range c.sheet(r, &s) {
		rows := g.Members[k]
		strip := s.group(k, k, len(rows))
		for _, row := range rows {
			s.add(&strip, g.Codes, g.Codes.Picture(row), float64(g.Codes.Distance(rows[0], row)))
		}
		r.Strips = append(r.Strips, farthestFirst(strip))
	}
	r.nearest(g)
	sum := g.Summary()
	r.duplicates(&s, sum.Items)
}

// dedup shows the file of groups of duplicates.
func dedup(c *collector, r *shown) error {
	t, err := r.read("group", "size", "id", "path", "distance")
	if err != nil {
		return err
	}
	set, _ := c.sets(r)
	s := sought{grouped: true, alike: alikeBy(set.On, nil)}
	var starts []int // of groups
	for i := range t.rows {
		if i == 0 || t.number("group", i) != t.number("group", i-1) {
			starts = append(starts, i)
			s.next()
			if size := t.number("size", i); finite(size) {
				s.sizes = append(s.sizes, size)
			}
		}
		s.found(i-starts[len(starts)-1], t.number("distance", i))
	}
	for _, k := range c.sheet(r, &s) {
		from, to := starts[k], end(starts, k, t.rows)
		strip := s.group(int(t.number("group", from)), k, to-from)
		for i := from; i < to; i++ {
			s.add(&strip, set, t.picture(i), t.number("distance", i))
		}
		r.Strips = append(r.Strips, farthestFirst(strip))
	}
	r.locate(set, set)
	var sum encoding.GroupSummary
	_ = r.manifest.Summed(&sum) // what is of another type is none
	r.duplicates(&s, sum.Items)
	return nil
}

func (r *shown) duplicates(s *sought, of int) {
	r.table("Duplicates", []string{"groups", "items in them", "items too many"}, cells(s.n(), s.items, s.items-s.n()))
	slices.Sort(s.sizes)
	r.figure("Sizes of the groups of duplicates", fmt.Sprintf("Items of a group have equal or nearly equal %s.", s.alike.codes))(
		histogram("groups", "items of a group", filled(binned{"groups", s.sizes})...))
	if far := slices.Concat(s.first, s.rest); slices.Max(append(far, 0)) > 0 {
		r.figure("Distances within the groups", fmt.Sprintf("Bits in which an item's %s differs from that of its group's first.", s.alike.code))(
			histogram("group-distances", "Hamming distance from the group's first (bits)", binned{"items", far}))
	}
	r.grouped(s, of)
}

// sets are the codes that a file's rows were found in, and those that were looked for, as
// its manifest names them. Of codes that cannot be read there are no items.
func (c *collector) sets(r *shown) (base, queries *encoding.Codes) {
	if base = (&encoding.Codes{}); len(r.manifest.Inputs) == 0 {
		return base, base
	}
	var sets []*encoding.Codes
	for _, in := range r.manifest.Inputs {
		o := encoding.OpenOptions{On: in.On, MaxBytes: c.MaxBytes}
		set, err := encoding.Open(in.Path, o)
		if err != nil { // the result may have moved with them
			set, err = encoding.Open(filepath.Join(filepath.Dir(r.path), filepath.Base(in.Path)), o)
		}
		if err != nil {
			set = &encoding.Codes{On: in.On, Bits: in.Bits, FullBits: in.Full}
		}
		sets = append(sets, set)
	}
	return sets[0], sets[len(sets)-1]
}
