package region

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Reason is why a region is left out, or what is noted of it, in words that are the same for
// all of a kind: what it is counted by.
type Reason string

// The reasons that annotations and detectors share.
const (
	BadBox  Reason = "empty or inverted box"
	Outside Reason = "box beyond the picture"
)

// Counts says how many there are of some kinds.
type Counts map[Reason]int

// Add counts others too, and gives the sum; c may be nil.
func (c Counts) Add(others Counts) Counts {
	if c == nil && len(others) > 0 {
		c = Counts{}
	}
	for r, n := range others {
		c[r] += n
	}
	return c
}

// String is the counts with the most frequent first, "" of none.
func (c Counts) String() string {
	kinds := slices.SortedFunc(maps.Keys(c), func(a, b Reason) int { return cmp.Or(c[b]-c[a], cmp.Compare(a, b)) })
	var all []string
	for _, r := range kinds {
		all = append(all, fmt.Sprintf("%s: %d", r, c[r]))
	}
	return strings.Join(all, "; ")
}

// Tally counts what is found when the regions of pictures are asked for, of each part of a
// picture once, however often it is asked for. It can be used by several goroutines.
type Tally struct {
	mu     sync.Mutex
	seen   map[[2]int]bool
	counts Counts
}

// Add counts what is found of a part of a picture; -1 is the picture as a whole.
func (t *Tally) Add(picture, part int, found Counts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at := [2]int{picture, part}; len(found) > 0 && !t.seen[at] {
		if t.seen == nil {
			t.seen = map[[2]int]bool{}
		}
		t.seen[at] = true
		t.counts = t.counts.Add(found)
	}
}

// Counts is how many so far.
func (t *Tally) Counts() Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Counts(nil).Add(t.counts)
}

// PictureError says that a picture whose regions are to be found cannot be read.
type PictureError struct{ Err error }

func (e *PictureError) Error() string { return e.Err.Error() }

func (e *PictureError) Unwrap() error { return e.Err }

// LeftOut is what a source has left out of the regions that were asked for, and Noted what it
// has noted of those that stay: nil where it has no such methods.
func LeftOut(from any) Counts {
	if s, ok := from.(interface{ LeftOut() Counts }); ok {
		return s.LeftOut()
	}
	return nil
}

// Noted is described at LeftOut.
func Noted(from any) Counts {
	if s, ok := from.(interface{ Noted() Counts }); ok {
		return s.Noted()
	}
	return nil
}

// LeftOut is that of the pictures' source.
func (s *tileSource) LeftOut() Counts { return LeftOut(s.from) }

// Noted is that of the pictures' source.
func (s *tileSource) Noted() Counts { return Noted(s.from) }
