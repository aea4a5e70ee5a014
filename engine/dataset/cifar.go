package dataset

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/internal/safe"
)

// cifarKinds are the binary layouts of https://www.cs.toronto.edu/~kriz/cifar.html:
// label bytes, of which the last is the class, and then three planes of 32x32.
var cifarKinds = map[int]struct {
	labels int
	limits []byte // what each label byte is below
	names  string // the file of class names
	files  func(string) bool
}{
	10:  {1, []byte{10}, "batches.meta.txt", isCifarName("data_batch_", "test_batch")},
	100: {2, []byte{20, 100}, "fine_label_names.txt", isCifarName("train.bin", "test.bin")},
}

var cifar10Classes = []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}

func isCifarName(prefixes ...string) func(string) bool {
	return func(name string) bool {
		return filepath.Ext(name) == ".bin" && slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
	}
}

// looksCifar tells a .bin file by its size and the labels of its first record.
func looksCifar(kind int) func(fs.FS, string) bool {
	return func(fsys fs.FS, path string) bool {
		if filepath.Ext(path) != ".bin" {
			return false
		}
		s, err := newCifar(fsys, kind, path)
		if err == nil {
			s.r.(io.Closer).Close()
		}
		return err == nil
	}
}

// newCifar checks a file's layout.
func newCifar(fsys fs.FS, kind int, path string) (_ *records, err error) {
	k := cifarKinds[kind]
	record := int64(k.labels + 3*32*32)
	f, size, err := openRegular(fsys, path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if size == 0 || size%record != 0 {
		return nil, fmt.Errorf("it has %d bytes, want a multiple of %d", size, record)
	}
	label := make([]byte, k.labels)
	if err := safe.ReadAt(f, label, 0); err != nil {
		return nil, err
	}
	for i, v := range label {
		if v >= k.limits[i] {
			return nil, fmt.Errorf("label byte %d of the first picture is %d, want less than %d", i, v, k.limits[i])
		}
	}
	s := &records{part: part{path: path, format: fmt.Sprintf("cifar%d", kind), n: int(size / record)},
		r: f, offset: int64(k.labels), stride: record, c: 3, h: 32, w: 32}
	labels, err := s.lastLabels(k.labels)
	if err != nil {
		return nil, err
	}
	s.label = func(i int) int { return int(labels[i]) }
	return s, nil
}

// lastLabels reads the last of the label bytes of every record.
func (s *records) lastLabels(bytes int) ([]byte, error) {
	labels := make([]byte, s.n)
	r := bufio.NewReaderSize(io.NewSectionReader(s.r, 0, int64(s.n)*s.stride), 1<<20)
	for i := range labels {
		if _, err := r.Discard(bytes - 1); err != nil {
			return nil, safe.Reason(err)
		}
		var err error
		if labels[i], err = r.ReadByte(); err == nil {
			_, err = r.Discard(int(s.stride) - bytes)
		}
		if err != nil {
			return nil, safe.Reason(err)
		}
	}
	return labels, nil
}

func openCifar(kind int) func(string, Options) ([]source, error) {
	return func(path string, o Options) ([]source, error) {
		k := cifarKinds[kind]
		return eachFile(o, path, k.files, func(file string) (source, error) {
			s, err := newCifar(o.FS, kind, file)
			if err != nil {
				return nil, err
			}
			s.class = readLines(o.FS, filepath.Join(filepath.Dir(file), k.names))
			if kind == 10 && len(s.class) != 10 {
				s.class = cifar10Classes
			}
			return s.ready(o)
		})
	}
}
