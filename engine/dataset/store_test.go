package dataset

import (
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
)

// counter is a file system that counts what is opened in it, with nothing but Open.
type counter struct {
	fs.FS
	opened int
}

func (c *counter) Open(name string) (fs.File, error) {
	c.opened++
	return c.FS.Open(name)
}

// A dataset over a file system in memory is the one of the same files on disk: every
// kind of source, from files, folders, patterns and braces, and again from its origins.
func TestFileSystems(t *testing.T) {
	pics := zooPics(t)
	pre, err := picture.ParsePreprocess("imagenet")
	if err != nil {
		t.Fatal(err)
	}
	pre.Resize.Size, pre.Crop = picture.Size{H: 24, W: 24}, picture.Size{H: 20, W: 20}
	for _, f := range Formats {
		files, pictures := formatCases[f.Name](t, pics)
		memory := fstest.MapFS{}
		disk := map[string][]byte{}
		for name, b := range files {
			disk["in/"+name] = b
			memory["in/"+name] = &fstest.MapFile{Data: b, Mode: 0o444, ModTime: time.Unix(1, 0)}
		}
		t.Chdir(tree(t, disk))
		asked := [][]string{{"in"}}
		for name := range files {
			if ext := filepath.Ext(name); !strings.Contains(name, "/") && f.Name != "images" {
				asked = append(asked, []string{"in/" + name}, []string{"in/*" + ext}, []string{"in/{" + name + "," + name + "}"})
			}
		}
		for _, from := range asked {
			if f.Name == "list" && from[0] == "in" {
				continue // is a folder of pictures
			}
			fsys := &counter{FS: memory}
			o := Options{Preprocess: &pre}
			if !pictures && f.Name != "images" {
				o = Options{}
			}
			want, err := Open(from, o)
			if err != nil {
				t.Fatal(err)
			}
			o.FS = fsys
			got, err := Open(from, o)
			if err != nil {
				t.Errorf("%s %q: %v", f.Name, from, err)
				continue
			}
			if fsys.opened == 0 {
				t.Errorf("%s %q: nothing was opened in the file system", f.Name, from)
			}
			sameData(t, got, want)
			if f.Name == "images" {
				continue // one source may be a thousand
			}
			start := 0
			for _, origin := range Origins(got) {
				again, err := origin.Open(o)
				if err != nil {
					t.Errorf("%s %q: %v", f.Name, from, err)
					break
				}
				part, err := Range(want, start, start+origin.Items)
				if err != nil {
					t.Fatal(err)
				}
				start += origin.Items
				if again.Len() != part.Len() || !slices.Equal(sample(t, again, 0), sample(t, part, 0)) {
					t.Errorf("%s %q: opened again, it is another", f.Name, origin.Paths)
				}
			}
		}
	}
}

// sameData reports how two datasets differ.
func sameData(t *testing.T, got, want Dataset) {
	t.Helper()
	if got.Len() != want.Len() || !reflect.DeepEqual(Describe(got), Describe(want)) {
		t.Fatalf("it is %+v, want %+v", Describe(got), Describe(want))
	}
	for i := range want.Len() {
		if got.Item(i) != want.Item(i) {
			t.Errorf("item %d is %+v, want %+v", i, got.Item(i), want.Item(i))
		}
		if !slices.Equal(sample(t, got, i), sample(t, want, i)) {
			t.Errorf("item %d, %s, has other values", i, want.Item(i).ID)
		}
	}
}

// A file system whose files cannot be read at random is an error, and so is a file
// that changed while its dataset was in use.
func TestFileSystemFaults(t *testing.T) {
	pics := zooPics(t)
	memory := fstest.MapFS{"a.tar": {Data: zooTar(t, pics), Mode: 0o444}}
	if _, err := Open([]string{"a.tar"}, Options{FS: streams{memory}, Input: []int{3, 20, 16}}); err == nil || !strings.Contains(err.Error(), "io.ReaderAt") {
		t.Errorf("streams only: %v", err)
	}
	if _, err := Open([]string{"b.tar"}, Options{FS: memory}); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("no such file: %v", err)
	}
	if _, err := Open([]string{"{a,b}.tar"}, Options{FS: memory}); err == nil || !strings.Contains(err.Error(), "1 of its 2 files are missing") {
		t.Errorf("braces: %v", err)
	}
	all := &commons{fsys: NewWitness(memory)}
	f, err := all.file("a.tar")
	if err != nil {
		t.Fatal(err)
	}
	f.forget()
	memory["a.tar"] = &fstest.MapFile{Data: []byte("other"), Mode: 0o444}
	if _, err := f.ReadAt(make([]byte, 4), 0); err == nil || !strings.Contains(err.Error(), "has changed since") {
		t.Errorf("a changed file: %v", err)
	}
}

type streams struct{ fs.FS }

func (s streams) Open(name string) (fs.File, error) {
	f, err := s.FS.Open(name)
	return struct{ fs.File }{f}, err
}

// Pictures of a folder opened by their names are those of the folder.
func TestImagesBelow(t *testing.T) {
	files := map[string][]byte{}
	for i, p := range zooPics(t) {
		files[[]string{"a/", "b/c/", ""}[i%3]+p.name] = p.data
	}
	dir := tree(t, files)
	pre, err := picture.ParsePreprocess("imagenet")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Preprocess: &pre, Input: []int{3, 224, 224}}
	whole := open(t, o, dir)
	var names []string
	for i := range whole.Len() {
		name, err := filepath.Rel(dir, whole.Item(i).Path)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	some, err := Origin{Folder: dir, Paths: names, Format: "images", Items: len(names)}.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	sameData(t, some, whole)
	// Of some of them, labels count the classes that these have.
	some, err = Origin{Folder: dir, Paths: names[4:7], Format: "images", Items: 3, Prefix: "x/"}.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		got, want := some.Item(i), whole.Item(4+i)
		if got.ID != "x/"+want.ID || got.Path != want.Path || got.Class != want.Class {
			t.Errorf("item %d is %+v, want %+v", i, got, want)
		}
	}
}

// IDs are told apart as if each were looked up among those before it.
func TestUniqueIDs(t *testing.T) {
	ids := []string{"a", "b", "a", "a#2", "c#2", "c", "c", "a", "d#7", "b#1x"}
	want := []string{"a", "b", "a#2", "a#2#2", "c#2", "c", "c#3", "a#3", "d#7", "b#1x"}
	j := &joined{concat: &concat[source]{parts: []source{&imageList{}}, starts: []int{0, len(ids)}}, relabel: make([][]int, 1), again: map[int]string{}}
	l := j.parts[0].(*imageList)
	for _, id := range ids {
		if err := l.names.add(id); err != nil {
			t.Fatal(err)
		}
	}
	j.uniqueIDs()
	for i := range ids {
		if got := j.Item(i).ID; got != want[i] {
			t.Errorf("item %d, %q, is called %q, want %q", i, ids[i], got, want[i])
		}
	}
}
