package annotate

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/region/segment"
)

// Items is what Match needs of a dataset.
type Items interface {
	Len() int
	Item(i int) dataset.Item
}

// Matched is a Set with the picture of a dataset that each name stands for.
type Matched struct {
	// Faults are names that stand for no picture or for several.
	Faults Faults
	// Own is the number of files that are of the picture of their own name, since there is
	// none of the name that they give.
	Own int

	set  *Set
	of   map[int][]int
	late region.Tally // what is found when regions are asked for
}

// Match finds the pictures that a set's names stand for. A name is
//
//  1. an item's ID, or else
//  2. the end of an item's path or ID, or ends in an item's ID, whole folder and file
//     names being compared: of several the one with which it shares the most, or else
//  3. one item's file name, where no other item has it.
//
// Formats that leave the picture's extension out, such as YOLO, are compared without. A
// name that no item has is tried as the text of a URL, with %20 for a blank, and then
// against items of such names. Where a file has a second name, of its picture or its own,
// that counts where no item has the first; names that stand for two pictures are a fault,
// as is one that no item has, or that several have under the first rule that holds, unless
// the path of the annotation's own file settles it. Of several names that stand for one
// picture those have it with which it shares the most; the others are a fault. Memory grows
// with the set, not with the dataset.
func (s *Set) Match(items Items) *Matched {
	candidates := map[string][]int{}
	for i := range s.pictures {
		for _, n := range s.pictures[i].names() {
			for _, f := range forms {
				candidates[n.key(f.name)] = nil
			}
		}
	}
	for i := range items.Len() {
		it := items.Item(i)
		var keys []string
		for _, name := range []string{it.Path, it.ID} {
			for _, f := range []func(string) string{clean, unescaped} {
				if k := stem(path.Base(f(name))); !slices.Contains(keys, k) {
					keys = append(keys, k)
				}
			}
		}
		for _, k := range keys {
			if c, ok := candidates[k]; ok {
				candidates[k] = append(c, i)
			}
		}
	}
	m := &Matched{set: s, of: map[int][]int{}}
	claims := make([]claim, len(s.pictures))
	best := map[int]claim{}
	for k := range s.pictures {
		c := s.pictures[k].find(items, candidates)
		if c.err == nil && c.fit > best[c.item].fit {
			best[c.item] = claim{item: k, fit: c.fit}
		}
		claims[k] = c
	}
	for k, c := range claims {
		p := &s.pictures[k]
		if c.err == nil && c.fit < best[c.item].fit {
			c.err = because(OfAnother, fmt.Errorf("picture %q is not in the dataset: of that name there is only %q, which %q names better",
				p.name, items.Item(c.item).ID, s.pictures[best[c.item].item].name))
		}
		if c.err != nil {
			m.Faults.add(p.file, p.line, c.err)
			s.late.Add(k, -1, Counts{reasonOf(c.err): 1})
			continue
		}
		if c.own {
			m.Own++
		}
		m.of[c.item] = append(m.of[c.item], k)
	}
	if m.Own > 0 && s.Noted[OwnName] == 0 {
		s.Noted = s.Noted.Add(Counts{OwnName: m.Own})
	}
	return m
}

// claim is the item that a picture's names stand for; own says that it is by the file's own
// name, fit how well they do.
type claim struct {
	item, fit int
	own       bool
	err       error
}

// pictureName is what annotations call a picture; bare is without its extension. file is that
// of the annotations, without its own, where it is of this picture alone.
type pictureName struct {
	name string
	bare bool
	file string
}

// names are those that a picture has, the one to be tried first in front.
func (p *annotated) names() []pictureName {
	file := ""
	if p.bare || p.own != "" {
		file = stem(clean(p.file))
	}
	all := []pictureName{{p.name, p.bare, file}}
	if p.own != "" {
		all = append(all, pictureName{p.own, true, file})
	}
	return all
}

// forms are how names and those of items are compared, one after the other.
var forms = []struct{ name, item func(string) string }{{clean, clean}, {unescaped, clean}, {unescaped, unescaped}}

// key is the file name, without the picture's extension, that items of the name have.
func (n pictureName) key(form func(string) string) string {
	base := path.Base(form(n.name))
	if n.bare {
		return base
	}
	return stem(base)
}

