package dataset

import (
	"fmt"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// joined is several sources, one after the other.
type joined struct {
	parts  []source
	starts []int // the first sample of each part, and the number of all
	names  []string
	// relabel holds, for a part whose classes are not names, each label's index
	// in names.
	relabel [][]int
	// again holds the IDs of samples whose own ID was taken.
	again map[int]string
}

func join(parts []source) *joined {
	j := &joined{parts: parts, starts: []int{0}, relabel: make([][]int, len(parts)), again: map[int]string{}}
	for _, p := range parts {
		j.starts = append(j.starts, j.starts[len(j.starts)-1]+p.Len())
	}
	j.mergeClasses()
	j.uniqueIDs()
	return j
}

func (j *joined) mergeClasses() {
	var all []string
	same := true
	for _, p := range j.parts {
		if c := p.classes(); len(c) > 0 {
			same = same && (all == nil || slices.Equal(all, c))
			all = append(slices.Clone(all), c...)
			if same {
				all = c
			}
		}
	}
	if j.names = all; same {
		return
	}
	slices.Sort(all)
	j.names = slices.Compact(all)
	for i, p := range j.parts {
		for _, c := range p.classes() {
			at, _ := slices.BinarySearch(j.names, c)
			j.relabel[i] = append(j.relabel[i], at)
		}
	}
}

// uniqueIDs tells samples apart that were given twice. The samples of one part
// are different already, but for a list of files.
func (j *joined) uniqueIDs() {
	if len(j.parts) == 1 {
		if l, ok := j.parts[0].(*imageList); !ok || l.root != "" {
			return
		}
	}
	taken := make(map[string]struct{}, j.Len())
	for i := range j.Len() {
		id := j.Item(i).ID
		for n := 2; ; n++ {
			if _, ok := taken[id]; !ok {
				break
			}
			id = j.Item(i).ID + "#" + strconv.Itoa(n)
		}
		if id != j.Item(i).ID {
			j.again[i] = id
		}
		taken[id] = struct{}{}
	}
}

func (j *joined) part(i int) (p, at int) {
	p = sort.SearchInts(j.starts, i+1) - 1
	return p, i - j.starts[p]
}

func (j *joined) Len() int     { return j.starts[len(j.starts)-1] }
func (j *joined) Shape() []int { return j.parts[0].Shape() }

func (j *joined) Item(i int) Item {
	p, at := j.part(i)
	it := j.parts[p].Item(at)
	if id, ok := j.again[i]; ok {
		it.ID = id
	}
	if r := j.relabel[p]; it.Label >= 0 && it.Label < len(r) {
		it.Label = r[it.Label]
	}
	return it
}

func (j *joined) Sample(i int, dst []float32) error {
	p, at := j.part(i)
	return j.parts[p].Sample(at, dst)
}

func (j *joined) describe() Description {
	d := Description{Items: j.Len(), Shape: j.Shape(), Classes: j.names}
	for _, p := range j.parts {
		d.Sources = append(d.Sources, p.describe().Sources...)
	}
	return d
}

// plain makes a file's name one line of valid UTF-8, so that no two names
// become one: what cannot be shown is escaped, and so is the backslash where
// it is no separator.
func plain(name string) string {
	name = filepath.ToSlash(name)
	odd := func(r rune) bool { return r == utf8.RuneError || r == '\\' || !unicode.IsPrint(r) }
	if strings.IndexFunc(name, odd) < 0 {
		return name
	}
	var b strings.Builder
	for name != "" {
		r, n := utf8.DecodeRuneInString(name)
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case r == utf8.RuneError && n == 1, r < utf8.RuneSelf && !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\x%02x`, name[0])
		case !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\u{%x}`, r)
		default:
			b.WriteRune(r)
		}
		name = name[n:]
	}
	return b.String()
}
