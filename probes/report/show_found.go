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
		r.Kind, r.Notes = "search", append(r.Notes, x.String())
		c.matches(r, x)
	case *encoding.Groups:
		r.Kind, r.Notes = "dedup", append(r.Notes, x.Summary().String()+".")
		c.groups(r, x)
	default:
		return false
	}
	return true
}

func (c *collector) matches(r *shown, m *encoding.Matches) {
	var s sought
	for q, neighbors := range m.Found {
		s.add(m.Queries.ID(q), q < c.Pictures)
		s.show("the query", m.Queries.Picture(q))
		for i, n := range neighbors {
			s.item(m.Base, m.Base.Picture(int(n.Row)), i, float64(n.Distance))
		}
	}
	r.neighbors(&s)
}

// search shows the file of a search.
func search(c *collector, r *shown) error {
	t, err := r.read("query", "rank", "id", "path", "distance")
	if err != nil {
		return err
	}
	var s sought
	base, queries := c.sets(r)
	for i := range t.rows {
		place := 1
		if t.number("rank", i) == 1 {
			place = 0
		}
		if place == 0 || i == 0 {
			s.add(t.text("query", i), s.n < c.Pictures)
			s.show("the query", encoding.Picture{ID: t.text("query", i)})
		}
		s.item(base, t.picture(i), place, t.number("distance", i))
	}
	s.locate(base, queries)
	r.neighbors(&s)
	return nil
}

// picture is that of a row, as far as the file of a result says.
func (c *columns) picture(row int) encoding.Picture {
	return encoding.Picture{ID: c.text("id", row), Path: c.text("path", row)}
}

func (r *shown) neighbors(s *sought) {
	r.table("Search", []string{"queries", "neighbors"}, cells(s.n, s.items))
	r.strips(s, "queries")
	groups := filled(binned{"the nearest", s.first}, binned{"the others found", s.rest})
	r.figure("Distances of the neighbors found", "Bits in which a neighbor's code differs from its query's.")(
		histogram("neighbors", "Hamming distance (bits)", groups...))
}

// mostTogether is how many items of a group are shown.
const mostTogether = 100

func (c *collector) groups(r *shown, g *encoding.Groups) {
	s := sought{grouped: true}
	for i, rows := range g.Members {
		s.group(i, float64(len(rows)), i < c.Pictures)
		for place, row := range rows {
			s.item(g.Codes, g.Codes.Picture(row), place, float64(g.Codes.Distance(rows[0], row)))
		}
	}
	r.nearest(g)
	r.duplicates(&s)
}

// dedup shows the file of groups of duplicates.
func dedup(c *collector, r *shown) error {
	t, err := r.read("group", "size", "id", "path", "distance")
	if err != nil {
		return err
	}
	s := sought{grouped: true}
	set, _ := c.sets(r)
	place := 0
	for i := range t.rows {
		group := t.number("group", i)
		if place++; i == 0 || group != t.number("group", i-1) {
			place = 0
			s.group(int(group), t.number("size", i), s.n < c.Pictures)
		}
		s.item(set, t.picture(i), place, t.number("distance", i))
	}
	s.locate(set, set)
	r.duplicates(&s)
	return nil
}

func (r *shown) duplicates(s *sought) {
	r.table("Duplicates", []string{"groups", "items in them", "items too many"}, cells(s.n, s.items, s.items-s.n))
	r.strips(s, "groups")
	slices.Sort(s.sizes)
	r.figure("Sizes of the groups of duplicates", "Items of a group have equal or nearly equal codes.")(
		histogram("groups", "items of a group", binned{"groups", s.sizes}))
	if far := append(s.first, s.rest...); slices.Max(append(far, 0)) > 0 {
		r.figure("Distances within the groups", "Bits in which an item's code differs from that of its group's first.")(
			histogram("group-distances", "Hamming distance from the group's first (bits)", binned{"items", far}))
	}
}

// sought gathers what was found: n queries with their neighbors, or n groups with their
// items.
type sought struct {
	grouped     bool
	n, items    int
	first, rest []float64 // distances, of the first of each and of the others
	sizes       []float64 // of groups
	strips      []Strip
	shown       bool // the last is to be shown
}

// add begins with another query or group.
func (s *sought) add(title string, shown bool) {
	if s.n, s.shown = s.n+1, shown; shown {
		s.strips = append(s.strips, Strip{Title: title})
	}
}

func (s *sought) group(group int, size float64, shown bool) {
	title := fmt.Sprintf("Group %d: %d items", group, int(size))
	if size > mostTogether {
		title += fmt.Sprintf(", of which %d are shown", mostTogether)
	}
	if s.add(title, shown); finite(size) {
		s.sizes = append(s.sizes, size)
	}
}

// show adds a picture to the last query or group.
func (s *sought) show(caption string, p encoding.Picture) {
	if s.shown {
		last := &s.strips[len(s.strips)-1]
		last.Items = append(last.Items, Item{caption, p})
	}
}

// item is what was found at a place: a neighbor in set, or an item of a group.
func (s *sought) item(set *encoding.Codes, p encoding.Picture, place int, distance float64) {
	s.items++
	switch {
	case !finite(distance):
	case place == 0:
		s.first = append(s.first, distance)
	default:
		s.rest = append(s.rest, distance)
	}
	if !s.shown {
		return
	}
	switch far := set.DistanceText(int(distance)); {
	case !s.grouped:
		s.show(p.ID+": "+far, p)
	case place == 0:
		s.show(p.ID, p)
	case place < mostTogether:
		s.show(p.ID+": "+far+" from the first", p)
	}
}

// locate finds the pictures of a file's rows in the codes that they were found in: that
// of the first item of a strip among firsts, those of the others among rest. Where none is
// found in any file there are no strips.
func (s *sought) locate(rest, firsts *encoding.Codes) {
	wanted := map[*encoding.Codes]map[string][]*Item{rest: {}, firsts: {}}
	for _, strip := range s.strips {
		for i := range strip.Items {
			item, set := &strip.Items[i], rest
			if i == 0 {
				set = firsts
			}
			wanted[set][item.Picture.ID] = append(wanted[set][item.Picture.ID], item)
		}
	}
	for set, items := range wanted {
		for row := range set.Len() {
			id := set.ID(row)
			if len(items[id]) == 0 {
				continue
			}
			items[id] = slices.DeleteFunc(items[id], func(i *Item) bool {
				same := i.Picture.Path == "" || i.Picture.Path == set.Path(row)
				if same {
					i.Picture = set.Picture(row)
				}
				return same
			})
		}
	}
	if !slices.ContainsFunc(s.strips, func(strip Strip) bool {
		return slices.ContainsFunc(strip.Items, func(i Item) bool { path, _, _ := i.Picture.File(); return path != "" })
	}) {
		s.strips = nil
	}
}

// strips shows the pictures, and says of how many of the queries or groups.
func (r *shown) strips(s *sought, what string) {
	r.Strips = s.strips
	if n := len(s.strips); n > 0 && n < s.n {
		r.note("The first %d %s of %d are shown with their pictures.", n, what, s.n)
	}
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
