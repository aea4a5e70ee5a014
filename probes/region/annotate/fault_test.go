package annotate

import (
	"fmt"
	"io/fs"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
)

// failing is a file system one of whose calls ends with an error.
type failing struct {
	fs.FS
	at, calls int
	err       error
}

func (b *failing) call(name string) error {
	if b.calls++; b.calls == b.at {
		return &fs.PathError{Op: "test", Path: name, Err: b.err}
	}
	return nil
}

func (b *failing) Open(name string) (fs.File, error) {
	if err := b.call(name); err != nil {
		return nil, err
	}
	f, err := b.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return &failingFile{f, name, b}, nil
}

func (b *failing) Stat(name string) (fs.FileInfo, error) {
	if err := b.call(name); err != nil {
		return nil, err
	}
	return fs.Stat(b.FS, name)
}

func (b *failing) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := b.call(name); err != nil {
		return nil, err
	}
	return fs.ReadDir(b.FS, name)
}

type failingFile struct {
	fs.File
	name string
	b    *failing
}

func (f *failingFile) Read(p []byte) (int, error) {
	if err := f.b.call(f.name); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}

// Whatever call fails, no annotation is lost without an error: pictures are numbered by
// those before them.
func TestNoFaultTakesAnAnnotation(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s), Mode: 0o444} }
	const voc = `<annotation><filename>%s</filename><object><name>a</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>3</xmax><ymax>3</ymax></bndbox></object></annotation>`
	for name, c := range map[string]struct {
		path  string
		files fstest.MapFS
	}{
		"yolo":   {"in", fstest.MapFS{"in/a.txt": file("0 .5 .5 .2 .2\n"), "in/b.txt": file("1 .5 .5 .2 .2\n"), "in/c.txt": file("0 .4 .5 .2 .2\n"), "in/classes.txt": file("x\ny\n")}},
		"voc":    {"in", fstest.MapFS{"in/a.xml": file(fmt.Sprintf(voc, "a.png")), "in/b.xml": file(fmt.Sprintf(voc, "b.png"))}},
		"csv":    {"in.csv", fstest.MapFS{"in.csv": file("path,x0,y0,x1,y1\na.png,1,1,2,2\nb.png,1,1,2,2\n")}},
		"png":    {"in", fstest.MapFS{"in/a.png": file("x"), "in/b.png": file("y")}},
		"bnhtrd": {"in", fstest.MapFS{"in/" + bnFolders.lines + "/1/1_1/1_1_1.jpg": file("x"), "in/" + bnFolders.lines + "/1/1_1/1_1_2.jpg": file("x")}},
	} {
		all := &failing{FS: c.files}
		want, err := openIn(all, c.path, Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		sum, err := want.Sum256()
		if err != nil {
			t.Fatal(err)
		}
		for _, no := range []syscall.Errno{syscall.EMFILE, syscall.EIO, syscall.EACCES} {
			for at := 1; at <= all.calls; at++ {
				fsys := &failing{FS: c.files, at: at, err: no}
				got, err := openIn(fsys, c.path, Options{})
				again := ""
				if err == nil {
					again, err = got.Sum256()
				}
				if err == nil && (again != sum || got.Digest() != want.Digest()) && got.Faults.Count == want.Faults.Count {
					t.Errorf("%s: %v at call %d of %d takes some away", name, no, at, all.calls)
				}
				if err == nil && no != syscall.EACCES && got.Digest() != want.Digest() || err != nil && no == syscall.EMFILE && dataset.FaultOf(err) != dataset.MachineFault {
					t.Errorf("%s: %v at call %d of %d: %v", name, no, at, all.calls, err)
				}
			}
		}
	}
}
