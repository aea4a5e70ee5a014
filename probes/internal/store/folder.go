package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// lock is what became of asking for one.
type lock int

const (
	got     lock = iota
	taken        // by another process
	unknown      // the system or the file system has none: what is left is told by its age
)

// Folder is a folder of the local disk, or of a network file system.
type Folder string

func (f Folder) String() string { return string(f) }

// Path is where a file lies.
func (f Folder) Path(name string) string {
	return filepath.Join(string(f), filepath.FromSlash(name))
}

// maxGet bounds what is read whole: a sparse file of terabytes is no plan.
const maxGet = 4 << 30

func (f Folder) Get(name string) ([]byte, error) {
	o, err := f.open(name)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	if o.size > maxGet {
		return nil, fmt.Errorf("%s has %d bytes, more than the %d that are read whole", f.Path(name), o.size, int64(maxGet))
	}
	b := make([]byte, o.size)
	_, err = io.ReadFull(io.NewSectionReader(o, 0, o.size), b)
	return b, err
}

func (f Folder) Open(name string) (File, error) { return f.open(name) }

func (f Folder) open(name string) (*opened, error) { return openFile(f.Path(name)) }

func openFile(path string) (*opened, error) {
	o, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, &NotRegularError{path, fs.ModeSymlink}
	}
	if err != nil {
		return nil, err
	}
	st, err := o.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = &NotRegularError{path, st.Mode()}
	}
	if err != nil {
		o.Close()
		return nil, err
	}
	return &opened{o, st.Size()}, nil
}

type opened struct {
	*os.File
	size int64
}

func (o *opened) Size() int64 { return o.size }

// Temporary matches the names of drafts, and gives that of the file.
var Temporary = regexp.MustCompile(`^\.(.+)\.[0-9a-f]{16}\.tmp$`)

// temporary is a name for a draft: in the same folder, hidden, and its own.
func (f Folder) temporary(name string) string {
	dir, base := path.Split(name)
	return f.Path(dir + fmt.Sprintf(".%s.%016x.tmp", base, rand.Uint64()))
}

