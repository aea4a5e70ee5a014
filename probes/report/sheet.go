package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// Strip is a group of pictures on a page: those of items that belong together.
type Strip struct {
	Title string
	// Caption says what the pictures show, and Key what their colours stand for; "" and nil
	// where they are as they are.
	Caption string
	Key     *Figure
	Items   []Item
}

// Item is one of a Strip, with its picture. An item whose picture cannot be read shows
// its name.
type Item struct {
	// Caption is its name, Mark what it is in its group, such as "kept", Detail how far it
	// is from the first.
	Caption, Mark, Detail string
	// Equal are items with the same code, which are folded away; those with the same sketch
	// or channel code may differ, and are not.
	Equal   []Item
	Picture encoding.Picture

	far float64
}

// text is what stands below the picture, with the class of a region.
func (i Item) text() string {
	if r := i.Picture.Region; r != nil && r.Label != "" {
		return i.Caption + " (" + r.Label + ")"
	}
	return i.Caption
}

const (
	// mostTogether is how many items of a group are shown, mostPictures of a sheet, mostOnPage
	// of all sheets of a page.
	mostTogether = 100
	mostPictures = 1000
	mostOnPage   = 3000
)

// sought gathers what was found for queries, or groups of duplicates: distances of all, and
// what a contact sheet shows of some.
type sought struct {
	grouped     bool
	alike       alike // what equal ones are
	items       int
	counts      []int     // items of each query or group
	far         []float64 // how doubtful each is: of a group the largest distance, of a query the nearest neighbor's
	first, rest []float64 // distances, of the first of each and of the others
	sizes       []float64 // of groups
}

// n is how many queries or groups there are.
func (s *sought) n() int { return len(s.far) }

// next begins with another query or group.
func (s *sought) next() {
	s.far, s.counts = append(s.far, math.NaN()), append(s.counts, 0)
}

// found counts an item of the last query or group, with its distance from the first.
func (s *sought) found(place int, distance float64) {
	last := s.n() - 1
	s.items++
	s.counts[last]++
	switch {
	case !finite(distance):
		return
	case place == 0:
		s.first = append(s.first, distance)
	default:
		s.rest = append(s.rest, distance)
	}
	if place == 0 || s.grouped {
		if was := s.far[last]; math.IsNaN(was) || was < distance {
			s.far[last] = distance
		}
	}
}

// sheet are the queries or groups that are shown with their pictures, the most doubtful
// first, and says which are not.
func (c *collector) sheet(r *shown, s *sought) (shown []int) {
	for k := range s.n() {
		shown = append(shown, k)
	}
	doubt := func(k int) float64 {
		if math.IsNaN(s.far[k]) {
			return -1
		}
		return s.far[k]
	}
	slices.SortStableFunc(shown, func(a, b int) int { return cmp.Compare(doubt(b), doubt(a)) })
	pictures := 0
	for i, k := range shown {
		pictures += min(s.counts[k], mostTogether)
		if i == c.Pictures || i > 0 && (pictures > mostPictures || c.sheets+pictures > mostOnPage) {
			shown = shown[:i]
			break
		}
	}
	for _, k := range shown {
		c.sheets += min(s.counts[k], mostTogether)
	}
	what, first := "queries", "whose nearest neighbor is farthest"
	if s.grouped {
		what, first = "groups", "with the largest distances"
	}
	switch left := s.n() - len(shown); {
	case left > 0:
		r.note("The sheet shows %s of %s %s, those %s first: they are the most doubtful. It leaves out %s more.", text.Grouped(len(shown)),
			text.Grouped(s.n()), what, first, text.Grouped(left))
	case s.n() > 1:
		r.note("The sheet shows the %s %s first: they are the most doubtful.", what, first)
	}
	return shown
}

// group is the k-th group of duplicates, which its file calls by a number, without its items.
func (s *sought) group(number, k, size int) Strip {
	title := fmt.Sprintf("Group %d: %s", number, text.Count(size, "item"))
	if size > mostTogether {
		title += fmt.Sprintf(", of which %d are shown", mostTogether)
	}
	switch far := s.far[k]; {
	case far > 0:
		title += ", up to " + text.Count(int64(far), "bit") + " apart"
	case far == 0:
		title += " with equal " + s.alike.codes
	}
	return Strip{Title: title}
}

// add adds an item of set to a group, or what was found for a query: one with the code of the
// first is folded into that, one with its sketch alone is not.
func (s *sought) add(to *Strip, set *encoding.Codes, p encoding.Picture, distance float64) {
	item := Item{Caption: p.ID, Picture: p, far: distance}
	switch {
	case len(to.Items) == 0:
		item.Mark = "kept"
	case len(to.Items)+len(to.Items[0].Equal) >= mostTogether:
		return
	case distance == 0 && s.alike.whole:
		to.Items[0].Equal = append(to.Items[0].Equal, item)
		return
	case finite(distance):
		item.Detail = separated(set.DistanceText(int(distance)))
	}
	to.Items = append(to.Items, item)
}

// farthestFirst orders the items of a group behind the one that is kept.
func farthestFirst(s Strip) Strip {
	if len(s.Items) > 1 {
		slices.SortStableFunc(s.Items[1:], func(a, b Item) int { return cmp.Compare(b.far, a.far) })
	}
	return s
}

// each calls use with every item of a strip, with those that are folded away too.
func (s *Strip) each(use func(i *Item, first bool)) {
	for k := range s.Items {
		use(&s.Items[k], k == 0)
		for e := range s.Items[k].Equal {
			use(&s.Items[k].Equal[e], false)
		}
	}
}

// locate finds the pictures of a file's rows in the codes that they were found in: that
// of the first item of a strip among firsts, those of the others among rest. Where none is
// found in any file there are no strips.
func (r *shown) locate(rest, firsts *encoding.Codes) {
	wanted := map[*encoding.Codes]map[string][]*Item{rest: {}, firsts: {}}
	for k := range r.Strips {
		r.Strips[k].each(func(item *Item, first bool) {
			set := rest
			if first {
				set = firsts
			}
			wanted[set][item.Picture.ID] = append(wanted[set][item.Picture.ID], item)
		})
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
	there := false
	for k := range r.Strips {
		r.Strips[k].each(func(i *Item, _ bool) {
			path, _, _ := i.Picture.File()
			there = there || path != ""
		})
	}
	if !there {
		r.Strips = nil
	}
}