// find is which item a picture's names stand for, of candidates by key.
func (p *annotated) find(items Items, candidates map[string][]int) (c claim) {
	names := p.names()
	c.item, c.err = names[0].find(items, candidates)
	if len(names) > 1 && reasonOf(c.err) != Ambiguous {
		switch k, other := names[1].find(items, candidates); {
		case c.err != nil && other == nil:
			c = claim{item: k, own: true}
		case c.err == nil && other == nil && k != c.item:
			c.err = because(Ambiguous, fmt.Errorf("the file says that it is of %q, which stands for picture %q, and its own name for %q; "+
				"rename the file, or correct what it says", p.name, items.Item(c.item).ID, items.Item(k).ID))
		}
	}
	if c.err == nil {
		for _, n := range names {
			c.fit = max(c.fit, n.fit(items.Item(c.item)))
		}
	}
	return c
}

// fit is how many folder and file names of an item's the name, or the path of its file,
// shares, two for each, and one where it ends in all of the name.
func (n pictureName) fit(it dataset.Item) (best int) {
	best = 2 * n.beside(it)
	for _, f := range forms {
		for _, of := range pictureNames(it) {
			if of = f.item(of); n.bare {
				of = stem(of)
			}
			name := f.name(n.name)
			best = max(best, 2*common(of, name)+truth(shared(of, name) > 0))
		}
	}
	return best
}

// beside is how many names the end of the path of the annotation's own file shares with that
// of an item.
func (n pictureName) beside(it dataset.Item) int {
	if n.file == "" {
		return 0
	}
	return common(stem(clean(it.Path)), n.file)
}

// pictureNames are the path and the ID of an item, as far as they name its picture and not a
// file that holds many.
func pictureNames(it dataset.Item) (names []string) {
	base := path.Base(clean(it.ID))
	if picture.IsName(it.Path) || path.Base(clean(it.Path)) == base {
		names = append(names, it.Path)
	}
	holder := base
	if at := strings.LastIndexByte(base, '['); at > 0 && strings.HasSuffix(base, "]") {
		holder = base[:at]
	}
	if holder == base || picture.IsName(holder) {
		names = append(names, it.ID)
	}
	return names
}

func (n pictureName) find(items Items, candidates map[string][]int) (i int, err error) {
	for k, f := range forms {
		if k > 0 && f.name(n.name) == clean(n.name) && !escapable(items, candidates[n.key(f.name)]) {
			continue
		}
		if i, err = n.among(items, candidates[n.key(f.name)], f.name, f.item); reasonOf(err) != NotInData {
			return i, err
		}
	}
	return i, err
}

// escapable reports whether the name of some item reads otherwise as the text of a URL.
func escapable(items Items, candidates []int) bool {
	return slices.ContainsFunc(candidates, func(i int) bool {
		it := items.Item(i)
		return strings.Contains(it.Path, "%") || strings.Contains(it.ID, "%")
	})
}

// among is which of some items a name stands for, by a form of it and of theirs.
func (n pictureName) among(items Items, candidates []int, form, itemForm func(string) string) (int, error) {
	name, of := form(n.name), itemForm
	if n.bare {
		of = func(s string) string { return stem(itemForm(s)) }
	}
	// How well an item fits: with more than any other, it is the one.
	rules := []func(dataset.Item) int{
		func(it dataset.Item) int {
			return truth(it.ID == n.name || n.bare && of(it.ID) == name && slices.Contains(pictureNames(it), it.ID))
		},
		func(it dataset.Item) (fit int) {
			for _, known := range pictureNames(it) {
				if fit = max(fit, shared(of(known), name)); known == it.ID {
					fit = max(fit, shared(name, of(known)))
				}
			}
			return fit
		},
		func(it dataset.Item) int {
			return truth(slices.ContainsFunc(pictureNames(it), func(known string) bool { return path.Base(of(known)) == path.Base(name) }))
		},
	}
	for _, rule := range rules {
		found := most(candidates, func(i int) int { return rule(items.Item(i)) })
		if len(found) > 1 {
			if near := most(found, func(i int) int { return n.beside(items.Item(i)) }); len(near) == 1 {
				found = near
			}
		}
		if len(found) == 1 {
			return found[0], nil
		}
		if len(found) > 1 {
			return 0, because(Ambiguous, fmt.Errorf("picture %q is ambiguous: %d pictures of the dataset have this name, %q and %q "+
				"among them; want a longer path or the ID", n.name, len(found), items.Item(found[0]).ID, items.Item(found[1]).ID))
		}
	}
	return 0, because(NotInData, fmt.Errorf("picture %q is not in the dataset of %d items; want an ID, the end of a path, or a file name",
		n.name, items.Len()))
}

