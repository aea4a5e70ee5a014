package dataset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
)

// Every error of the system in the table, and what is not in it, is whose it should be,
// wrapped as package os does too.
func TestFaultOf(t *testing.T) {
	want := map[FaultKind][]syscall.Errno{
		MachineFault: {syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ESTALE, syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EROFS, syscall.ETIMEDOUT,
			syscall.EAGAIN, syscall.ENOBUFS, syscall.ENOTCONN, syscall.ECONNABORTED, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EHOSTDOWN,
			syscall.EHOSTUNREACH, syscall.ENETDOWN, syscall.ENETUNREACH, syscall.ENODEV, syscall.ENOLCK},
		NameFault: {syscall.ENOENT, syscall.EACCES, syscall.EPERM, syscall.ELOOP, syscall.ENAMETOOLONG, syscall.EISDIR, syscall.ENOTDIR, syscall.EINVAL,
			syscall.EILSEQ, syscall.ENXIO},
		MediumFault: {syscall.EIO},
	}
	n := 0
	for kind, all := range want {
		for _, no := range all {
			n++
			if _, ok := faultKinds[no]; !ok {
				t.Errorf("%v is not in the table", no)
			}
			wrapped := fmt.Errorf("reading: %w", &fs.PathError{Op: "open", Path: "x", Err: no})
			if got := FaultOf(wrapped); got != kind {
				t.Errorf("%v: kind %d, want %d", no, got, kind)
			}
			if said := slices.Contains(MachineTexts(), no.Error()); said != (kind >= MediumFault) {
				t.Errorf("%v is among what the machine says: %v", no, said)
			}
		}
	}
	if n != len(faultKinds) {
		t.Errorf("the table has %d entries, and %d are tested", len(faultKinds), n)
	}
	for err, kind := range map[error]FaultKind{
		nil: ItemFault, errors.New("no PNG"): ItemFault, fs.ErrNotExist: NameFault, fs.ErrPermission: NameFault, os.ErrDeadlineExceeded: MachineFault,
		syscall.EXDEV: MediumFault, // which nobody thought of
	} {
		if got := FaultOf(err); got != kind {
			t.Errorf("%v: kind %d, want %d", err, got, kind)
		}
	}
}

// failing is a file system whose call number at, and those after it up to to, end with an
// error; only those of one name if there is one.
type failing struct {
	fs.FS
	at, to int
	name   string
	read   bool // only reading fails
	err    error
	mu     sync.Mutex
	calls  int
}

func (b *failing) call(name string) error {
	if b.name != "" && !strings.HasSuffix(name, b.name) {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	if b.calls >= b.at && b.calls <= b.to {
		return &fs.PathError{Op: "test", Path: name, Err: b.err}
	}
	return nil
}

func (b *failing) look(name string) error {
	if b.read {
		return nil
	}
	return b.call(name)
}

func (b *failing) Open(name string) (fs.File, error) {
	if err := b.look(name); err != nil {
		return nil, err
	}
	f, err := b.FS.Open(name)
	if err != nil {
		return nil, err
	}
	if at, ok := f.(file); ok {
		return &failingFile{at, name, b}, nil
	}
	return f, nil
}

func (b *failing) Stat(name string) (fs.FileInfo, error) {
	if err := b.look(name); err != nil {
		return nil, err
	}
	return fs.Stat(b.FS, name)
}

func (b *failing) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := b.look(name); err != nil {
		return nil, err
	}
	return fs.ReadDir(b.FS, name)
}

type failingFile struct {
	file
	name string
	b    *failing
}

func (f *failingFile) Read(p []byte) (int, error) {
	if err := f.b.call(f.name); err != nil {
		return 0, err
	}
	return f.file.Read(p)
}

func (f *failingFile) ReadAt(p []byte, at int64) (int, error) {
	if err := f.b.call(f.name); err != nil {
		return 0, err
	}
	return f.file.ReadAt(p, at)
}

func (f *failingFile) Stat() (fs.FileInfo, error) {
	if err := f.b.look(f.name); err != nil {
		return nil, err
	}
	return f.file.Stat()
}

