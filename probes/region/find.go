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
	var pictures, regions []string
	for i := range ds.Len() {
		if !r.from.Has(i) {
			continue
		}
		image := ds.Item(i).ID
		if pictures = append(pictures, image); image != id && !strings.HasPrefix(id, image+"#") {
			continue
		}
		g, err := r.where(i)
		if err != nil {
			return nil, fmt.Errorf("looking for the region %q: %w", id, err)
		}
		all, _ := r.from.Regions(i, g.Picture)
		names := rowNames{}
		for _, of := range all {
			name := names.next(image + "#" + of.ID)
			if name == id {
				return &Place{id, i, of}, nil
			}
			regions = append(regions, name)
		}
	}
	switch {
	case len(regions) > 0:
		return nil, fmt.Errorf("there is no region %q; its picture has %s", id, listed(regions))
	case len(pictures) > 0:
		return nil, fmt.Errorf("there is no region %q: want IMAGE#REGION, and IMAGE is one of %s", id, listed(pictures))
	}
	return nil, fmt.Errorf("there is no region %q: no picture has regions", id)
}

// rowNames counts the names of a picture's rows: annotations can give an ID twice.
type rowNames map[string]int

// next is the name of the next region, NAME#2 where it comes again.
func (n rowNames) next(name string) string {
	if n[name]++; n[name] > 1 {
		return fmt.Sprintf("%s#%d", name, n[name])
	}
	return name
}

// listed is the first of some names, and how many more there are.
func listed(names []string) string {
	const most = 8
	s := fmt.Sprintf("%q", names[:min(most, len(names))])
	if n := len(names) - most; n > 0 {
		s += fmt.Sprintf(" and %d more", n)
	}
	return s
}
