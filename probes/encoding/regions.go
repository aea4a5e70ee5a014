package encoding

// Region is the part of a picture that a row is of.
type Region struct {
	// Image is the ID of the picture, Label the region's class.
	Image, Label string
	// Box is x0, y0, x1, y1 in pixels of the picture.
	Box [4]float64
}

// Region is the region that a row is of; ok is false where it is of a whole item.
func (c *Codes) Region(row int) (r Region, ok bool) {
	s := &c.regions
	if row >= len(s.boxes) || s.boxes[row] == ([4]float64{}) {
		return Region{}, false
	}
	return Region{s.images.at(row), s.labels.at(row), s.boxes[row]}, true
}

// regions are those of rows, from the first that is of one on.
type regions struct {
	images, labels texts
	boxes          [][4]float64 // zero for none
}

// add says that a row, later than any before, is of a region.
func (s *regions) add(row int, r Region) {
	s.images.put(row, r.Image)
	s.labels.put(row, r.Label)
	s.boxes = append(append(s.boxes, make([][4]float64, row-len(s.boxes))...), r.Box)
}

// boxColumns are the columns of a region's box.
var boxColumns = [4]string{"x0", "y0", "x1", "y1"}