// told is all that a dataset says of its items, or why it cannot.
func told(from []string, o Options) (said []string, err error) {
	ds, err := Open(from, o)
	if err != nil {
		return nil, err
	}
	d := Describe(ds)
	said = append(said, fmt.Sprint(len(d.Sources), d.Items, d.Shape, d.Classes, d.Left))
	for b, err := range Batches(context.Background(), ds, 4, 1) {
		if err != nil {
			return nil, err
		}
		for k := range b.N {
			n := b.Input.Len() / 4
			said = append(said, fmt.Sprint(b.Items[k], b.Errs[k], xxh3.Hash(fmt.Append(nil, b.Input.Float64s()[k*n:(k+1)*n]))))
		}
	}
	return said, nil
}

// differs is the first line in which two differ.
func differs(got, want []string) string {
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			return fmt.Sprintf("got %.300q, want %.300q", got[min(i, len(got)-1)], want[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(got), len(want))
}

// Whatever call of the file system fails, of whatever source: a fault of the machine is
// an error that is one, or it made no difference; never a row, a label or a file less.
func TestNoMachineFaultIsARow(t *testing.T) {
	defer func(old []time.Duration) { pauses = old }(pauses)
	pauses = []time.Duration{0, 0}
	pics := zooPics(t)
	pre, err := picture.ParsePreprocess("imagenet")
	if err != nil {
		t.Fatal(err)
	}
	pre.Resize.Size, pre.Crop = picture.Size{H: 24, W: 24}, picture.Size{H: 20, W: 20}
	for _, f := range Formats {
		files, pictures := formatCases[f.Name](t, pics)
		memory := fstest.MapFS{}
		from := []string{"in"}
		for name, b := range files {
			memory["in/"+name] = &fstest.MapFile{Data: b, Mode: 0o444, ModTime: time.Unix(1, 0)}
			if f.Name == "list" && !picture.IsName(name) {
				from = []string{"in/" + name}
			}
		}
		o := Options{Preprocess: &pre}
		if !pictures && f.Name != "images" {
			o = Options{}
		}
		fsys := &failing{FS: memory}
		o.FS = fsys
		want, err := told(from, o)
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		calls, faults, same := fsys.calls, 0, 0
		for _, no := range []syscall.Errno{syscall.EMFILE, syscall.ESTALE, syscall.EIO} {
			for at := 1; at <= calls; at += 1 + calls/100 {
				fsys := &failing{FS: memory, at: at, to: at, err: no}
				o.FS = fsys
				got, err := told(from, o)
				switch {
				case err == nil && slices.Equal(got, want):
					same++
				case err == nil:
					t.Errorf("%s: %v at call %d of %d is not told: %s", f.Name, no, at, calls, differs(got, want))
				case FaultOf(err) != MachineFault || !errors.Is(err, no):
					t.Errorf("%s: %v at call %d of %d: %v", f.Name, no, at, calls, err)
				default:
					faults++
				}
			}
		}
		if faults == 0 || calls < 5 {
			t.Errorf("%s: of %d calls %d ended it", f.Name, calls, faults)
		}
		t.Logf("%s: %d calls; %d faults ended it, %d made no difference", f.Name, calls, faults, same)
	}
}

// An input/output error that stays is a row, that says so, where other items can be read;
// where most cannot, it is the machine's.
func TestMediumFaults(t *testing.T) {
	defer func(old []time.Duration) { pauses = old }(pauses)
	pauses = []time.Duration{0, 0}
	pics := zooPics(t)
	memory := fstest.MapFS{}
	for k := range 12 {
		memory[fmt.Sprintf("in/%02d.png", k)] = &fstest.MapFile{Data: pics[0].data, Mode: 0o444}
	}
	o := Options{Input: []int{3, 47, 61}}
	read := func(name string, no syscall.Errno) (rows []string, err error) {
		o.FS = memory
		ds, err := Open([]string{"in"}, o)
		if err != nil {
			t.Fatal(err)
		}
		list := ds.(*joined).parts[0].(*imageList)
		fsys := NewWitness(&failing{FS: memory, at: 1, to: 1 << 30, name: name, err: no})
		list.o.FS = fsys
		list.load = func(i int) ([]byte, error) { return readRegular(fsys, list.file(i), 1<<20) }
		for b, err := range Batches(context.Background(), ds, 5, 2) {
			if err != nil {
				return nil, err
			}
			for k := range b.N {
				if b.Errs[k] != nil {
					rows = append(rows, b.Errs[k].Error())
				}
			}
		}
		return rows, nil
	}
	rows, err := read("03.png", syscall.EIO)
	if err != nil || len(rows) != 1 || !strings.Contains(rows[0], `"in/03.png": input/output error, in three tries`) {
		t.Errorf("one that stays: %q, %v", rows, err)
	}
	for what, c := range map[string]struct {
		name string
		no   syscall.Errno
	}{"all": {".png", syscall.EIO}, "the machine's": {"03.png", syscall.EMFILE}, "stale": {"03.png", syscall.ESTALE}, "the root too": {"", syscall.ENOENT}} {
		if rows, err := read(c.name, c.no); FaultOf(err) != MachineFault || !errors.Is(err, c.no) {
			t.Errorf("%s: %q, %v", what, rows, err)
		}
	}
	for _, no := range []syscall.Errno{syscall.ENOENT, syscall.EACCES, syscall.ELOOP, syscall.ENAMETOOLONG, syscall.EISDIR} {
		if rows, err := read("03.png", no); err != nil || len(rows) != 1 || !strings.Contains(rows[0], no.Error()) {
			t.Errorf("%v of one file: %q, %v", no, rows, err)
		}
	}
}

// A fault while the sizes of pictures are read takes no tile away: the picture is as it is,
// or its one tile says why it is not.
func TestNoFaultTakesATile(t *testing.T) {
	defer func(old []time.Duration) { pauses = old }(pauses)
	pauses = []time.Duration{0, 0}
	memory := fstest.MapFS{}
	for _, name := range []string{"a", "b", "c"} {
		memory["in/"+name+".png"] = &fstest.MapFile{Data: pngOf(t, 24, 8, 7), Mode: 0o444}
	}
	pre, err := picture.ParsePreprocess("internvl")
	if err != nil {
		t.Fatal(err)
	}
	pre.Resize.Size = picture.Size{H: 8, W: 8}
	read := func(fsys fs.FS) (rows []string, err error) {
		ds, err := Open([]string{"in"}, Options{Preprocess: &pre, FS: fsys})
		if err != nil {
			return nil, err
		}
		tiles, err := Tiles(ds, Tiling{Max: 4})
		if err != nil {
			return nil, err
		}
		for b, err := range Batches(context.Background(), tiles, 4, 1) {
			if err != nil {
				return nil, err
			}
			for k := range b.N {
				rows = append(rows, fmt.Sprint(b.Items[k].ID, b.Errs[k]))
			}
		}
		return rows, nil
	}
	want, err := read(memory)
	if err != nil || len(want) != 9 {
		t.Fatalf("%q, %v", want, err)
	}
	for _, no := range []syscall.Errno{syscall.EMFILE, syscall.EIO, syscall.EACCES} {
		for at := 1; ; at++ {
			fsys := &failing{FS: memory, at: at, to: at + 2, err: no, name: "b.png"}
			got, err := read(fsys)
			if fsys.calls < at {
				break
			}
			for _, row := range got {
				if !slices.Contains(want, row) && !strings.Contains(row, no.Error()) {
					t.Errorf("%v at call %d: %s", no, at, row)
				}
			}
			if err == nil && len(got) != 9 && len(got) != 7 || err != nil && FaultOf(err) == ItemFault {
				t.Errorf("%v at call %d: %q, %v", no, at, got, err)
			}
		}
	}
}

// A picture given by its name that the medium does not give is a row, as it is in a folder.
func TestOnePictureThatCannotBeRead(t *testing.T) {
	defer func(old []time.Duration) { pauses = old }(pauses)
	pauses = []time.Duration{0, 0}
	pics := zooPics(t)
	memory := fstest.MapFS{}
	var names []string
	for k := range 5 {
		names = append(names, fmt.Sprintf("%d.png", k))
		memory[names[k]] = &fstest.MapFile{Data: pics[0].data, Mode: 0o444}
	}
	for _, bad := range []string{"0.png", "3.png"} {
		said, err := told(names, Options{Input: []int{3, 47, 61}, FS: &failing{FS: memory, at: 1, to: 1 << 30, name: bad, read: true, err: syscall.EIO}})
		if err != nil {
			t.Errorf("%s: %v", bad, err)
			continue
		}
		for _, row := range said[1:] {
			if strings.Contains(row, "in three tries") != strings.Contains(row, bad) {
				t.Errorf("%s: %s", bad, row)
			}
		}
	}
}
