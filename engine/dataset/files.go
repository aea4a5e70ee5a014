package dataset

import (
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/engine/internal/safe"
)

// commons is what the sources of one dataset have in common, so that a thousand
// shards take the files and the memory of a few.
type commons struct {
	fsys      *Witness
	mu        sync.Mutex
	files     []*sharedFile // open, the latest used first
	windows   []*window     // open, the latest used first
	renderers map[string]*picture.Renderer
}

const (
	maxOpenFiles   = 64
	maxOpenWindows = 4
)

// sharedFile is a file that is open only while it is in use, or was lately. It
// must not change between: its offsets are known from before.
type sharedFile struct {
	all   *commons
	path  string
	is    fs.FileInfo
	f     file // nil while closed
	users int
}

func (s *commons) open(path string) (file, fs.FileInfo, error) {
	f, _, err := openRegular(s.fsys, path)
	if err != nil {
		return nil, nil, err
	}
	is, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, nil, safe.Reason(err)
	}
	return f, is, nil
}

// file opens a file for the first time.
func (s *commons) file(path string) (*sharedFile, error) {
	f, is, err := s.open(path)
	if err != nil {
		return nil, err
	}
	l := &sharedFile{all: s, path: path, is: is, f: f}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.use(l)
	return l, nil
}

// use puts a file first and closes the ones that nobody uses past the limit.
func (s *commons) use(l *sharedFile) {
	s.files = front(s.files, l)
	for i := len(s.files) - 1; i > 0 && len(s.files) > maxOpenFiles; i-- {
		if old := s.files[i]; old.users == 0 {
			old.f.Close()
			old.f = nil
			s.files = slices.Delete(s.files, i, i+1)
		}
	}
}

// front moves x to the front of list, or puts it there.
func front[T comparable](list []T, x T) []T {
	at := slices.Index(list, x)
	if at < 0 {
		at, list = len(list), append(list, x)
	}
	copy(list[1:at+1], list[:at])
	list[0] = x
	return list
}

func (l *sharedFile) ReadAt(b []byte, at int64) (int, error) {
	f, err := l.acquire()
	if err != nil { // which is of all items in it
		return 0, &MachineError{fmt.Errorf("opening %q again: %w", l.path, err)}
	}
	defer l.release()
	return f.ReadAt(b, at)
}

func (l *sharedFile) acquire() (file, error) {
	l.all.mu.Lock()
	defer l.all.mu.Unlock()
	if l.f == nil {
		f, is, err := l.all.open(l.path)
		if err != nil {
			return nil, err
		}
		if is.Size() != l.is.Size() || !is.ModTime().Equal(l.is.ModTime()) {
			f.Close()
			return nil, fmt.Errorf("the file has changed since the dataset was opened: it had %d bytes, now %d",
				l.is.Size(), is.Size())
		}
		l.f = f
	}
	l.users++
	l.all.use(l)
	return l.f, nil
}

func (l *sharedFile) release() {
	l.all.mu.Lock()
	l.users--
	l.all.mu.Unlock()
}

// forget closes a file that turned out to be of no use.
func (l *sharedFile) forget() {
	l.all.mu.Lock()
	defer l.all.mu.Unlock()
	if l.f == nil || l.users > 0 {
		return
	}
	l.f.Close()
	l.f = nil
	l.all.files = slices.DeleteFunc(l.all.files, func(f *sharedFile) bool { return f == l })
}

func (l *sharedFile) section() *io.SectionReader { return io.NewSectionReader(l, 0, l.is.Size()) }
