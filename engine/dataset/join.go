package dataset

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/zeebo/xxh3"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
)

// joined is several sources, one after the other.
type joined struct {
	*concat[source]
	names []string
	// relabel holds, for a part whose classes are not names, each label's index
	// in names.
	relabel [][]int
	// again holds the IDs of samples whose own ID was taken.
	again map[int]string
	// origins is where Open found the parts.
	origins []Origin
	// left is what it left out of folders.
	left []Left
}

func join(parts []source) *joined {
	j := &joined{concat: newConcat(parts), relabel: make([][]int, len(parts)), again: map[int]string{}}
	j.mergeClasses()
	j.uniqueIDs()
	return j
}

func (j *joined) mergeClasses() {
	same := true
	for _, p := range j.parts {
		if c := p.classes(); len(c) > 0 {
			if j.names == nil {
				j.names = c
			}
			same = same && slices.Equal(j.names, c)
		}
	}
	if same {
		return
	}
	j.names = nil
	for _, p := range j.parts {
		j.names = append(j.names, p.classes()...)
	}
	slices.Sort(j.names)
	j.names = slices.Compact(j.names)
	for i, p := range j.parts {
		for _, c := range p.classes() {
			at, _ := slices.BinarySearch(j.names, c)
			j.relabel[i] = append(j.relabel[i], at)
		}
	}
}

// numbered are the IDs that a sample could get because its own was taken.
var numbered = regexp.MustCompile(`#[0-9]+$`)

// uniqueIDs tells samples apart that were given twice. Where the samples of each
// part are different, and no part's IDs begin as another's, there are none.
func (j *joined) uniqueIDs() {
	var before []string
	for _, p := range j.parts {
		s, ok := p.distinct()
		if !ok {
			break
		}
		before = append(before, s)
	}
	if slices.Sort(before); len(before) == len(j.parts) {
		apart := true
		for i := 1; i < len(before); i++ {
			apart = apart && !strings.HasPrefix(before[i], before[i-1])
		}
		if apart {
			return
		}
	}
	var room []byte
	for _, r := range repeated(j.Len(), func(do func(i int, id []byte)) {
		for i := range j.Len() {
			room = append(room[:0], j.Item(i).ID...)
			do(i, room)
		}
	}) {
		j.again[r.item] = j.Item(r.item).ID + "#" + strconv.Itoa(r.suffix)
	}
}

// repeat is an item whose ID came before, and the suffix that makes it unlike all others.
type repeat struct{ item, suffix int }

// repeated finds the repeats among n IDs, which each gives in order as often as it is
// called.
func repeated(n int, each func(do func(i int, id []byte))) (again []repeat) {
	// Two IDs of one hash, should they ever meet, only cost the later one a suffix.
	sums := make([]uint64, n) // 8 bytes each, where a set takes a hundred
	each(func(i int, id []byte) { sums[i] = xxh3.Hash(id) })
	slices.Sort(sums)
	twice := map[uint64]bool{}
	for i := 1; i < len(sums); i++ {
		if sums[i] == sums[i-1] {
			twice[sums[i]] = true
		}
	}
	if sums = nil; len(twice) == 0 {
		return nil
	}
	taken := map[uint64]int{} // a hash of each ID to the suffix that comes next
	each(func(i int, id []byte) {
		sum := xxh3.Hash(id)
		if !twice[sum] && !numbered.Match(id) {
			return // no other's, and none that another could get
		}
		if n := taken[sum]; n > 0 {
			other := sum
			for ; taken[other] > 0; n++ {
				other = xxh3.HashString(string(id) + "#" + strconv.Itoa(n))
			}
			again = append(again, repeat{i, n - 1})
			taken[sum], sum = n, other
		}
		taken[sum] = 2
	})
	return slices.Clip(again)
}

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

func (j *joined) describe() Description {
	d := Description{Classes: j.names, Left: j.left}
	for _, p := range j.parts {
		d.Sources = append(d.Sources, p.describe().Sources...)
		if _, ok := p.(interface{ firstSize() (int, int, error) }); ok { // image files
			d.JPEG = picture.JPEGDecoder
		}
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
