package dataset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// labelling gathers what the items of a source say of their class. Whole numbers
// are labels as they are; when one item says anything else, all are names, and
// labels count the sorted names.
type labelling struct {
	of    labels // the number or the index of the name; -1 for none
	blank int    // items before these that say nothing
	names []string
	index map[string]int32
	said  bool // some item says something
	lost  bool // more names than classes can have
	odd   int  // items whose label is a list or an object
}

const (
	maxClasses   = 1 << 16
	maxClassName = 256
)

// add takes the next item's word; "" says nothing.
func (l *labelling) add(word string) {
	word = strings.TrimSpace(word)
	if word == "" && !l.said {
		l.blank++
		return
	}
	if word == "" || l.lost {
		l.of.add(-1)
		return
	}
	l.say()
	if l.index == nil {
		if v, ok := wholeNumber(word); ok {
			l.of.add(v)
			return
		}
		l.index = map[string]int32{}
		// What were numbers are names too.
		l.of.change(func(v int32) int32 { return l.name(strconv.Itoa(int(v))) })
	}
	l.of.add(l.name(word))
}

// why says which labels are left out, "" for none.
func (l *labelling) why() string {
	switch {
	case l.lost:
		return fmt.Sprintf("there are more than %d names, or longer ones than %d bytes: they are no classes", maxClasses, maxClassName)
	case l.odd > 0:
		return fmt.Sprintf("%d are lists or objects, which are not read", l.odd)
	}
	return ""
}

// say makes ready for the first item that says something.
func (l *labelling) say() {
	if !l.said {
		for l.said = true; l.blank > 0; l.blank-- {
			l.of.add(-1)
		}
	}
}

// len is the number of items so far.
func (l *labelling) len() int { return l.blank + l.of.n }

func (l *labelling) name(word string) int32 {
	if i, ok := l.index[word]; ok {
		return i
	}
	if len(l.names) == maxClasses || len(word) > maxClassName {
		l.lost = true
		return -1
	}
	i := int32(len(l.names))
	l.names, l.index[word] = append(l.names, word), i
	return i
}

// settle is the labels of all items and the classes' names, empty without.
func (l *labelling) settle() (of labels, class []string) {
	if l.lost || !l.said {
		return labels{}, nil
	}
	if l.index == nil {
		return l.of, nil
	}
	class = slices.Clone(l.names)
	slices.Sort(class)
	to := make([]int32, len(class))
	for i, name := range l.names {
		at, _ := slices.BinarySearch(class, name)
		to[i] = int32(at)
	}
	l.of.change(func(v int32) int32 { return to[v] })
	for i, name := range class {
		class[i] = plain(name)
	}
	return l.of, class
}

// wholeNumber reads a label; those below 0, such as the -1 of an unlabelled item, give -1.
// Spreadsheets write 3 as 3.0.
func wholeNumber(s string) (int32, bool) {
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || f != math.Trunc(f) || math.Abs(f) > math.MaxInt32 {
			return 0, false
		}
		v = int64(f)
	}
	if v > math.MaxInt32 {
		return 0, false // an ID, say, which is a name
	}
	return int32(max(v, -1)), true
}

// number takes the next item's label.
func (l *labelling) number(v int64) {
	if l.index != nil || l.lost || v > math.MaxInt32 {
		l.add(strconv.FormatInt(v, 10))
		return
	}
	l.say()
	l.of.add(int32(max(v, -1)))
}

// labels is very many labels, in the memory of the bytes that they need: one each
// where classes are few.
type labels struct {
	n      int
	packed [][]byte // perPack labels each, of 1, 2 or 4 bytes, and one more: 0 is none
	tail   []int32
}

const perPack = 1024

func (l *labels) add(v int32) {
	l.n++
	if l.tail = append(l.tail, v); len(l.tail) == perPack {
		l.packed, l.tail = append(l.packed, pack(l.tail)), l.tail[:0]
	}
}

// at is label i; -1 for none, and where there are no labels at all.
func (l *labels) at(i int) int {
	if l.n == 0 {
		return -1
	}
	if i/perPack == len(l.packed) {
		return int(l.tail[i%perPack])
	}
	b := l.packed[i/perPack]
	i %= perPack
	switch len(b) / perPack {
	case 1:
		return int(b[i]) - 1
	case 2:
		return int(binary.LittleEndian.Uint16(b[2*i:])) - 1
	}
	return int(binary.LittleEndian.Uint32(b[4*i:])) - 1
}

// change puts to(v) in the place of each label v.
func (l *labels) change(to func(v int32) int32) {
	all := *l
	*l = labels{packed: all.packed[:0]} // which is written behind where it is read
	for i := range all.n {
		v := int32(all.at(i))
		if v >= 0 {
			v = to(v)
		}
		l.add(v)
	}
}

// pack takes perPack labels.
func pack(v []int32) []byte {
	size := 4
	switch most := slices.Max(v); { // and one more has to fit
	case most < math.MaxUint8:
		size = 1
	case most < math.MaxUint16:
		size = 2
	}
	b := make([]byte, 0, size*len(v))
	var whole [4]byte
	for _, v := range v {
		binary.LittleEndian.PutUint32(whole[:], uint32(v)+1)
		b = append(b, whole[:size]...)
	}
	return b
}

// texts is very many strings, in the memory of their bytes and four more each.
type texts struct {
	b    []byte
	ends []uint32
}

var errTexts = errors.New("the names of its files take more than 4 GiB; give it in parts")

func (t *texts) add(parts ...string) error {
	for _, s := range parts {
		t.b = append(t.b, s...)
	}
	if len(t.b) > math.MaxUint32 {
		return errTexts
	}
	t.ends = append(t.ends, uint32(len(t.b)))
	return nil
}

func (t *texts) len() int { return len(t.ends) }

func (t *texts) at(i int) string {
	from := uint32(0)
	if i > 0 {
		from = t.ends[i-1]
	}
	return string(t.b[from:t.ends[i]])
}

// clip gives back what of the memory is not used.
func (t *texts) clip() texts {
	if cap(t.b) > len(t.b)+len(t.b)/4 {
		t.b = slices.Clip(slices.Clone(t.b))
	}
	if cap(t.ends) > len(t.ends)+len(t.ends)/4 {
		t.ends = slices.Clip(slices.Clone(t.ends))
	}
	return *t
}
