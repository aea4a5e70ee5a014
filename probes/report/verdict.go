package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/encoding"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// found adds a sentence on what the result shows.
func (r *shown) found(format string, args ...any) {
	r.Found = append(r.Found, fmt.Sprintf(format, args...))
}

// alarm adds a sentence on what somebody should look at.
func (r *shown) alarm(format string, args ...any) {
	r.Attention = append(r.Attention, fmt.Sprintf(format, args...))
}

// manifested says what a manifest says that somebody should look at: items that failed, and
// operators that bend and that no code sees.
func (r *shown) manifested() {
	if r.failures == 0 { // else they are said
		r.failing(r.summed())
	}
	if r.manifest.Run == nil {
		return
	}
	var bends []string
	for _, u := range r.manifest.Unwatched {
		if u.Kind == "bend" {
			bends = append(bends, name(u.Name, 60))
		}
	}
	if n := len(bends); n > 0 {
		r.alarm("%s of the network %s unwatched, so codes do not tell all of its linear regions apart: %s%s.", text.Count(n, "bend"), text.Are(n),
			strings.Join(bends[:min(n, 3)], ", "), more(n-3))
	}
}

// summed are the items of which a manifest's summary says that they failed, and all of them.
func (r *shown) summed() (failed, items int) {
	var sum struct {
		Items  int `json:"items"`
		Failed int `json:"failed"`
	}
	if err := r.manifest.Summed(&sum); err != nil {
		return 0, 0
	}
	return sum.Failed, sum.Items
}

// failing says how many items failed.
func (r *shown) failing(failed, items int) {
	if r.failures = failed; failed > 0 {
		r.alarm("%s of %s failed; the column error says why.", text.Grouped(failed), text.Count(items, "item"))
	}
}

// more is what a list that is cut goes on with.
func more(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" and %s more", text.Grouped(n))
}

// collapsed is the share of items without a region of their own from which on a result is
// said to collapse, and of bits that say nothing from which on they are many.
const collapsed = 0.5

// coded says how codes tell items apart.
func (r *shown) coded(red encoding.Redundancy, a alike, failed int) {
	shared := text.Count(red.Regions, a.region)
	switch {
	case red.Regions == red.Items && red.Items == 1:
		r.found("The only item has a %s of its own%s.", a.region, a.sign)
	case red.Regions == red.Items:
		r.found("Each of the %s has a %s of its own%s.", text.Count(red.Items, "item"), a.region, a.sign)
	case a.linear:
		r.found("The %s lie in %s.", text.Count(red.Items, "item"), shared)
	default:
		r.found("The %s have %s %s%s.", text.Count(red.Items, "item"), text.Grouped(red.Regions), a.different(), a.signs)
	}
	if !a.whole && red.Regions < red.Items {
		r.found("Items with equal %s may have different whole codes.", a.codes)
	}
	if red.Ratio >= collapsed && red.Items > 1 {
		r.alarm("The %s collapse: %s share %s.", strings.TrimPrefix(a.regions, "linear "), text.Count(red.Items, "item"), shared)
	}
	if failed > 0 && r.manifest.Kind == "" && r.Kind == "" { // else that says so
		r.alarm("%s without a code.", text.Count(failed, "item"))
	}
}

// apart says how far the codes of a class lie from each other and from those of others,
// where the groups of distances are these.
func (r *shown) apart(groups []binned, a alike) {
	if len(groups) != 2 {
		return
	}
	within, _ := moments(groups[0].Values)
	between, _ := moments(groups[1].Values)
	of := strings.ToUpper(a.codes[:1]) + a.codes[1:]
	r.found("%s of one class differ in %s bits on average, those of two classes in %s.", of, num(math.Round(within)), num(math.Round(between)))
	if within >= between {
		r.alarm("%s do not tell the classes apart: those of one class differ as much as those of two.", of)
	}
}

// fragileShare is the share of values near their knots from which on they are many, and
// roundingMost the distance from a knot up to which rounding is said to turn a bit.
const (
	fragileShare = 1e-3
	roundingMost = 1e-4
)

// fragile says how many values lie within the distance from their knots that was asked for,
// where a table counts them.
func (r *shown) fragile() {
	t, err := readTable(r.path, func(n string) bool { return n == "fragile" })
	if err != nil || !t.has("fragile") || r.manifest.Run == nil || r.manifest.Units <= 0 {
		return // a folder, or what was not asked for
	}
	r.use("fragile")
	values, _ := present(t.numbers["fragile"])
	if len(values) == 0 {
		return
	}
	mean, _ := moments(values)
	share := mean / float64(r.manifest.Units)
	within, near := r.settings.Fragile, "near their knot (the manifest does not say how near)"
	rounding := within > 0 && within <= roundingMost
	if within > 0 {
		near = fmt.Sprintf("within %g of their knot", within)
	}
	if rounding {
		near += ", where rounding can turn their bit"
	}
	r.found("Of %s values of an item on average %s lie %s: %s in a million.",
		text.Grouped(r.manifest.Units), num(math.Round(10*mean)/10), near, num(math.Round(1e7*share)/10))
	if rounding && share >= fragileShare {
		r.alarm("%s in a thousand values are fragile: another engine may give other codes.", num(math.Round(1e4*share)/10))
	}
}

// bitsUsed says how the bits of codes are used.
func (r *shown) bitsUsed(bits, dead, saturated int) {
	if bits > 0 && float64(dead+saturated) >= collapsed*float64(bits) {
		r.alarm("%s of %s have one value for all items.", text.Grouped(dead+saturated), text.Count(bits, "bit"))
	}
}

