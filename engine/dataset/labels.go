package dataset

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// labelling gathers what the items of a source say of their class. Whole numbers
// are labels as they are; when one item says anything else, all are names, and
// labels count the sorted names.
type labelling struct {
	of    []int32 // the number or the index of the name; -1 for none
	blank int     // items before these that say nothing
	names []string
	index map[string]int32
	said  bool // some item says something
	lost  bool // more names than classes can have
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
		l.of = append(l.of, -1)
		return
	}
	l.say()
	if l.index == nil {
		if v, ok := wholeNumber(word); ok {
			l.of = append(l.of, v)
			return
		}
		l.index = map[string]int32{}
		for i, v := range l.of { // what were numbers are names too
			if v >= 0 {
				l.of[i] = l.name(strconv.Itoa(int(v)))
			}
		}
	}
	l.of = append(l.of, l.name(word))
}

// say makes ready for the first item that says something.
func (l *labelling) say() {
	if !l.said {
		l.said, l.of, l.blank = true, slices.Repeat([]int32{-1}, l.blank), 0
	}
}

// len is the number of items so far.
func (l *labelling) len() int { return l.blank + len(l.of) }

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

// settle is the labels of all items and the classes' names, nil without. Words
// that are all different are no classes.
func (l *labelling) settle() (labels []int32, class []string) {
	if l.lost || !l.said {
		return nil, nil
	}
	if l.index == nil {
		return slices.Clip(l.of), nil
	}
	class = slices.Clone(l.names)
	slices.Sort(class)
	to := make([]int32, len(class))
	for i, name := range l.names {
		at, _ := slices.BinarySearch(class, name)
		to[i] = int32(at)
	}
	for i, v := range l.of {
		if v >= 0 {
			l.of[i] = to[v]
		}
	}
	for i, name := range class {
		class[i] = plain(name)
	}
	return slices.Clip(l.of), class
}

// wholeNumber reads a label; numbers that cannot be one, such as the -1 of an
// unlabelled item, give -1. Spreadsheets write 3 as 3.0.
func wholeNumber(s string) (int32, bool) {
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || f != math.Trunc(f) || math.Abs(f) > math.MaxInt32 {
			return 0, false
		}
		v = int64(f)
	}
	if v < 0 || v > math.MaxInt32 {
		return -1, true
	}
	return int32(v), true
}

// number takes the next item's label.
func (l *labelling) number(v int64) {
	if l.index != nil || l.lost {
		l.add(strconv.FormatInt(v, 10))
		return
	}
	if v < 0 || v > math.MaxInt32 {
		v = -1
	}
	l.say()
	l.of = append(l.of, int32(v))
}
