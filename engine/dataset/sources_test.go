package dataset

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// member is one entry of a tar file to write; one without a header is a file.
type member struct {
	name string
	data []byte
	h    *tar.Header
}

func tarOf(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		h := &tar.Header{Typeflag: tar.TypeReg, Size: int64(len(m.data)), Mode: 0o600}
		if m.h != nil {
			h = m.h
		}
		h.Name = m.name
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(m.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zst(t testing.TB, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(b, nil)
}

// zoo is pictures of all kinds by their file names, each of 20 x 16 pixels.
func zoo(t testing.TB) map[string][]byte {
	t.Helper()
	r := image.Rect(0, 0, 20, 16)
	paint := func(m interface {
		image.Image
		Set(x, y int, c color.Color)
	}) image.Image {
		for i := range 20 * 16 {
			m.Set(i%20, i/20, color.NRGBA64{uint16(i * 1777), uint16(i * 29), uint16(65535 - i*97), uint16(65535 - i%7*900)})
		}
		return m
	}
	palette := color.Palette{color.Black, color.White, color.RGBA{255, 0, 0, 255}, color.RGBA{0, 100, 200, 255}}
	out := map[string][]byte{}
	for name, m := range map[string]image.Image{"gray.png": paint(image.NewGray(r)), "gray16.png": paint(image.NewGray16(r)), "rgba.png": paint(image.NewNRGBA(r)),
		"deep.png": paint(image.NewNRGBA64(r)), "palette.png": paint(image.NewPaletted(r, palette)), "colour.jpg": paint(image.NewRGBA(r)), "gray.jpeg": paint(image.NewGray(r))} {
		var b bytes.Buffer
		err := png.Encode(&b, m)
		if strings.Contains(name, ".jp") {
			b.Reset()
			err = jpeg.Encode(&b, m, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		out[name] = b.Bytes()
	}
	var b bytes.Buffer
	frames := &gif.GIF{Delay: []int{1, 1}}
	for i := range 2 {
		f := paint(image.NewPaletted(r, palette)).(*image.Paletted)
		f.Pix[0] = uint8(i)
		frames.Image = append(frames.Image, f)
	}
	if err := gif.EncodeAll(&b, frames); err != nil {
		t.Fatal(err)
	}
	out["animated.gif"] = b.Bytes()
	for _, name := range []string{"cmyk.jpg", "lossy.webp", "rgb.bmp", "lzw.tiff", "420.jpg", "rgb16.png"} {
		data, err := os.ReadFile(filepath.Join(pillowFiles, name))
		if err != nil {
			t.Fatal(err)
		}
		out[name] = data
	}
	return out
}

// picRow is a row as Hugging Face's datasets write it.
type picRow struct {
	Image *picCell `parquet:"image,optional"`
	Label *int64   `parquet:"label,optional"`
}

type picCell struct {
	Bytes []byte  `parquet:"bytes,optional"`
	Path  *string `parquet:"path,optional"`
}

// hfMeta is the metadata that names the classes of a column.
func hfMeta(column string, names ...string) parquet.WriterOption {
	m := map[string]any{"info": map[string]any{"features": map[string]any{"image": map[string]any{"_type": "Image"}, column: map[string]any{"names": names, "_type": "ClassLabel"}}}}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return parquet.KeyValueMetadata("huggingface", string(b))
}

func parquetOf[T any](t testing.TB, rows []T, options ...parquet.WriterOption) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, options...)
	for len(rows) > 0 {
		n := min(len(rows), 3)
		if _, err := w.Write(rows[:n]); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil { // a row group
			t.Fatal(err)
		}
		rows = rows[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func ptr[T any](v T) *T { return &v }

// pics is a picture with its label and the class's name.
type pic struct {
	name  string
	data  []byte
	label int
}

var zooClasses = []string{"odd", "even"}

func zooPics(t testing.TB) (out []pic) {
	files := zoo(t)
	for name, data := range files {
		out = append(out, pic{name, data, 0})
	}
	slices.SortFunc(out, func(a, b pic) int { return strings.Compare(a.name, b.name) })
	for i := range out {
		out[i].label = i % 2
	}
	return out
}

func zooTar(t testing.TB, pics []pic) []byte {
	var ms []member
	for i, p := range pics {
		stem, ext, _ := strings.Cut(p.name, ".")
		key := fmt.Sprintf("dir/%03d_%s", i, stem)
		ms = append(ms, member{name: key + "." + ext, data: p.data}, member{name: key + ".txt", data: []byte("a caption")})
		if i%3 == 0 {
			ms = append(ms, member{name: key + ".json", data: fmt.Appendf(nil, `{"caption": "x.y", "label": %d}`, p.label)})
		} else {
			ms = append(ms, member{name: key + ".cls", data: fmt.Appendf(nil, "%d\n", p.label)})
		}
	}
	return tarOf(t, ms...)
}

func zooParquet(t testing.TB, pics []pic, o ...parquet.WriterOption) []byte {
	var rows []picRow
	for _, p := range pics {
		rows = append(rows, picRow{&picCell{p.data, &p.name}, ptr(int64(p.label))})
	}
	return parquetOf(t, rows, append(o, hfMeta("label", zooClasses...))...)
}

// formatCases has files of every row of Formats; where pictures is true they hold
// the zoo, in its order, with its labels.
var formatCases = map[string]func(t testing.TB, pics []pic) (files map[string][]byte, pictures bool){
	"npy": func(t testing.TB, _ []pic) (map[string][]byte, bool) {
		return map[string][]byte{"x.npy": npyOf(t, tensor.Of(counting(24), 2, 3, 2, 2))}, false
	},
	"cifar10": func(testing.TB, []pic) (map[string][]byte, bool) {
		return map[string][]byte{"test_batch.bin": cifarOf([]byte{3})}, false
	},
	"cifar100": func(testing.TB, []pic) (map[string][]byte, bool) {
		return map[string][]byte{"test.bin": cifarOf([]byte{11, 12})}, false
	},
	"mnist": func(testing.TB, []pic) (map[string][]byte, bool) {
		return map[string][]byte{"a-images-idx3-ubyte": idxOf([]uint32{2, 2, 3}, counting(12))}, false
	},
	"webdataset": func(t testing.TB, pics []pic) (map[string][]byte, bool) {
		b := zooTar(t, pics)
		return map[string][]byte{"a.tar": b, "b.tar.gz": gz(t, b), "c.TGZ": gz(t, b), "d.tar.zst": zst(t, b)}, true
	},
	"parquet": func(t testing.TB, pics []pic) (map[string][]byte, bool) {
		files := map[string][]byte{}
		for name, codec := range map[string]parquet.WriterOption{"snappy": parquet.Compression(&parquet.Snappy), "gzip": parquet.Compression(&parquet.Gzip),
			"zstd": parquet.Compression(&parquet.Zstd), "plain": parquet.Compression(&parquet.Uncompressed)} {
			for v := 1; v <= 2; v++ {
				files[fmt.Sprintf("%s%d.parquet", name, v)] = zooParquet(t, pics, codec, parquet.DataPageVersion(v), parquet.PageBufferSize(2000))
			}
		}
		return files, true
	},
	"list": func(t testing.TB, pics []pic) (map[string][]byte, bool) {
		files := map[string][]byte{}
		var head, bare, tabs, lines, paths strings.Builder
		head.WriteString("\ufeffnote,Path,LABEL\r\n")
		tabs.WriteString("label\tfile_name\n")
		for _, p := range pics {
			files["pics/"+p.name] = p.data
			fmt.Fprintf(&head, "\"a, \"\"b\"\"\",pics/%s,%d\r\n", p.name, p.label)
			fmt.Fprintf(&bare, "./pics/%s,%d.0\n", p.name, p.label)
			fmt.Fprintf(&tabs, "%s\tpics/%s\n", zooClasses[p.label], p.name)
			fmt.Fprintf(&lines, `{"file_name": "pics/%s", "label": "%s", "x": [1]}`+"\n", p.name, zooClasses[p.label])
			fmt.Fprintf(&paths, "pics/../pics/%s\r\n\n", p.name)
		}
		files["a.csv"], files["b.csv"], files["c.tsv"] = []byte(head.String()), []byte(bare.String()), []byte(tabs.String())
		files["d.jsonl"], files["e.ndjson"], files["f.txt"] = []byte(lines.String()), []byte(lines.String()), []byte(paths.String())
		return files, true
	},
	"images": func(t testing.TB, pics []pic) (map[string][]byte, bool) {
		files := map[string][]byte{}
		for _, p := range pics {
			files[p.name] = p.data
		}
		return files, false
	},
}

// Every kind of source is told by its name, and gives the pixels that the same
// pictures give from a folder.
func TestFormats(t *testing.T) {
	pics := zooPics(t)
	folder := map[string][]byte{}
	for _, p := range pics {
		folder[p.name] = p.data
	}
	pre, err := picture.ParsePreprocess("imagenet")
	if err != nil {
		t.Fatal(err)
	}
	pre.Resize.Size, pre.Crop = picture.Size{H: 24, W: 24}, picture.Size{H: 20, W: 20}
	o := Options{Preprocess: &pre}
	want := open(t, o, tree(t, folder))
	for _, f := range Formats {
		make := formatCases[f.Name]
		if make == nil {
			t.Errorf("format %s has no case here", f.Name)
			continue
		}
		if f.Doc == "" || f.looksFile == nil || f.open == nil {
			t.Errorf("format %s is not complete", f.Name)
		}
		files, pictures := make(t, pics)
		dir := tree(t, files)
		for name := range files {
			if strings.Contains(name, "/") {
				continue
			}
			t.Run(f.Name+"/"+name, func(t *testing.T) {
				if !pictures {
					ds := open(t, Options{}, filepath.Join(dir, name))
					if got := Describe(ds).Sources[0].Format; got != f.Name {
						t.Errorf("it is taken for %s", got)
					}
					return
				}
				ds := open(t, o, filepath.Join(dir, name))
				d := Describe(ds)
				if d.Sources[0].Format != f.Name || ds.Len() != want.Len() || d.JPEG == "" {
					t.Fatalf("got %d items, %+v; want %d as %s", ds.Len(), d, want.Len(), f.Name)
				}
				for _, i := range rand.Perm(ds.Len()) {
					if !reflect.DeepEqual(sample(t, ds, i), sample(t, want, i)) {
						t.Errorf("%s: its pixels are not those of %s", ds.Item(i).ID, want.Item(i).ID)
					}
					it := ds.Item(i)
					label := pics[i].label
					if it.Class != "" {
						label = slices.Index(zooClasses, it.Class)
					}
					if label != pics[i].label || it.Label < 0 != strings.HasSuffix(name, ".txt") && it.Label < 0 {
						t.Errorf("%+v, want label %d", it, pics[i].label)
					}
				}
			})
		}
		if pictures && f.Name != "list" {
			ds := open(t, o, dir)
			if ds.Len() != len(files)*len(pics) || Describe(ds).Sources[0].Format != f.Name {
				t.Errorf("%s: the folder has %d items as %s, want %d", f.Name, ds.Len(), Describe(ds).Sources[0].Format, len(files)*len(pics))
			}
			seen := map[string]bool{}
			for i := range ds.Len() {
				seen[ds.Item(i).ID] = true
			}
			if len(seen) != ds.Len() {
				t.Errorf("%s: %d IDs for %d items", f.Name, len(seen), ds.Len())
			}
		}
	}
}

// whats is each item's ID and label, and the error or a pixel of its sample.
func whats(ds Dataset) (out []string) {
	n := tensor.Count(ds.Shape())
	for i := range ds.Len() {
		dst := make([]float32, n)
		it := ds.Item(i)
		text := fmt.Sprintf("%s=%d:%s ", it.ID, it.Label, it.Class)
		if err := ds.Sample(i, dst); err != nil {
			text += err.Error()
		} else {
			text += fmt.Sprint(dst[0])
		}
		out = append(out, text)
	}
	return out
}

func compare(t *testing.T, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("item %d is missing, want %q", i, want[i])
		case i >= len(want):
			t.Errorf("item %d is too many: %q", i, got[i])
		default:
			at := strings.Index(want[i], "=")
			at += strings.Index(want[i][at:], " ")
			id, text := want[i][:at], want[i][at+1:]
			if !strings.HasPrefix(got[i], id+" ") || !strings.Contains(got[i], text) {
				t.Errorf("item %d: got  %q\nwant %q", i, got[i], want[i])
			}
		}
	}
}

// Pictures of 1 x 1 pixels whose value is v.
var raw1 = Options{Preprocess: &picture.Preprocess{Scale: 1, Resize: picture.Resize{Mode: picture.Exact, Size: picture.Size{H: 1, W: 1}}}}

func TestTarSamples(t *testing.T) {
	p := func(v uint8) []byte { return pngOf(t, 1, 1, v) }
	long := strings.Repeat("long/", 60)
	sparse := &tar.Header{Typeflag: tar.TypeReg, Size: 1, Format: tar.FormatPAX, PAXRecords: map[string]string{"comment": "x"}}
	b := tarOf(t,
		member{"README", []byte("no key"), nil}, member{"._a.png", p(9), nil}, member{"sub/", nil, &tar.Header{Typeflag: tar.TypeDir}},
		member{"./a.png", p(1), nil}, member{"a.cls", []byte(" 7\n"), nil}, member{"a.seg.png", p(99), nil},
		member{"b.txt", []byte("no picture"), nil},
		member{"c.png", p(1), nil}, member{"c.jpg", p(2), nil},
		member{"a.PNG", p(3), nil},
		member{"../../etc/d.png", p(4), nil}, member{"/e.json", []byte(`{"label": 3, "cls": 4}`), nil}, member{"/e.img", p(5), nil},
		member{"f.png", nil, nil},
		member{"g.png", nil, &tar.Header{Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}}, member{"h.png", nil, &tar.Header{Typeflag: tar.TypeLink, Linkname: "a.png"}},
		member{long + "i.png", p(6), nil},
		member{"ü\n.png", p(7), &tar.Header{Typeflag: tar.TypeReg, Size: int64(len(p(7))), Format: tar.FormatPAX}},
		member{"j.left.png", p(8), nil}, member{"k.left.png", p(8), nil}, member{"k.right.png", p(8), nil},
		member{"l.png", make([]byte, 5000), nil}, member{"m.png", p(9), nil}, member{"m.cls", []byte("\x00\x01"), nil},
		member{"n.png", p(10), nil}, member{"n.json", []byte(`{"label": NaN`), nil}, member{"o.png", []byte("x"), sparse},
		member{"a.png", p(11), nil}, member{"a#2.png", p(12), nil},
	)
	o := raw1
	o.MaxFileBytes = 4000
	want := []string{"x/a=7: 1", "x/b=-1: has no image", "x/c=-1: more than one image", "x/a#2=-1: 3", "x/../../etc/d=-1: 4", "x//e=4: 5",
		"x/f=-1: the file is empty", "x/g=-1: a link", "x/h=-1: a link", "x/" + long + "i=-1: 6", `x/ü\x0a=-1: 7`, "x/j=-1: 8", "x/k=-1: more than one image",
		"x/l=-1: more than 4000 bytes", "x/m=-1: neither a number", "x/n=-1: 10", `x/o=-1: begins with "x"`, "x/a#3=-1: 11", "x/a#2#2=-1: 12"}
	dir := tree(t, map[string][]byte{"x.tar": b, "x.tgz": gz(t, b), "x.tar.zst": zst(t, b)})
	for _, name := range []string{"x.tar", "x.tgz", "x.tar.zst"} {
		t.Run(name, func(t *testing.T) {
			var as []string
			for _, w := range want {
				as = append(as, strings.Replace(w, "x/", name+"/", 1))
			}
			compare(t, whats(open(t, o, filepath.Join(dir, name))), as)
		})
	}
	left := o
	left.Column = ".left.png"
	ds := open(t, left, filepath.Join(dir, "x.tar"))
	for i := range ds.Len() {
		err := ds.Sample(i, make([]float32, 3))
		if id := ds.Item(i).ID; (err == nil) != (id == "x.tar/j" || id == "x.tar/k") {
			t.Errorf("--column left.png, %s: error %v", id, err)
		}
	}
}

// The old GNU format's sparse members, which Go's writer cannot make.
func TestTarSparse(t *testing.T) {
	b := tarOf(t, member{"a.png", []byte("12345"), &tar.Header{Typeflag: tar.TypeReg, Size: 5, Format: tar.FormatGNU}}, member{"b.png", pngOf(t, 1, 1, 7), nil})
	b[156] = 'S'
	copy(b[386:], "00000000000\x0000000000005\x00") // one fragment of five bytes
	copy(b[483:], "00000001000\x00")                // of a file of 512
	copy(b[148:], "        ")
	sum := 0
	for _, c := range b[:512] {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	dir := tree(t, map[string][]byte{"x.tar": b})
	compare(t, whats(open(t, raw1, dir)), []string{"x.tar/a=-1: sparse", "x.tar/b=-1: 7"})
}

// Wherever a tar file is cut off or damaged, the items before are good and one
// more says what is wrong.
func TestTarDamaged(t *testing.T) {
	var ms []member
	for i := range 6 {
		ms = append(ms, member{fmt.Sprintf("%d.cls", i), []byte{'0' + byte(i)}, nil}, member{fmt.Sprintf("%d.png", i), pngOf(t, 1, 1, uint8(10+i)), nil})
	}
	whole := tarOf(t, ms...)
	for _, kind := range []struct {
		name string
		pack func([]byte) []byte
	}{{"x.tar", bytes.Clone}, {"x.tar.gz", func(b []byte) []byte { return gz(t, b) }}, {"x.tar.zst", func(b []byte) []byte { return zst(t, b) }}} {
		path := filepath.Join(t.TempDir(), kind.name)
		check := func(what string, b []byte) {
			t.Helper()
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			ds, err := Open([]string{path}, raw1)
			if err != nil {
				return // nothing of it can be read
			}
			bad := 0
			for i, w := range whats(ds) {
				good := fmt.Sprintf("%s/%d=%d: %d", kind.name, i, i, 10+i)
				if bad > 0 && !strings.Contains(w, "(unreadable)") {
					t.Fatalf("%s: item %d is %q after a bad one", what, i, w)
				}
				if w != good {
					bad++
				}
			}
			if bad == 0 && ds.Len() < 6 {
				t.Errorf("%s: %d items, and nothing says that there were more", what, ds.Len())
			}
		}
		packed := kind.pack(whole)
		for n := 0; n < len(packed); n += 101 {
			check(fmt.Sprintf("%s cut at %d", kind.name, n), packed[:n])
		}
		for n := 0; n < 12*1024; n += 167 { // cut before it was packed
			check(fmt.Sprintf("%s packed after a cut at %d", kind.name, n), kind.pack(whole[:n]))
		}
		if kind.name == "x.tar" {
			broken := bytes.Clone(whole)
			broken[6*512+2] ^= 1 // a header's checksum is wrong
			check("a broken header", broken)
			continue
		}
		if kind.name == "x.tar.zst" {
			continue // Zstandard's checksum is found out before the bytes are given
		}
		broken := bytes.Clone(packed)
		broken[len(broken)-7] ^= 1
		if err := os.WriteFile(path, broken, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := whats(open(t, raw1, path)); !strings.Contains(got[len(got)-1], "checksum") {
			t.Errorf("a wrong checksum: the last item is %q", got[len(got)-1])
		}
	}
}

func TestTarRefused(t *testing.T) {
	dir := tree(t, map[string][]byte{"html.tar": []byte("<html>" + strings.Repeat("x", 2000)), "empty.tar": nil, "none.tar": tarOf(t), "bz.tar": []byte("BZh91AY&SY"), "no.tar.gz": gz(t, []byte("hello")),
		"cut.tar.gz": gz(t, make([]byte, 5000))[:12]})
	for name, want := range map[string]string{"html.tar": "not a tar file", "empty.tar": "the file is empty", "none.tar": "no samples", "bz.tar": "bzip2", "no.tar.gz": "not a tar file", "cut.tar.gz": "EOF"} {
		if _, err := Open([]string{filepath.Join(dir, name)}, raw1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want one with %q", name, err, want)
		}
	}
}

// Many shards, more than are open at once, in a brace range; read by many
// goroutines in order, backwards and at random.
func TestManyShards(t *testing.T) {
	const shards, each = maxOpenFiles + 6, 5
	files := map[string][]byte{}
	n := 0
	for s := range shards {
		var ms []member
		for i := range each {
			ms = append(ms, member{fmt.Sprintf("%d.png", i), pngOf(t, 1, 1, uint8(n)), nil}, member{fmt.Sprintf("%d.cls", i), []byte(fmt.Sprint(n % 256)), nil})
			n++
		}
		b := tarOf(t, ms...)
		files[fmt.Sprintf("p%03d.tar", s)], files[fmt.Sprintf("z%03d.tar.gz", s)] = b, gz(t, b)
	}
	t.Chdir(tree(t, files))
	for _, pattern := range []string{"p{000..069}.tar", "z{000..069}.tar.gz", "{p00{0..9},p0{10..69}}.tar"} {
		ds := open(t, raw1, pattern)
		if ds.Len() != n || ds.Item(7).ID != strings.ReplaceAll(pattern[:1], "{", "p")+"001.tar"+map[bool]string{true: ".gz"}[pattern[0] == 'z']+"/2" {
			t.Fatalf("%s: %d items, the eighth is %+v", pattern, ds.Len(), ds.Item(7))
		}
		for b, err := range Batches(t.Context(), ds, 16, 9) {
			if err != nil {
				t.Fatal(err)
			}
			for i := range b.N {
				if v := tensor.Data[float32](b.Input)[3*i]; b.Errs[i] != nil || v != float32((b.Start+i)%256) || b.Items[i].Label != int(v) {
					t.Fatalf("%s: %+v is %v, error %v", pattern, b.Items[i], v, b.Errs[i])
				}
			}
		}
		var all sync.WaitGroup
		for g := range 4 {
			all.Go(func() {
				order := rand.Perm(n)
				if g == 0 {
					slices.Sort(order)
					slices.Reverse(order)
				}
				dst := make([]float32, 3)
				for _, i := range order {
					if err := ds.Sample(i, dst); err != nil || dst[0] != float32(i%256) {
						t.Errorf("%s: sample %d is %v, error %v", pattern, i, dst[0], err)
						return
					}
				}
			})
		}
		all.Wait()
		if c := ds.(*joined).parts[0].(*shard).file.all; len(c.files) > maxOpenFiles || len(c.windows) > maxOpenWindows {
			t.Errorf("%s: %d files and %d windows are open", pattern, len(c.files), len(c.windows))
		}
	}
	if err := os.Remove("p007.tar"); err != nil {
		t.Fatal(err)
	}
	_, err := Open([]string{"p{000..099}.tar"}, raw1)
	if err == nil || !strings.Contains(err.Error(), `31 of its 100 files are missing: ["p007.tar" "p070.tar" "p071.tar"] and more`) {
		t.Errorf("got error %v", err)
	}
}

func TestShardThatChanges(t *testing.T) {
	path := filepath.Join(tree(t, map[string][]byte{"x.tar": tarOf(t, member{"a.png", pngOf(t, 1, 1, 3), nil})}), "x.tar")
	ds := open(t, raw1, path)
	ds.(*joined).parts[0].(*shard).file.forget()
	if err := os.WriteFile(path, tarOf(t, member{"a.png", pngOf(t, 9, 9, 3), nil}, member{"b.png", pngOf(t, 9, 9, 3), nil}, member{"c.png", pngOf(t, 9, 9, 3), nil}), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ds.Sample(0, make([]float32, 3)); err == nil || !strings.Contains(err.Error(), "has changed") {
		t.Errorf("got error %v", err)
	}
}

// Classes that are names, numbers where some shards have names, in the union.
func TestTarClassNames(t *testing.T) {
	p := pngOf(t, 1, 1, 3)
	t.Chdir(tree(t, map[string][]byte{
		"a.tar": tarOf(t, member{"0.png", p, nil}, member{"0.cls", []byte("dog"), nil}, member{"1.png", p, nil}, member{"1.json", []byte(`{"label": "ant"}`), nil}),
		"b.tar": tarOf(t, member{"0.png", p, nil}, member{"0.cls", []byte("cat"), nil}, member{"1.png", p, nil}),
	}))
	want := []string{"a.tar/0=2:dog 3", "a.tar/1=0:ant 3", "b.tar/0=1:cat 3", "b.tar/1=-1: 3"}
	compare(t, whats(open(t, raw1, "{a,b}.tar")), want)
}

func TestBraces(t *testing.T) {
	for in, want := range map[string]string{
		"{000..003}": "000 001 002 003", "a{1..3}b": "a1b a2b a3b", "{3..1}": "3 2 1", "{08..12..2}": "08 10 12", "{a,b}{1,2}": "a1 a2 b1 b2", "{a..c}": "a b c",
		"{a,{b,c}d}": "a bd cd", "{x}": "{x}", "{x": "{x", "x}": "x}", "{}": "{}", "{a..}": "{a..}", "{,x}": " x", "{-1..1}": "-1 0 1", "{x}{1..2}": "{x}1 {x}2", "{{1..2}}": "{1} {2}", "{1..3..0}": "{1..3..0}",
		"{9223372036854775807..1}": "{9223372036854775807..1}", "no": "no", "{a,{b}": "{a,{b}", "{1.5..2}": "{1.5..2}", "{Z..a}": "{Z..a}",
	} {
		got, err := braces(in)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: got %q, error %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"{0..99999999}", "{0..99999}{0..99999}", "{-2305843009213693952..2305843009213693951}"} {
		if _, err := braces(in); err == nil {
			t.Errorf("%s: no error", in)
		}
	}
}

func TestLists(t *testing.T) {
	p := func(v uint8) []byte { return pngOf(t, 1, 1, v) }
	out := tree(t, map[string][]byte{"abs.png": p(5)})
	abs := filepath.Join(out, "abs.png")
	long := strings.Repeat("x", maxLine+10)
	for name, c := range map[string]struct {
		text string
		o    Options
		want []string
	}{
		"paths.txt":    {"a.png\r\n\n  \nsub/b.png\nmissing.png\n" + abs + "\na.png\na\x00b\n" + long + "\nsub", raw1, []string{"a.png=-1: 1", "sub/b.png=-1: 2", "missing.png=-1: no such file", plain(abs) + "=-1: 5", "a.png#2=-1: 1", "paths.txt line 8=-1: NUL", "paths.txt line 9=-1: longer than", "sub=-1: not a regular file"}},
		"head.csv":     {"id,class,path,label\n1,cat,a.png,5\n2,dog,sub/b.png,3\n3,,a.png,\n4\n", raw1, []string{"a.png=5:cat 1", "sub/b.png=3:dog 2", "a.png#2=-1: 1", "head.csv line 5=-1: has no path"}},
		"names.csv":    {"image,label\na.png,dog\nsub/b.png,cat\n\n", raw1, []string{"a.png=1:dog 1", "sub/b.png=0:cat 2"}},
		"bare.csv":     {"a.png,caption\n\"sub/b.png\",caption\n\"unclosed\nx.png\n", raw1, []string{"a.png=-1: 1", "sub/b.png=-1: 2", "bare.csv line 3=-1: quote"}},
		"quote.csv":    {"path\na\"b.png\na.png\n", raw1, []string{"quote.csv line 2=-1: bare", "a.png=-1: 1"}},
		"column.csv":   {"path,right\nmissing.png,a.png\n", Options{Preprocess: raw1.Preprocess, Column: "right"}, []string{"a.png=-1: 1"}},
		"long.csv":     {"path\na.png\n" + long + long + "\na.png\n", raw1, []string{"a.png=-1: 1", "long.csv line 3=-1: longer than"}},
		"rows.jsonl":   {"{\"path\": \"a.png\", \"label\": 4}\n[1]\n{\"x\": 1}\n\n{\"image\": \"sub/b.png\", \"label\": null}\n{\"path\": \"" + long + "\"}\nnot JSON\n{\"file_name\": \"\\u0000\"}\n", raw1, []string{"a.png=4: 1", "rows.jsonl line 2=-1: not a JSON object", "rows.jsonl line 3=-1: no path", "sub/b.png=-1: 2", "rows.jsonl line 6=-1: longer", "rows.jsonl line 7=-1: not a JSON", "rows.jsonl line 8=-1: NUL"}},
		"column.jsonl": {`{"path": "missing.png", "right": "a.png", "class": "owl"}`, Options{Preprocess: raw1.Preprocess, Column: "right"}, []string{"a.png=0:owl 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tree(t, map[string][]byte{name: []byte(c.text), "a.png": p(1), "sub/b.png": p(2)})
			compare(t, whats(open(t, c.o, filepath.Join(dir, name))), c.want)
		})
	}
	dir := tree(t, map[string][]byte{"a.csv": []byte("path\n"), "c.csv": []byte("q\n"), "b.csv": []byte("x,y\n1,2\n"), "s/x.txt": []byte("a.png\n" + abs), "s/a.png": p(1)})
	for name, want := range map[string]string{"a.csv": `no column "q"`, "c.csv": "has no samples", "b.csv": `no column "q"`} {
		if _, err := Open([]string{filepath.Join(dir, name)}, Options{Preprocess: raw1.Preprocess, Column: "q"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want one with %q", name, err, want)
		}
	}
	t.Chdir(dir)
	compare(t, whats(open(t, raw1, "s/x.txt", "s/a.png")), []string{"s/a.png=-1: 1", plain(abs) + "=-1: 5", "s/a.png#2=-1: 1"})
}

func TestParquet(t *testing.T) {
	p := func(v uint8) []byte { return pngOf(t, 1, 1, v) }
	cell := func(b []byte, path string) *picCell {
		c := &picCell{Bytes: b}
		if path != "" {
			c.Path = &path
		}
		return c
	}
	hf := parquetOf(t, []picRow{{cell(p(1), "a/1.png"), ptr(int64(1))}, {nil, ptr(int64(0))}, {cell(nil, "gone.png"), nil}, {cell(p(4), ""), ptr(int64(-1))},
		{cell([]byte("junk"), "x"), ptr(int64(1))}, {cell([]byte{}, "e"), ptr(int64(9))}, {cell(make([]byte, 5000), ""), ptr(int64(0))}, {cell(p(8), "8"), ptr(int64(0))}}, hfMeta("label", "cat", "dog"))
	type plainRow struct {
		Blob  []byte `parquet:"blob"`
		Class string `parquet:"class"`
		N     int32  `parquet:"n"`
	}
	type two struct {
		A []byte `parquet:"a"`
		B []byte `parquet:"b"`
	}
	type none struct {
		Text string   `parquet:"text"`
		L    [][]byte `parquet:"l"`
	}
	type delta struct {
		Img   []byte `parquet:"img,delta"`
		Label int32  `parquet:"label,delta"`
	}
	var deltas []delta
	var wantDeltas []string
	for i := range 200 {
		v := []int32{3, 1 << 30, 0, 77, int32(i)}[i%5]
		deltas = append(deltas, delta{p(uint8(i)), v})
		wantDeltas = append(wantDeltas, fmt.Sprintf("delta.parquet[%d]=%d: %d", i, v, i))
	}
	var deltaFile bytes.Buffer
	w := parquet.NewGenericWriter[delta](&deltaFile)
	if _, err := w.Write(deltas); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	type dicted struct {
		Image []byte `parquet:"image,dict"`
		Label string `parquet:"label,dict"`
	}
	dir := tree(t, map[string][]byte{"hf.parquet": hf, "two.parquet": parquetOf(t, []two{{p(1), p(2)}}), "none.parquet": parquetOf(t, []none{{"x", nil}}),
		"plain.parquet": parquetOf(t, []plainRow{{p(3), "owl", 1}, {p(4), "ant", 2}, {p(5), "", 3}}), "delta.parquet": deltaFile.Bytes(),
		"dict.parquet": parquetOf(t, []dicted{{p(3), "owl"}, {p(4), "ant"}, {p(3), "owl"}, {p(4), "bee"}})})
	o := raw1
	o.MaxFileBytes = 4000
	for name, want := range map[string][]string{
		"hf.parquet": {"hf.parquet[0]=1:dog 1", "hf.parquet[1]=0:cat picture is null", `hf.parquet[2]=-1: only the path "gone.png"`, "hf.parquet[3]=-1: 4",
			`hf.parquet[4]=1:dog begins with "junk"`, "hf.parquet[5]=9: the file is empty", "hf.parquet[6]=0:cat more than 4000", "hf.parquet[7]=0:cat 8"},
		"plain.parquet": {"plain.parquet[0]=1:owl 3", "plain.parquet[1]=0:ant 4", "plain.parquet[2]=-1: 5"},
		"delta.parquet": wantDeltas,
		"dict.parquet":  {"dict.parquet[0]=2:owl 3", "dict.parquet[1]=0:ant 4", "dict.parquet[2]=2:owl 3", "dict.parquet[3]=1:bee 4"},
	} {
		ds := open(t, o, filepath.Join(dir, name))
		compare(t, whats(ds), want)
		if name == "hf.parquet" && (ds.Item(0).Path != "a/1.png" || ds.Item(3).Path != filepath.Join(dir, name)) {
			t.Errorf("paths %q and %q", ds.Item(0).Path, ds.Item(3).Path)
		}
	}
	for name, want := range map[string]string{"two.parquet": "say which: a, b", "none.parquet": "no column holds image files (binary, or struct of bytes and path); the columns are "} {
		if _, err := Open([]string{filepath.Join(dir, name)}, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want one with %q", name, err, want)
		}
	}
	o.Column = "b"
	compare(t, whats(open(t, o, filepath.Join(dir, "two.parquet"))), []string{"two.parquet[0]=-1: 2"})
	if _, err := Open([]string{filepath.Join(dir, "plain.parquet")}, o); err == nil || !strings.Contains(err.Error(), `column "b" does not hold image files`) {
		t.Errorf("got error %v", err)
	}
}

// Labels of JSON that are Booleans are names; lists and objects are left out, and that is said.
func TestJSONLabels(t *testing.T) {
	p := pngOf(t, 1, 1, 3)
	var tars []member
	lines := ""
	for i, label := range []string{"true", "false", "[1]", `{"a":1}`} {
		key := string(rune('a' + i))
		tars = append(tars, member{key + ".png", p, nil}, member{key + ".json", []byte(`{"label":` + label + `}`), nil})
		lines += fmt.Sprintf("{\"path\":%q,\"label\":%s}\n", "a.png", label)
	}
	dir := tree(t, map[string][]byte{"a.png": p, "l.jsonl": []byte(lines), "t.tar": tarOf(t, tars...)})
	for _, name := range []string{"l.jsonl", "t.tar"} {
		ds := open(t, raw1, filepath.Join(dir, name))
		if a, b, c := ds.Item(0), ds.Item(1), ds.Item(2); a.Class != "true" || b.Class != "false" || c.Label != -1 {
			t.Errorf("%s: %+v, %+v, %+v", name, a, b, c)
		}
		if said := Describe(ds).Sources[0].Unlabelled; !strings.Contains(said, "2 are lists or objects") {
			t.Errorf("%s: unlabelled %q", name, said)
		}
	}
}

// labelled is a Parquet file of pictures with labels of a type.
func labelled[T any](t *testing.T, option string, labels ...T) []byte {
	t.Helper()
	type row struct {
		Label T `parquet:"label"`
	}
	group := parquet.Group{"image": parquet.Leaf(parquet.ByteArrayType), "label": parquet.SchemaOf(row{}).Fields()[0]}
	if option == "split" {
		group["label"] = parquet.Encoded(group["label"], &parquet.ByteStreamSplit)
	}
	if option == "dict" {
		group["label"] = parquet.Encoded(group["label"], &parquet.RLEDictionary)
	}
	var b bytes.Buffer
	w := parquet.NewGenericWriter[map[string]any](&b, parquet.NewSchema("x", group))
	for i, l := range labels {
		if _, err := w.Write([]map[string]any{{"image": pngOf(t, 1, 1, uint8(i)), "label": l}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Labels of any integer, float, Boolean or string are read; a column that is not is said.
func TestParquetLabels(t *testing.T) {
	dir := tree(t, map[string][]byte{
		"bool.parquet":   labelled(t, "", true, false, true, true, false, true, true, true, false),
		"single.parquet": labelled[float32](t, "", 2, 0, 7),
		"double.parquet": labelled(t, "", 2.0, math.NaN(), 7),
		"parts.parquet":  labelled(t, "", 0.5, 2, 0.25),
		"split.parquet":  labelled(t, "split", 3.0, 1, 4, 1, 5),
		"splits.parquet": labelled[float32](t, "split", 3, 1, 4),
		"dict.parquet":   labelled(t, "dict", 3.0, 1, 3),
		"int8.parquet":   labelled[int8](t, "", -1, 5),
		"uint64.parquet": labelled[uint64](t, "", 1, 2),
		"long.parquet":   labelled[int64](t, "", 1<<40, 1, 1<<40),
		"lists.parquet": parquetOf(t, []struct {
			Image []byte  `parquet:"image"`
			Label []int64 `parquet:"label,list"`
		}{{pngOf(t, 1, 1, 0), nil}}),
	})
	for name, want := range map[string][]string{
		"bool":   {"1:true", "0:false", "1:true", "1:true", "0:false", "1:true", "1:true", "1:true", "0:false"},
		"single": {"2:", "0:", "7:"}, "double": {"2:", "-1:", "7:"}, "parts": {"1:0.5", "2:2", "0:0.25"},
		"split": {"3:", "1:", "4:", "1:", "5:"}, "splits": {"3:", "1:", "4:"}, "dict": {"3:", "1:", "3:"},
		"int8": {"-1:", "5:"}, "uint64": {"1:", "2:"}, "long": {"1:1099511627776", "0:1", "1:1099511627776"}, "lists": {"-1:"},
	} {
		ds := open(t, raw1, filepath.Join(dir, name+".parquet"))
		var got []string
		for i := range ds.Len() {
			it := ds.Item(i)
			got = append(got, fmt.Sprintf("%d:%s", it.Label, it.Class))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
		if said := Describe(ds).Sources[0].Unlabelled; (said != "") != (name == "lists") {
			t.Errorf("%s: unlabelled %q", name, said)
		}
	}
}

// A file that is cut off, or whose bytes are changed, is an error or has bad
// items; it never ends the program or takes much memory.
func TestParquetDamaged(t *testing.T) {
	var rows []picRow
	for i := range 40 {
		rows = append(rows, picRow{&picCell{pngOf(t, 1, 1, uint8(i)), ptr("p")}, ptr(int64(i))})
	}
	for _, codec := range []parquet.WriterOption{parquet.Compression(&parquet.Snappy), parquet.Compression(&parquet.Zstd), parquet.Compression(&parquet.Gzip), parquet.Compression(&parquet.Uncompressed)} {
		b := parquetOf(t, rows, codec)
		path := filepath.Join(t.TempDir(), "x.parquet")
		try := func(b []byte) {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if ds, err := Open([]string{path}, raw1); err == nil && ds.Len() <= 8*len(b) {
				dst := make([]float32, 3)
				for i := range min(ds.Len(), 100) {
					_ = ds.Item(i)
					_ = ds.Sample(i, dst)
				}
			}
		}
		for n := 0; n < len(b); n += 1009 {
			try(b[:n])
		}
		rng := rand.New(rand.NewPCG(1, 2))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		const tries = 120
		for range tries {
			x := bytes.Clone(b)
			for range 1 + rng.IntN(3) {
				at := rng.IntN(len(x))
				if rng.IntN(2) == 0 { // the footer is more fruitful
					at = len(x) - 1 - rng.IntN(min(len(x), 3000))
				}
				x[at] ^= 1 << rng.IntN(8)
			}
			try(x)
		}
		runtime.ReadMemStats(&after)
		if each := (after.TotalAlloc - before.TotalAlloc) / tries; each > 64<<20 {
			t.Errorf("a damaged file of %d bytes takes %d bytes of memory on average", len(b), each)
		}
	}
}

// Reading takes the memory of a few pictures, however many there are.
func TestMemoryOfSources(t *testing.T) {
	noise := make([]byte, 60<<10)
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	picture := append(pngOf(t, 1, 1, 3), noise...) // bytes behind a picture do no harm
	peak := func(name string, n int) (most uint64) {
		path := filepath.Join(t.TempDir(), name)
		if strings.HasSuffix(name, ".parquet") {
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			w := parquet.NewGenericWriter[picRow](f, parquet.MaxRowsPerRowGroup(50))
			for i := range n {
				if _, err := w.Write([]picRow{{&picCell{picture, nil}, ptr(int64(i))}}); err != nil {
					t.Fatal(err)
				}
			}
			if w.Close() != nil || f.Close() != nil {
				t.Fatal("the file cannot be written")
			}
		} else {
			var ms []member
			for i := range n {
				ms = append(ms, member{fmt.Sprintf("%06d.png", i), picture, nil})
			}
			b := tarOf(t, ms...)
			if strings.HasSuffix(name, ".gz") {
				b = gz(t, b)
			}
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		ds := open(t, raw1, path)
		var m runtime.MemStats
		for range 3 { // pools are emptied late
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		base := m.HeapAlloc
		for b, err := range Batches(t.Context(), ds, 8, 4) {
			if err != nil || b.Errs[0] != nil {
				t.Fatal(err, b.Errs)
			}
			if b.Start%80 == 0 {
				runtime.GC()
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc-min(base, m.HeapAlloc))
			}
		}
		return most
	}
	for _, name := range []string{"x.tar", "x.tar.gz", "x.parquet"} {
		few, many := peak(name, 160), peak(name, 640)
		t.Logf("%s: %d KiB for 160 pictures of 60 KiB, %d KiB for 640", name, few>>10, many>>10)
		if many > few+12<<20 { // 480 pictures more are 29 MB
			t.Errorf("%s: %d KiB for 160 pictures, %d KiB for 640", name, few>>10, many>>10)
		}
	}
}

// Opening a tar file reads headers, not members.
func TestOpeningReadsHeaders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.tar")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	const size, n = 8 << 30, 12 // 96 GB, of which the disk has the headers
	head := tarOf(t, member{"0.png", nil, &tar.Header{Typeflag: tar.TypeReg, Size: 0}})[:512]
	for i := range int64(n) {
		h := bytes.Clone(head)
		h[0] = 'a' + byte(i)
		copy(h[124:], fmt.Sprintf("%011o\x00", int64(size)))
		if size > 1<<33-1 { // as GNU tar writes large sizes
			copy(h[124:136], []byte{0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0})
		}
		copy(h[148:], "        ")
		sum := 0
		for _, c := range h {
			sum += int(c)
		}
		copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
		if _, err := f.WriteAt(h, i*(size+512)); err != nil {
			t.Skip("no sparse files here:", err)
		}
	}
	if f.Truncate(n*(size+512)+1024) != nil || f.Close() != nil {
		t.Skip("no sparse files here")
	}
	ds := open(t, raw1, path)
	if got := whats(ds); len(got) != n || !strings.Contains(got[n-1], "x.tar/l=-1: ") || !strings.Contains(got[n-1], "the limit for one image") {
		t.Errorf("got %q", got)
	}
}

// openAny opens a file with some content and reads its first items.
func openAny(t *testing.T, name string, b []byte) {
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	o := raw1
	o.MaxPixels, o.MaxUnpacked = 1<<12, 1<<20
	ds, err := Open([]string{path}, o)
	if err != nil {
		return
	}
	dst := make([]float32, 3)
	ids := map[string]bool{}
	for _, i := range append([]int{ds.Len() - 1}, slices.Collect(func(yield func(int) bool) {
		for i := 0; i < min(ds.Len()-1, 50) && yield(i); i++ {
		}
	})...) {
		it := ds.Item(i)
		if ids[it.ID] || strings.ContainsAny(it.ID, "\n\x00") {
			t.Fatalf("item %d has the ID %q, which is another's or no line", i, it.ID)
		}
		ids[it.ID] = true
		_ = ds.Sample(i, dst)
	}
}

func FuzzTar(f *testing.F) {
	p := pngOf(f, 1, 1, 1)
	b := tarOf(f, member{"a.png", p, nil}, member{"a.cls", []byte("3"), nil}, member{strings.Repeat("n", 200) + ".json", []byte(`{"label": "x"}`), nil}, member{"a.png", p, nil})
	f.Add(b, 0)
	f.Add(gz(f, b), 1)
	f.Add(zst(f, b), 2)
	f.Add(b[:1000], 0)
	f.Fuzz(func(t *testing.T, b []byte, kind int) {
		openAny(t, []string{"x.tar", "x.tar.gz", "x.tar.zst"}[uint(kind)%3], b)
	})
}

func FuzzList(f *testing.F) {
	f.Add([]byte("path,label\na.png,1\n\"b,2\n"), 0)
	f.Add([]byte("{\"path\": \"a\", \"label\": 1}\n"), 1)
	f.Add([]byte("a\r\n\nb"), 2)
	f.Fuzz(func(t *testing.T, b []byte, kind int) {
		openAny(t, []string{"x.csv", "x.jsonl", "x.txt", "x.tsv"}[uint(kind)%4], b)
	})
}

func FuzzParquet(f *testing.F) {
	p := pngOf(f, 1, 1, 1)
	rows := []picRow{{&picCell{p, ptr("a")}, ptr(int64(1))}, {nil, nil}, {&picCell{p, nil}, nil}}
	f.Add(parquetOf(f, rows, hfMeta("label", "a", "b")))
	f.Add(parquetOf(f, rows, parquet.Compression(&parquet.Zstd), parquet.DataPageVersion(1)))
	f.Fuzz(func(t *testing.T, b []byte) { openAny(t, "x.parquet", b) })
}
