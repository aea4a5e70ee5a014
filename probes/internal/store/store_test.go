package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// What is put is there whole, in place of what was, and where it must be absent once only,
// however many put it; nothing else is left.
func TestPut(t *testing.T) {
	dir := t.TempDir()
	s := Folder(dir)
	for _, text := range []string{"one", "another"} {
		if err := PutBytes(s, "a", false, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if b, err := s.Get("a"); err != nil || string(b) != text {
			t.Errorf("%q, %v", b, err)
		}
	}
	if err := PutBytes(s, "a", true, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("what is there already: %v", err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range 16 {
		all.Go(func() {
			err := PutBytes(s, "first", true, fmt.Appendf(nil, "%d", i))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if !errors.Is(err, fs.ErrExist) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if won != 1 {
		t.Errorf("%d were the first", won)
	}
	boom := errors.New("boom")
	if err := Put(s, "b", false, func(w io.Writer) error { w.Write([]byte("half")); return boom }); err != boom {
		t.Errorf("one that fails in the middle: %v", err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"a", "first"}) {
		t.Errorf("there are %q", got)
	}
}

// Several files get their names together, or none where one may not have its.
func TestPublishTogether(t *testing.T) {
	dir := t.TempDir()
	s := Folder(dir)
	draft := func(name string, absent bool) Draft {
		t.Helper()
		d, err := s.Create(name, absent)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(d, name)
		if err := d.Seal(); err != nil {
			t.Fatal(err)
		}
		return d
	}
	a, b := draft("a", false), draft("b", true)
	if got := names(t, dir); len(got) != 2 || got[0][0] != '.' || got[1][0] != '.' {
		t.Errorf("before: %q", got)
	}
	if err := s.Publish(a, b); err != nil {
		t.Fatal(err)
	}
	c, d := draft("c", true), draft("d", true)
	if err := os.WriteFile(filepath.Join(dir, "d"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(c, d); !errors.Is(err, fs.ErrExist) {
		t.Errorf("one of two is there: %v", err)
	}
	for _, x := range []Draft{c, d, c} {
		if err := x.Discard(); err != nil {
			t.Error(err)
		}
	}
	if got := names(t, dir); !slices.Equal(got, []string{"a", "b", "d"}) {
		t.Errorf("there are %q", got)
	}
	if err := b.Discard(); err != nil { // which takes it back
		t.Error(err)
	}
	if _, err := s.Get("b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after it was taken back: %v", err)
	}
}

// Pipes, devices, sockets and folders are no files, and nothing waits for them.
func TestOnlyFiles(t *testing.T) {
	dir := t.TempDir()
	s := Folder(dir)
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o666); err != nil {
		t.Skip(err)
	}
	os.Mkdir(filepath.Join(dir, "folder"), 0o777)
	os.Symlink("/dev/zero", filepath.Join(dir, "device"))
	os.Symlink("pipe", filepath.Join(dir, "link"))
	for name, word := range map[string]string{"pipe": "a pipe", "folder": "a folder", "device": "a device", "link": "a pipe"} {
		var odd *NotRegularError
		if _, err := s.Get(name); !errors.As(err, &odd) || !strings.Contains(err.Error(), word) {
			t.Errorf("getting %s: %v", name, err)
		}
		if _, err := s.Open(name); !errors.As(err, &odd) {
			t.Errorf("opening %s: %v", name, err)
		}
		if err := PutBytes(s, name, false, nil); !errors.As(err, &odd) {
			t.Errorf("putting %s: %v", name, err)
		}
	}
	os.WriteFile(filepath.Join(dir, "file"), []byte("abc"), 0o666)
	entries, err := s.List("")
	if err != nil || len(entries) != 5 {
		t.Fatal(entries, err)
	}
	for _, e := range entries {
		if e.Regular != (e.Name == "file") {
			t.Errorf("%+v", e)
		}
	}
	if only, err := s.List("fi"); err != nil || len(only) != 1 || only[0] != (Entry{"file", 3, true}) {
		t.Errorf("%v, %v", only, err)
	}
	if none, err := s.List("nowhere/"); err != nil || none != nil {
		t.Errorf("a folder that is not there: %v, %v", none, err)
	}
}

// Marks that are held are told from those that were left, and only these are removed;
// so are drafts.
func TestHolds(t *testing.T) {
	dir := t.TempDir()
	s := Folder(dir)
	var held []Held
	for range 4 {
		h, err := s.Hold("x", "me")
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, h)
	}
	held[0].Release(true)
	held[1].Release(false)
	if left, alive, err := s.Holds("x"); err != nil || left != 1 || alive != 2 {
		t.Errorf("%d are left, %d held: %v", left, alive, err)
	}
	if err := s.Forget("x"); err != nil {
		t.Error(err)
	}
	if left, alive, err := s.Holds("x"); err != nil || left != 0 || alive != 2 {
		t.Errorf("after forgetting %d are left, %d held: %v", left, alive, err)
	}
	held[2].Release(false)
	held[3].Release(false)
	if got := names(t, dir); len(got) > 0 {
		t.Errorf("there are %q", got)
	}

	d, err := s.Create("mine", false)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{".mine.0123456789abcdef.tmp", ".other.0123456789abcdef.tmp", "mine.tmp"} {
		os.WriteFile(filepath.Join(dir, n), nil, 0o666)
	}
	if err := s.Sweep(func(name string) bool { return name == "mine" }); err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(d); err != nil {
		t.Errorf("a draft that was being made: %v", err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{".other.0123456789abcdef.tmp", "mine", "mine.tmp"}) {
		t.Errorf("there are %q", got)
	}
}

// Drafts that are made while others sweep all come through.
func TestSweepAndCreate(t *testing.T) {
	s := Folder(t.TempDir())
	stop := make(chan struct{})
	var swept sync.WaitGroup
	for range 2 {
		swept.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = s.Sweep(func(string) bool { return true })
					_ = s.Forget("x")
				}
			}
		})
	}
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for range 60 {
				if err := PutBytes(s, fmt.Sprint("f", i), false, []byte("x")); err != nil {
					t.Error(err)
				}
				h, err := s.Hold("x", "me")
				if err != nil {
					t.Error(err)
					continue
				}
				h.Release(false)
			}
		})
	}
	all.Wait()
	close(stop)
	swept.Wait()
}

// Paths are followed from anywhere, and with the folder where they lie below it.
func TestPlaces(t *testing.T) {
	p := Places{From: "/home/me", Home: "/home/me/job"}
	for path, want := range map[string][2]string{
		"a.onnx": {"/home/me/a.onnx", "/home/me/a.onnx"}, "job/pics": {"pics", "/mnt/j/pics"}, "/home/me/job/pics": {"pics", "/mnt/j/pics"},
		"../x": {"/home/x", "/home/x"}, "/data/y": {"/data/y", "/data/y"}, "job2/z": {"/home/me/job2/z", "/home/me/job2/z"}, "job": {".", "/mnt/j"},
	} {
		if got := p.Lies(path); got != want[0] {
			t.Errorf("%s lies at %s, want %s", path, got, want[0])
		}
		if got := p.Find("/mnt/j", path); got != want[1] {
			t.Errorf("%s is found at %s, want %s", path, got, want[1])
		}
	}
	if got := (Places{}).Find("/mnt/j", "a/b"); got != "a/b" {
		t.Errorf("without places: %s", got)
	}
}
