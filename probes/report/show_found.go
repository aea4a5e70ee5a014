package report

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
)

// found shows what a search found, or the groups of duplicates, and says whether printed
// is one of these.
func (c *collector) found(r *shown, printed any) (known bool, err error) {
	switch x := printed.(type) {
	case *encoding.Matches:
		r.Kind, r.Notes = "search", append(r.Notes, x.String())
		return true, c.matches(r, x)
	case *encoding.Groups:
		r.Kind, r.Notes = "dedup", append(r.Notes, x.Summary().String()+".")
		return true, c.groups(r, x)
	}
	return false, nil
}

func (c *collector) matches(r *shown, m *encoding.Matches) error {
	var s sought
	for q, neighbors := range m.Found {
		s.add(m.Queries.ID(q), q < c.Pictures)
		s.show("the query", m.Queries.Picture(q))
		for i, n := range neighbors {
			s.far(i == 0, float64(n.Distance))
			if row := int(n.Row); s.shown {
				s.show(m.Base.ID(row)+": "+m.Base.DistanceText(int(n.Distance)), m.Base.Picture(row))
			}
		}
	}
	return r.neighbors(&s)
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
		first := t.number("rank", i) == 1
		if first || i == 0 {
			s.add(t.text("query", i), s.n < c.Pictures)
			s.show("the query", encoding.Picture{ID: t.text("query", i)})
		}
		d := t.number("distance", i)
		if s.far(first, d); s.shown {
			id := t.text("id", i)
			s.show(id+": "+base.DistanceText(int(d)), encoding.Picture{ID: id, Path: t.text("path", i)})
		}
	}
	s.locate(base, queries)
	return r.neighbors(&s)
}

func (r *shown) neighbors(s *sought) error {
	r.Tables = append(r.Tables, Table{Caption: "Search", Head: []string{"queries", "neighbors"},
		Rows: [][]string{{fmt.Sprint(s.n), fmt.Sprint(s.items)}}})
	r.strips(s, "queries")
	var groups []Values
	for _, g := range []Values{{"the nearest", s.first}, {"the others found", s.rest}} {
		if g.Values != nil {
			groups = append(groups, g)
		}
	}
	f, err := Histogram("neighbors", "Hamming distance (bits)", groups...)
	return r.figure("Distances of the neighbors found",
		"Bits in which a neighbor's code differs from its query's.", f, err)
}

// mostTogether is how many items of a group are shown.
const mostTogether = 100

func (c *collector) groups(r *shown, g *encoding.Groups) error {
	var s sought
	var sizes []float64
	for i, rows := range g.Members {
		sizes = append(sizes, float64(len(rows)))
		s.add(groupTitle(i, len(rows)), i < c.Pictures)
		for place, row := range rows {
			d := g.Codes.Distance(rows[0], row)
			if s.far(place == 0, float64(d)); s.shown && place < mostTogether {
				s.show(duplicate(g.Codes, g.Codes.ID(row), place, d), g.Codes.Picture(row))
			}
		}
	}
	return r.duplicates(&s, sizes)
}

// dedup shows the file of groups of duplicates.
func dedup(c *collector, r *shown) error {
	t, err := r.read("group", "size", "id", "path", "distance")
	if err != nil {
		return err
	}
	var s sought
	var sizes []float64
	set, _ := c.sets(r)
	place := 0
	for i := range t.rows {
		group, size, d := t.number("group", i), t.number("size", i), t.number("distance", i)
		if place++; i == 0 || group != t.number("group", i-1) {
			place = 0
			s.add(groupTitle(int(group), int(size)), s.n < c.Pictures)
			if finite(size) {
				sizes = append(sizes, size)
			}
		}
		if s.far(place == 0, d); s.shown && place < mostTogether {
			id := t.text("id", i)
			s.show(duplicate(set, id, place, int(d)), encoding.Picture{ID: id, Path: t.text("path", i)})
		}
	}
	s.locate(set, set)
	return r.duplicates(&s, sizes)
}

func groupTitle(group, size int) string {
	s := fmt.Sprintf("Group %d: %d items", group, size)
	if size > mostTogether {
		s += fmt.Sprintf(", of which %d are shown", mostTogether)
	}
	return s
}

// duplicate is the caption of an item of a group, by its place in it.
func duplicate(set *encoding.Codes, id string, place, distance int) string {
	if place == 0 {
		return id
	}
	return id + ": " + set.DistanceText(distance) + " from the first"
}

func (r *shown) duplicates(s *sought, sizes []float64) error {
	r.Tables = append(r.Tables, Table{Caption: "Duplicates", Head: []string{"groups", "items in them", "items too many"},
		Rows: [][]string{{fmt.Sprint(s.n), fmt.Sprint(s.items), fmt.Sprint(s.items - s.n)}}})
	r.strips(s, "groups")
	slices.Sort(sizes)
	f, err := Histogram("groups", "items of a group", Values{"groups", sizes})
	err = r.figure("Sizes of the groups of duplicates", "Items of a group have equal or nearly equal codes.", f, err)
	if far := append(s.first, s.rest...); err == nil && slices.Max(append(far, 0)) > 0 {
		f, err = Histogram("group-distances", "Hamming distance from the group's first (bits)", Values{"items", far})
		return r.figure("Distances within the groups",
			"Bits in which an item's code differs from that of its group's first.", f, err)
	}
	return err
}

// sought gathers what was found: n queries with their neighbors, or n groups with their
// items.
type sought struct {
	n, items    int
	first, rest []float64 // distances, of the first of each and of the others
	strips      []Strip
	shown       bool // the last is to be shown
}

// add begins with another query or group.
func (s *sought) add(title string, shown bool) {
	if s.n, s.shown = s.n+1, shown; shown {
		s.strips = append(s.strips, Strip{Title: title})
	}
}

// show adds an item to the last query or group.
func (s *sought) show(caption string, p encoding.Picture) {
	if s.shown {
		last := &s.strips[len(s.strips)-1]
		last.Items = append(last.Items, Item{caption, p})
	}
}

func (s *sought) far(first bool, distance float64) {
	s.items++
	switch {
	case !finite(distance):
	case first:
		s.first = append(s.first, distance)
	default:
		s.rest = append(s.rest, distance)
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
		r.Notes = append(r.Notes, fmt.Sprintf("The first %d %s of %d are shown with their pictures.", n, what, s.n))
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
