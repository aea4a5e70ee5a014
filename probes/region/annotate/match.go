package annotate

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
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

	set *Set
	of  map[int][]int
}

// Match finds the pictures that a set's names stand for. A name is
//
//  1. an item's ID, or else
//  2. the end of one item's path or ID, or ends in one item's ID, whole folder and
//     file names being compared, or else
//  3. one item's file name, where no other item has it.
//
// Formats that leave the picture's extension out, such as YOLO, are compared without.
// A name that no item has, or that several have under the first rule that holds, is a
// fault. Several names may stand for one picture. Memory grows with the set, not with
// the dataset.
func (s *Set) Match(items Items) *Matched {
	candidates := map[string][]int{}
	for i := range s.pictures {
		candidates[s.pictures[i].key()] = nil
	}
	for i := range items.Len() {
		it := items.Item(i)
		k := stem(path.Base(clean(it.Path)))
		if c, ok := candidates[k]; ok {
			candidates[k] = append(c, i)
		}
		if id := stem(path.Base(clean(it.ID))); id != k {
			if c, ok := candidates[id]; ok {
				candidates[id] = append(c, i)
			}
		}
	}
	m := &Matched{set: s, of: map[int][]int{}}
	for k := range s.pictures {
		p := &s.pictures[k]
		i, err := p.find(items, candidates[p.key()])
		if err != nil {
			m.Faults.add(p.file, p.line, err)
			continue
		}
		m.of[i] = append(m.of[i], k)
	}
	return m
}

// key is the file name, without the picture's extension, that items of the name have.
func (p *annotated) key() string {
	if base := path.Base(clean(p.name)); p.bare {
		return base
	} else {
		return stem(base)
	}
}

// find is which of some items a picture's name stands for.
func (p *annotated) find(items Items, candidates []int) (int, error) {
	name := clean(p.name)
	form := clean
	if p.bare {
		form = func(s string) string { return stem(clean(s)) }
	}
	rules := []func(dataset.Item) bool{
		func(it dataset.Item) bool { return it.ID == p.name || p.bare && form(it.ID) == name },
		func(it dataset.Item) bool {
			return endsIn(form(it.Path), name) || endsIn(form(it.ID), name) || endsIn(name, form(it.ID))
		},
		func(it dataset.Item) bool {
			return path.Base(form(it.Path)) == path.Base(name) || path.Base(form(it.ID)) == path.Base(name)
		},
	}
	for _, rule := range rules {
		var found []int
		for _, i := range candidates {
			if rule(items.Item(i)) {
				found = append(found, i)
			}
		}
		if len(found) == 1 {
			return found[0], nil
		}
		if len(found) > 1 {
			return 0, fmt.Errorf("picture %q is ambiguous: %d pictures of the dataset have this name, %q and %q among them; want a longer path or the ID",
				p.name, len(found), items.Item(found[0]).ID, items.Item(found[1]).ID)
		}
	}
	return 0, fmt.Errorf("picture %q is not in the dataset of %d items; want an ID, the end of a path, or a file name", p.name, items.Len())
}

// clean is a name with slashes, without "." and empty parts.
func clean(name string) string {
	return path.Clean(strings.ReplaceAll(filepath.ToSlash(name), `\`, "/"))
}

// stem is a name without the extension of a picture's or an annotation's file.
func stem(name string) string { return strings.TrimSuffix(name, path.Ext(name)) }

func endsIn(name, end string) bool {
	rest, ok := strings.CutSuffix(name, end)
	return ok && (rest == "" || strings.HasSuffix(rest, "/"))
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
		fault := func(line int, err error) { faults = append(faults, Fault{p.file, line, err}) }
		if p.size != (picture.Size{}) && p.size != size {
			fault(p.line, fmt.Errorf("picture %q: got a picture of %d x %d (width x height), want %d x %d as annotated", p.name, size.W, size.H, p.size.W, p.size.H))
			continue
		}
		if p.labels != "" {
			got, err := m.set.labelMap(p, size)
			if err != nil {
				fault(0, err)
			}
			rs = append(rs, got...)
		}
		for j := range p.marks {
			if masks > segment.MaxMaskBytes {
				fault(p.marks[j].line, fmt.Errorf("picture %q: its masks take more than %d bytes; the rest is left out", p.name, segment.MaxMaskBytes))
				break
			}
			r, err := p.marks[j].region(size, m.set.o)
			if err != nil {
				fault(p.marks[j].line, err)
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

var errNoName = errors.New("the row names no picture")
