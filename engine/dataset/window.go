package dataset

import (
	"fmt"
	"sync"
)

// window reads images that come only in order, from many goroutines that ask
// for them nearly in order: it keeps those that were passed over and not asked
// for yet. Going back further starts again, which is slow and correct.
type window struct {
	all *commons
	// start is a cursor before everything.
	start func() (cursor, error)
	// lead is how many images before the first asked for are kept too.
	lead int

	mu   sync.Mutex
	cur  cursor
	last int // the last image read, -1 before the first
	kept []passed
	size int64
}

// cursor reads image i, later than any before; what lies between is skipped. An
// error is image i's; the next can be asked for.
type cursor interface {
	read(i int) ([]byte, error)
	close()
}

type passed struct {
	i    int
	data []byte
	err  error
}

const (
	// As many goroutines as this can race each other without a restart, unless
	// their images are so large that keeping them takes more than maxKept bytes.
	maxPassed = 512
	maxKept   = 256 << 20
)

func (w *window) get(i int) ([]byte, error) {
	b, err := w.read(i)
	w.all.mu.Lock()
	w.all.windows = front(w.all.windows, w)
	var old *window
	if n := len(w.all.windows); n > maxOpenWindows {
		old, w.all.windows = w.all.windows[n-1], w.all.windows[:n-1]
	}
	w.all.mu.Unlock()
	if old != nil {
		old.mu.Lock()
		old.reset()
		old.mu.Unlock()
	}
	return b, err
}

func (w *window) reset() {
	if w.cur != nil {
		w.cur.close()
	}
	w.cur, w.kept, w.size = nil, nil, 0
}

func (w *window) read(i int) (b []byte, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() {
		if r := recover(); r != nil { // the cursor's state is lost
			w.cur, w.kept, w.size = nil, nil, 0
			err = fmt.Errorf("the reader failed: %v", r)
		}
	}()
	for k, p := range w.kept {
		if p.i == i {
			w.kept = append(w.kept[:k], w.kept[k+1:]...)
			w.size -= int64(len(p.data))
			return p.data, p.err
		}
	}
	if w.cur != nil && i <= w.last {
		w.reset()
	}
	if w.cur == nil {
		if w.cur, err = w.start(); err != nil {
			w.cur = nil
			return nil, err
		}
		w.last = -1
	}
	next := w.last + 1
	if i-next >= maxPassed || w.last < 0 {
		next = max(next, i-w.lead)
	}
	for ; next < i; next++ {
		data, err := w.cur.read(next)
		w.last = next
		w.keep(passed{next, data, err})
	}
	w.last = i
	return w.cur.read(i)
}

func (w *window) keep(p passed) {
	w.kept, w.size = append(w.kept, p), w.size+int64(len(p.data))
	n := 0
	for ; len(w.kept)-n > maxPassed || w.size > maxKept; n++ {
		w.size -= int64(len(w.kept[n].data))
		w.kept[n] = passed{}
	}
	w.kept = w.kept[n:]
}