func (f Folder) Create(name string, absent bool) (Draft, error) {
	d, err := f.create(name, name, absent)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// create begins a draft of name, whose temporary name is that of near.
func (f Folder) create(name, near string, absent bool) (*draft, error) {
	// Not os.CreateTemp: it makes files that only their owner can read.
	d := &draft{path: f.Path(name), temp: f.temporary(near), absent: absent}
	if err := d.may(); err != nil {
		return nil, err
	}
	abandoned.RLock()
	defer abandoned.RUnlock()
	var err error
	for try := range 100 {
		time.Sleep(time.Duration(try) * 100 * time.Microsecond)
		if err = f.folderOf(name); err != nil {
			return nil, err
		}
		d.File, err = os.OpenFile(d.temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, fs.ErrNotExist) {
			continue // another process took the emptied folder along
		}
		if err != nil {
			return nil, err
		}
		// Before it was held, another process may have taken it for left.
		if hold(d.File) != taken {
			if _, gone := os.Lstat(d.temp); gone == nil {
				live.add(d, d.temp)
				return d, nil
			}
		}
		d.Close()
		os.Remove(d.temp)
		d.temp = f.temporary(near)
		err = &fs.PathError{Op: "create", Path: d.temp, Err: fs.ErrNotExist}
	}
	return nil, err
}

// folderOf makes the folder below f that a name lies in.
func (f Folder) folderOf(name string) error {
	dir := path.Dir(name)
	if dir == "." {
		return nil
	}
	err := os.Mkdir(f.Path(dir), 0o777)
	if errors.Is(err, fs.ErrExist) {
		if st, err := os.Stat(f.Path(dir)); err == nil && !st.IsDir() {
			return fmt.Errorf("%s is no folder, and there has to be one of this name; move it away", f.Path(dir))
		}
		return nil
	}
	return err
}

// draft is a file under a temporary name.
type draft struct {
	*os.File
	path, temp      string
	absent          bool
	published, gone bool
	held            bool // it is a mark
}

// may says why a draft must not have its name.
func (d *draft) may() error {
	st, err := os.Lstat(d.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case d.absent:
		return &fs.PathError{Op: "create", Path: d.path, Err: fs.ErrExist}
	}
	if st.Mode()&fs.ModeSymlink != 0 {
		if st, err = os.Stat(d.path); err != nil {
			return nil // it leads nowhere, and is replaced
		}
	}
	if !st.Mode().IsRegular() {
		return &NotRegularError{d.path, st.Mode()}
	}
	return nil
}

// Seal leaves the file open: its lock says that the draft is in use.
func (d *draft) Seal() error { return d.Sync() }

func (d *draft) Open() (File, error) { return openFile(d.temp) }

func (d *draft) Discard() error {
	if d.gone {
		return nil
	}
	d.gone = true
	d.Close() // nothing of it is kept
	name := d.temp
	if d.published {
		name = d.path
	}
	live.drop(d)
	if err := os.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// publishing is held while files get their names: a result of several files must not
// mix with another's that is made at the same path.
var publishing sync.Mutex

func (f Folder) Publish(drafts ...Draft) error {
	abandoned.RLock() // for good once Abandon was called
	defer abandoned.RUnlock()
	publishing.Lock()
	defer publishing.Unlock()
	dir, err := os.Open(filepath.Dir(drafts[0].(*draft).path))
	if err != nil {
		return err
	}
	defer dir.Close()
	await(dir)
	for _, d := range drafts {
		if err := d.(*draft).may(); err != nil {
			return err
		}
	}
	for _, d := range drafts {
		d := d.(*draft)
		if runtime.GOOS == "windows" { // where an open file keeps its name
			d.Close()
		}
		if err := give(d.temp, d.path, d.absent); err != nil {
			return err
		}
		d.published = true
		live.drop(d)
	}
	for _, d := range drafts {
		d.(*draft).Close()
	}
	// Makes the names survive a crash. Not every system can sync a folder.
	if err := dir.Sync(); errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return err
	}
	return nil
}

// give renames; with absent only where nothing has the name, on other machines either.
func give(temp, name string, absent bool) error {
	if absent {
		err := os.Link(temp, name)
		if err == nil || errors.Is(err, fs.ErrExist) {
			return errors.Join(err, os.Remove(temp))
		}
		if _, err := os.Lstat(name); err == nil { // no links here
			return &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
		}
	}
	return os.Rename(temp, name)
}

func (f Folder) List(prefix string) ([]Entry, error) {
	dir, base := path.Split(prefix)
	entries, err := os.ReadDir(f.Path(dir))
	if err != nil {
		if dir != "" && errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	var out []Entry
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), base) {
			continue
		}
		st, err := os.Stat(f.Path(dir + e.Name()))
		switch {
		case err == nil:
			out = append(out, Entry{dir + e.Name(), st.Size(), st.Mode().IsRegular()})
		case e.Type()&fs.ModeSymlink != 0: // to nowhere, or to itself
			out = append(out, Entry{Name: dir + e.Name()})
		case !errors.Is(err, fs.ErrNotExist): // else it is gone since
			return nil, err
		}
	}
	return out, nil
}

