package report

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// codes shows a result with codes, sketches or digests.
func codes(c *collector, r *shown) error {
	r.use("id", "path", "label", "status", "error")
	r.use(result.ArrayColumn, encoding.Code, encoding.Sketch, encoding.Digest, encoding.Channels)
	set, err := encoding.Open(r.path, encoding.OpenOptions{On: encoding.Code, MaxBytes: c.MaxBytes})
	var none *encoding.NoCodesError
	var large *encoding.TooLargeError
	if errors.As(err, &none) || errors.As(err, &large) {
		set, err = encoding.Open(r.path, encoding.OpenOptions{MaxBytes: c.MaxBytes})
	}
	if err != nil {
		return err
	}
	if large != nil {
		r.Notes = append(r.Notes, "The codes are too large, and are not shown: "+large.Error()+".")
	}
	if set.Len() == 0 {
		return fmt.Errorf("none of its items has a code: %w", ErrNoData)
	}
	r.Notes = append(r.Notes, set.Notes...)
	red := encoding.Redundant(set)
	a := alikeBy(set.On, set.Smooth())
	caption := "Items and their " + a.different()
	if a.linear {
		caption = "Items and linear regions, by their " + map[bool]string{true: "digests", false: "codes"}[set.On == encoding.Digest]
	}
	t := Table{Caption: caption,
		Head: []string{"items", "without a code", strings.TrimPrefix(a.different(), "linear "), "redundancy"},
		Rows: [][]string{cells(red.Items, set.Failed, red.Regions, fmt.Sprintf("%.4f", red.Ratio))}}
	if set.On != encoding.Digest {
		u := encoding.Use(set, c.Threads)
		r.bitsUsed(set.Bits, u.Dead, u.Saturated)
		t.Head = append(t.Head, "bits", "dead", "saturated", "entropy")
		t.Rows[0] = append(t.Rows[0], cells(set.Bits, u.Dead, u.Saturated, fmt.Sprintf("%.3f", u.Entropy))...)
	}
	r.Tables = append(r.Tables, t)
	r.coded(red, a, set.Failed)
	r.smooth(set.Smooth())
	r.fragile()
	if set.On == encoding.Digest {
		r.note("Digests are equal or not: they have no distances to draw.")
	} else if err := c.distances(r, set); err != nil {
		return err
	}
	if err := c.sitesOf(r, set); err != nil {
		return err
	}
	regionSizes(r, set, red, a)
	return nil
}

// regionSizes draws how many items the linear regions hold, or have equal codes.
func regionSizes(r *shown, set *encoding.Codes, red encoding.Redundancy, a alike) {
	if set.On != encoding.Digest && red.Regions == red.Items {
		return
	}
	var sizes []float64
	for _, g := range encoding.Equal(set) {
		sizes = append(sizes, float64(len(g)))
	}
	for len(sizes) < red.Regions { // those of one item
		sizes = append(sizes, 1)
	}
	title, caption := "Items of a linear region", "Items with equal codes lie in one region; 1 where every item has a region of its own."
	if !a.linear {
		title, caption = "Items with equal "+a.codes, "1 where every item has a "+a.code+" of its own."
	}
	r.figure(title, caption)(
		histogram("regions", "items of a "+strings.TrimPrefix(a.region, "linear "), binned{strings.TrimPrefix(a.regions, "linear "), sizes}))
}

// sitesOf draws how each site's bits are used.
func (c *collector) sitesOf(r *shown, set *encoding.Codes) error {
	parts := set.Parts()
	if len(parts) == 0 || len(parts) > maxSites {
		return nil
	}
	var sites []string
	var entropy, dead, saturated, redundancy []float64
	for _, p := range parts {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		one := set.Part(p)
		u := encoding.Use(one, c.Threads)
		bits := float64(max(u.Bits, 1))
		sites, entropy = append(sites, p.Site), append(entropy, u.Entropy)
		dead, saturated = append(dead, 100*float64(u.Dead)/bits), append(saturated, 100*float64(u.Saturated)/bits)
		redundancy = append(redundancy, encoding.Redundant(one).Ratio)
	}
	r.figure("Entropy of the bits, by site",
		"1 where every bit is on for half of the items, 0 where none tells items apart.")(
		barChart("entropy", "entropy (bits per unit)", sites, barSeries{"entropy", entropy}))
	r.figure("Dead and saturated bits, by site", "Bits with one value for all items say nothing about them.")(
		barChart("dead", "bits (%)", sites, barSeries{"dead (0 for every item)", dead},
			barSeries{"saturated (1 for every item)", saturated}))
	if slices.Max(redundancy) > 0 {
		r.figure("Redundancy, by site", "0 where no two items have the same code at the site.")(
			barChart("redundancy", "redundancy (items - different codes) / items", sites, barSeries{"redundancy", redundancy}))
	}
	return nil
}

// maxWork bounds the bytes that are compared for the distances of a sample.
const maxWork = 32 << 30

// distances draws how far codes are from each other.
func (c *collector) distances(r *shown, set *encoding.Codes) error {
	n := min(c.Sample, set.Len())
	for n > 100 && int64(n)*int64(n)/2*int64(set.Width()) > maxWork {
		n = n * 9 / 10
	}
	rows := sampleOf(set.Len(), n, c.Seed)
	of := fmt.Sprintf("All %s.", text.Count(n, "item"))
	if n < set.Len() {
		of = fmt.Sprintf("A sample of %s of %s, seed %d.", text.Grouped(n), text.Count(set.Len(), "item"), c.Seed)
	}
	d, err := pairDistances(c.ctx, set, rows)
	if err != nil {
		return err
	}
	labels, labelled := make([]string, n), false
	for i, row := range rows {
		if l, ok := set.Label(row); ok {
			labels[i], labelled = l.String(), true
			if of := r.manifest.Dataset; l.Name == "" && of != nil && l.Number >= 0 && l.Number < int64(len(of.Classes)) {
				labels[i] = of.Classes[l.Number]
			}
		}
	}
	if set.On == encoding.Sketch && set.FullBits > 0 {
		of += fmt.Sprintf(" The %s bits are a sample of codes of %s.", text.Grouped(set.Bits), text.Grouped(set.FullBits))
	}
	groups, caption := pairsOf(d, labels, labelled)
	r.apart(groups, alikeBy(set.On, nil))
	r.figure("Hamming distances between items", caption+" "+of)(
		histogram("hamming", fmt.Sprintf("Hamming distance (of %s)", text.Count(set.Bits, "bit")), groups...))
	x, y, share, err := planar(d)
	if err != nil {
		return err
	}
	points, unlabelled := make([]marked, n), map[bool]string{true: "no label", false: "items"}[labelled]
	for i := range points {
		points[i] = marked{X: x[i], Y: y[i], Group: cmp.Or(labels[i], unlabelled)}
		if i < mostBehind && c.behind < mostSpots {
			p := set.Picture(rows[i])
			points[i].Behind = &p
			c.behind++
		}
	}
	sortByGroup(points)
	r.figure("Map of the codes",
		fmt.Sprintf("Items are near each other where their codes are alike: classical scaling of the Hamming "+
			"distances to the plane, which keeps %.0f %% of their spread. The coordinates have no unit. %s",
			100*(share[0]+share[1]), of))(
		placeMap("map", points))
	return nil
}