// searched says what a search found.
func (r *shown) searched(s *sought) {
	if s.items == 0 {
		r.found("%s, and nothing was found.", text.Count(s.n(), "query"))
		return
	}
	if len(s.first) == 0 {
		return
	}
	sorted := slices.Sorted(slices.Values(s.first))
	r.found("%s: the nearest neighbor differs in %s to %s bits, in half of the queries in at most %s.", text.Count(s.n(), "query"),
		num(sorted[0]), num(sorted[len(sorted)-1]), num(sorted[(len(sorted)-1)/2]))
	if k, _ := slices.BinarySearch(sorted, 1); k > 0 {
		what := "an equal " + s.alike.code
		if !s.alike.whole {
			what += ", which need not mean an equal whole code"
		}
		r.found("For %s of them it has %s.", text.Grouped(k), what)
	}
}

// chained is the share of all items in one group, and how many they are, from which on it may
// hold what is not alike.
const (
	chained     = 0.1
	chainedMost = 20
)

// grouped says which duplicates there are, of so many items, 0 where that is not known.
func (r *shown) grouped(s *sought, of int) {
	if s.n() == 0 {
		r.found("There are no duplicates.")
		return
	}
	sum := ""
	if of > 0 {
		sum = " of " + text.Grouped(of)
	}
	r.found("%s%s are in %s; one of each is kept, %s could go.", text.Count(s.items, "item"), sum, text.Count(s.n(), "group"), text.Grouped(s.items-s.n()))
	equal, far := 0, 0.0
	for _, d := range s.far {
		if d == 0 {
			equal++
		}
		far = max(far, 0)
		if finite(d) {
			far = max(far, d)
		}
	}
	switch {
	case equal == s.n():
		r.found("All have equal %s.", s.alike.codes)
	case equal == 0:
		r.found("Within a group %s differ in up to %s.", s.alike.codes, text.Count(int64(far), "bit"))
	default:
		r.found("In %s all %s are equal; elsewhere they differ in up to %s.", text.Count(equal, "group"), s.alike.codes, text.Count(int64(far), "bit"))
	}
	if equal > 0 && !s.alike.whole {
		r.found("Items with equal %s may have different whole codes.", s.alike.codes)
	}
	if len(s.sizes) == 0 {
		return
	}
	if most := slices.Max(s.sizes); far > 0 && most >= chainedMost && of > 0 && most >= chained*float64(of) {
		r.alarm("One group holds %s of %s items: at this distance items that are not alike may be chained together. Try a smaller one.",
			num(most), text.Grouped(of))
	}
}

// around says what local complexity is at the smallest radius and at the largest, of radii in
// rising order, and of how many items there is none.
func (r *shown) around(radii []binned, without int) {
	var said []string
	for i, g := range radii {
		if i == 0 || i == len(radii)-1 {
			m, _ := moments(g.Values)
			said = append(said, fmt.Sprintf("%s at %s", num(math.Round(10*m)/10), g.Name))
		}
	}
	r.found("Around an item so many units change their side on average: %s.", strings.Join(said, ", "))
	r.smooth(smoothSites(r.manifest))
	if failed, _ := r.summed(); without > max(failed, r.failures) { // else that is said of them
		r.alarm("%s without local complexity.", text.Count(without, "item"))
	}
	last := radii[len(radii)-1]
	still := len(last.Values) - len(slices.DeleteFunc(slices.Clone(last.Values), func(v float64) bool { return v == 0 }))
	if float64(still) >= collapsed*float64(len(last.Values)) {
		r.alarm("Around %s of %s no unit changes at %s: a larger one says more.", text.Grouped(still), text.Count(len(last.Values), "item"), last.Name)
	}
}

// flipped says how two settings compare.
func (r *shown) flipped(d *probes.Diff, flips int64) {
	if flips == 0 {
		r.found("No bit of %s differs between the two settings.", text.Count(d.Items, "item"))
		return
	}
	bits, sites := int64(0), 0
	for _, s := range d.Sites {
		bits += s.Bits
		if s.Flips > 0 {
			sites++
		}
	}
	r.found("%s of %s differ, %.3g in a million, at %s of %s.", text.Grouped(flips), text.Count(bits, "bit"), 1e6*float64(flips)/float64(max(bits, 1)),
		text.Grouped(sites), text.Count(len(d.Sites), "site"))
	r.alarm("Codes depend on the setting: equal codes need one engine and one precision.")
}

// evaluated says what an evaluation found.
func (r *shown) evaluated(all []encoding.Evaluation, a alike) {
	whole := &all[0]
	red := whole.Redundancy.Train
	if whole.Redundancy.Test != nil {
		red = *whole.Redundancy.Test
	}
	r.coded(red, a, 0)
	if u := whole.Units; u != nil {
		r.bitsUsed(u.Train.Bits, u.Train.Dead, u.Train.Saturated)
	}
	knn, network := whole.Accuracies(true).KNN, whole.Accuracies(true).Network
	if !finite(knn) {
		return
	}
	said := fmt.Sprintf("K nearest neighbors of the codes find the label of %.1f %%", 100*knn)
	if finite(network) {
		said += fmt.Sprintf(", the network itself of %.1f %%", 100*network)
	}
	r.found("%s.", said)
	best := 0
	for i := range all {
		if v := all[i].Accuracies(true).KNN; finite(v) && v > all[best].Accuracies(true).KNN {
			best = i
		}
	}
	if best > 0 {
		r.found("The codes of %s alone find %.1f %%.", name(all[best].Name, 60), 100*all[best].Accuracies(true).KNN)
	}
}
