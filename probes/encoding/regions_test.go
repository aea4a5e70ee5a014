package encoding

import "testing"

// Rows without a region stand between those that are of one.
func TestRegionsOfRows(t *testing.T) {
	c, err := NewCodes(1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := c.Append([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		r := record{id: string(rune('a' + i)), named: true, label: Label{Number: NoNumber}}
		if i%2 == 1 {
			r.image, r.label.Name, r.box = "pic", "cat", [4]float64{0, 0, float64(i), 1}
		}
		c.describe(&r, i)
	}
	for _, d := range []*Codes{c, c.Pick([]int{0, 1, 2, 3, 4})} {
		for i := range 5 {
			r, ok := d.Region(i)
			if ok != (i%2 == 1) || ok && (r.Image != "pic" || r.Label != "cat" || r.Box[2] != float64(i)) {
				t.Errorf("row %d: %+v, %v", i, r, ok)
			}
		}
	}
}