// most are those of some items of which a number above 0 is the greatest.
func most(of []int, number func(i int) int) (found []int) {
	best := 1
	for _, i := range of {
		if n := number(i); n > best {
			found, best = []int{i}, n
		} else if n == best {
			found = append(found, i)
		}
	}
	return found
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// clean is a name with slashes, without "." and empty parts, its letters composed, which
// systems write in two ways.
func clean(name string) string {
	return norm.NFC.String(path.Clean(strings.ReplaceAll(filepath.ToSlash(name), `\`, "/")))
}

// unescaped is a clean name that was written as in a URL.
func unescaped(name string) string {
	name = clean(name)
	if text, err := url.PathUnescape(name); err == nil {
		return clean(text)
	}
	return name
}

// stem is a name without the extension of a picture's or an annotation's file.
func stem(name string) string { return strings.TrimSuffix(name, path.Ext(name)) }

// shared is how many folder and file names of the end of a name another has, 0 where it
// does not end in all of that.
func shared(name, end string) int {
	rest, ok := strings.CutSuffix(name, end)
	if !ok || rest != "" && !strings.HasSuffix(rest, "/") {
		return 0
	}
	return 1 + strings.Count(end, "/")
}

// twins are names of folders of annotations beside folders of pictures, in trees that are
// otherwise the same, such as those of Ultralytics and VOC.
var twins = []string{"images", "labels", "jpegimages", "annotations", "segmentationclass", "segmentationobject", "masks"}

// common is how many folder and file names the ends of two names have in common, twins being
// the same.
func common(a, b string) (n int) {
	x, y := strings.Split(a, "/"), strings.Split(b, "/")
	for n < min(len(x), len(y)) {
		p, q := x[len(x)-1-n], y[len(y)-1-n]
		twin := slices.Contains(twins, strings.ToLower(p)) && slices.Contains(twins, strings.ToLower(q))
		if p != q && (n == 0 || !twin) {
			break
		}
		n++
	}
	return n
}

// Has reports whether item i of the dataset has annotations.
func (m *Matched) Has(i int) bool { return len(m.of[i]) > 0 }

// Regions is the regions of item i, a picture of the given size before preprocessing,
// and what is wrong with those left out. Masks are made anew on each call and belong
// to the caller. It is safe for use from many goroutines.
func (m *Matched) Regions(i int, size picture.Size) ([]region.Region, []Fault) {
	var rs []region.Region
	var faults []Fault
	masks := int64(0)
	for _, k := range m.of[i] {
		p := &m.set.pictures[k]
		fault := func(mark, line int, err error) {
			faults = append(faults, Fault{p.file, line, err})
			found := Counts{reasonOf(err): 1}
			m.set.late.Add(k, mark, found)
			m.late.Add(k, mark, found)
		}
		if p.size != (picture.Size{}) && p.size != size {
			fault(-1, p.line, because(OtherSize, p.otherSize(size)))
			continue
		}
		if p.labels != "" {
			got, err := m.set.labelMap(p, size)
			if err != nil {
				fault(-1, 0, because(NoLabelMap, err))
			}
			rs = append(rs, got...)
		}
		paint, err := m.set.paintOf(p, size)
		if err != nil {
			fault(-1, p.line, err)
			if paint == nil {
				continue
			}
		}
		for j, mark := range p.marks {
			if masks > segment.MaxMaskBytes {
				fault(j, mark.line, because(TooMany, fmt.Errorf("picture %q: its masks take more than %d bytes",
					p.name, segment.MaxMaskBytes)))
				continue
			}
			if id, ok := mark.shape.(segmentID); ok && paint != nil {
				mark.shape = segmentOf{paint, uint32(id)}
			}
			r, err := mark.region(size, m.set.o)
			if err != nil {
				fault(j, mark.line, err)
				continue
			}
			if r.Mask != nil {
				masks += segment.MaskBytes(size.H, size.W)
			}
			rs = append(rs, r)
		}
	}
	return rs, faults
}

// otherSize says that a picture is of another size than annotated, which may be its orientation.
func (p *annotated) otherSize(size picture.Size) error {
	err := fmt.Errorf("picture %q: got a picture of %d x %d (width x height), want %d x %d as annotated",
		p.name, size.W, size.H, p.size.W, p.size.H)
	if size.W == p.size.H && size.H == p.size.W {
		err = onnx.Remedy(fmt.Errorf("%w, which is the picture turned: want its EXIF orientation applied where it was for the annotations, "+
			"and only there", err), "dataset.Options.EXIF")
	}
	return err
}

var errNoName = errors.New("the row names no picture")
