package region

import (
	"fmt"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
)

// Place is a region of an item of a dataset.
type Place struct {
	// ID is IMAGE#REGION, as rows have it.
	ID string
	// Item is the number of the item.
	Item   int
	Region Region
}

// Find finds the region of ds whose row has the "id". The error says which pictures
// have regions, or which regions the picture has.
func (r *Rows) Find(ds dataset.Dataset, id string) (*Place, error) {
	var pictures, regions some
	for i := range ds.Len() {
		if !r.from.Has(i) {
			continue
		}
		image := ds.Item(i).ID
		if pictures.add(image); image != id && !strings.HasPrefix(id, image+"#") {
			continue
		}
		g, err := r.where(i)
		if err != nil {
			return nil, fmt.Errorf("looking for the region %q: %w", id, err)
		}
		all, faults := r.from.Regions(i, g.Picture)
		if lost := Machine(faults...); lost != nil {
			return nil, fmt.Errorf("looking for the region %q: %w", id, lost)
		}
		names := rowNames{}
		for _, of := range all {
			name := names.next(image + "#" + of.ID)
			if name == id {
				return &Place{id, i, of}, nil
			}
			regions.add(name)
		}
	}
	switch {
	case regions.count > 0:
		return nil, fmt.Errorf("there is no region %q; its picture has %s", id, regions)
	case pictures.count > 0:
		return nil, fmt.Errorf("there is no region %q: want IMAGE#REGION, and IMAGE is one of %s", id, pictures)
	}
	return nil, fmt.Errorf("there is no region %q: no picture has regions", id)
}

// rowNames counts the names of a picture's rows: annotations can give an ID twice.
type rowNames map[string]int

// next is the name of the next region, NAME#2 where it comes again.
func (n rowNames) next(name string) string {
	if n[name]++; n[name] == 1 {
		return name
	}
	return n.next(fmt.Sprintf("%s#%d", name, n[name])) // which can be what another one is called
}

// some are the first of many names, and how many there are.
type some struct {
	first []string
	count int
}

func (s *some) add(name string) {
	if s.count++; len(s.first) < 8 {
		s.first = append(s.first, name)
	}
}

func (s some) String() string {
	text := fmt.Sprintf("%q", s.first)
	if n := s.count - len(s.first); n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}
