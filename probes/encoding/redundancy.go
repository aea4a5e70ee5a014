package encoding

// Redundancy says how many items share a linear region with another: the
// determinism of "Neural networks behave as hash encoders".
type Redundancy struct {
	// Items is the number of codes, Regions how many different ones there are, and
	// Shared how many items lie in a region with another item.
	Items   int `json:"items"`
	Regions int `json:"regions"`
	Shared  int `json:"shared"`
	// Ratio is (Items - Regions) / Items: 0 when every item has a region of its own.
	Ratio float64 `json:"ratio"`
}

// Redundant counts the regions of c. Equal lists who shares one.
func Redundant(c *Codes) Redundancy {
	r := Redundancy{Items: c.n, Regions: c.n}
	for _, g := range Equal(c) {
		r.Regions -= len(g) - 1
		r.Shared += len(g)
	}
	if r.Items > 0 {
		r.Ratio = float64(r.Items-r.Regions) / float64(r.Items)
	}
	return r
}