func (f Folder) Delete(name string) error {
	st, err := os.Lstat(f.Path(name))
	if err == nil && !st.Mode().IsRegular() && st.Mode()&fs.ModeSymlink == 0 {
		return &NotRegularError{f.Path(name), st.Mode()}
	}
	if err == nil {
		err = os.Remove(f.Path(name))
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if dir := path.Dir(name); dir != "." {
		os.Remove(f.Path(dir)) // when it is empty
	}
	return err
}

func (f Folder) Hold(name, text string) (Held, error) {
	mark := name + "/" + fmt.Sprintf("%016x", rand.Uint64())
	d, err := f.create(mark, name, true) // beside the folder: what is in it is a mark
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(d.File, text)
	abandoned.RLock()
	defer abandoned.RUnlock()
	for range 100 {
		if err = os.Rename(d.temp, d.path); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		if lost := f.folderOf(mark); lost != nil { // another process took the emptied folder along
			err = lost
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, d.Discard())
	}
	d.published, d.held = true, true
	live.drop(d)
	live.add(d, d.path, filepath.Dir(d.path))
	return &held{d}, nil
}

type held struct{ *draft }

func (h *held) Release(stay bool) {
	if stay {
		live.drop(h.draft)
		h.Close()
		return
	}
	_ = h.Discard()
	os.Remove(filepath.Dir(h.path)) // when it is empty
}

func (f Folder) Holds(name string) (left, held int, err error) {
	err = f.marks(name, func(_ string, free bool) error {
		if free {
			left++
		} else {
			held++
		}
		return nil
	})
	return left, held, err
}

func (f Folder) Forget(name string) error {
	err := f.marks(name, func(path string, free bool) error {
		if free {
			return os.Remove(path)
		}
		return nil
	})
	os.Remove(f.Path(name)) // when it is empty
	return err
}

func (f Folder) Lock(name string) (unlock func(), err error) {
	for {
		o, err := f.open(name)
		if err != nil {
			return nil, err
		}
		await(o.File)
		mine, err := o.Stat()
		var now fs.FileInfo
		if err == nil {
			now, err = os.Stat(f.Path(name))
		}
		if err == nil && os.SameFile(mine, now) {
			return func() { o.Close() }, nil
		}
		if o.Close(); err != nil {
			return nil, err
		}
	}
}

func (f Folder) Sweep(mine func(name string) bool) error {
	entries, err := os.ReadDir(f.Path(""))
	if err != nil {
		return err
	}
	for _, e := range entries {
		m := Temporary.FindStringSubmatch(e.Name())
		if m == nil || !mine(m[1]) || !e.Type().IsRegular() {
			continue
		}
		err := look(f.Path(e.Name()), func(free bool) error {
			if free {
				return os.Remove(f.Path(e.Name()))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// look says of a file that is there whether no process holds it; it stays so meanwhile.
func look(path string, then func(free bool) error) error {
	o, err := os.OpenFile(path, os.O_RDWR|nonblock, 0)
	if err == nil {
		defer o.Close()
		lock := hold(o)
		free := lock == got
		if lock == unknown { // an old one is nobody's
			var st fs.FileInfo
			st, err = o.Stat()
			free = err == nil && time.Since(st.ModTime()) > time.Hour
		}
		if _, gone := os.Lstat(path); err == nil && gone == nil {
			err = then(free)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it ended
	}
	return err
}

// marks goes over the files below a name.
func (f Folder) marks(name string, each func(path string, free bool) error) error {
	entries, err := os.ReadDir(f.Path(name))
	if err != nil {
		if st, missing := os.Stat(f.Path(name)); missing == nil && !st.IsDir() {
			return fmt.Errorf("%s is no folder, and there has to be one of this name; move it away", f.Path(name))
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	}
	for _, e := range entries {
		path := filepath.Join(f.Path(name), e.Name())
		if err := look(path, func(free bool) error { return each(path, free) }); err != nil {
			return err
		}
	}
	return nil
}

// registry is the files that are removed when the program is abandoned.
type registry struct {
	mu    sync.Mutex
	paths map[*draft][]string
}

var live = registry{paths: map[*draft][]string{}}

func (r *registry) add(d *draft, paths ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.paths[d] = paths
}

func (r *registry) drop(d *draft) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.paths, d)
}

// abandoned is read-locked by what makes or names files.
var abandoned sync.RWMutex

// Abandon removes all drafts of this process, and its marks unless they are to tell that it
// died; whoever makes or publishes one after it waits for ever. It is for a process that is
// about to end in the middle of its work: what was published stays whole.
func Abandon(died bool) {
	abandoned.Lock()
	live.mu.Lock()
	for d, paths := range live.paths {
		if died && d.held {
			continue
		}
		for _, path := range paths {
			os.Remove(path) // a folder of marks when it is empty
		}
	}
}
