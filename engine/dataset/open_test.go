package dataset

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
)

// pngOf is a grey picture of one value.
func pngOf(t testing.TB, w, h int, v uint8) []byte {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, w, h))
	for i := range m.Pix {
		m.Pix[i] = v
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tree writes files into a new folder.
func tree(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, b := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func open(t testing.TB, o Options, sources ...string) Dataset {
	t.Helper()
	ds, err := Open(sources, o)
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

// list is ID=label:class of every sample.
func list(ds Dataset) (out []string) {
	for i := range ds.Len() {
		it := ds.Item(i)
		out = append(out, fmt.Sprintf("%s=%d:%s", it.ID, it.Label, it.Class))
	}
	return out
}

func sample(t testing.TB, ds Dataset, i int) []float32 {
	t.Helper()
	n := 1
	for _, d := range ds.Shape() {
		n *= d
	}
	dst := make([]float32, n)
	if err := ds.Sample(i, dst); err != nil {
		t.Fatal(err)
	}
	return dst
}

func TestImageFolder(t *testing.T) {
	p := pngOf(t, 2, 2, 255)
	dir := tree(t, map[string][]byte{
		"cat/b.png": p, "cat/a.PNG": p, "cat/deep/er/c.png": p, "ant/x.png": p, "empty/readme.txt": nil,
		"ant/.hidden.png": p, ".git/z.png": p, "loose.png": p,
	})
	ds := open(t, Options{}, dir)
	want := []string{"ant/x.png=0:ant", "cat/a.PNG=1:cat", "cat/b.png=1:cat", "cat/deep/er/c.png=1:cat", "loose.png=-1:"}
	if got := list(ds); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	d := Describe(ds)
	if d.Items != 5 || !reflect.DeepEqual(d.Classes, []string{"ant", "cat", "empty"}) || d.Sources[0].Format != "images" {
		t.Errorf("description %+v", d)
	}
	if got := sample(t, ds, 0); !reflect.DeepEqual(got, slicesOf(1, 12)) {
		t.Errorf("sample %v, want 12 ones", got)
	}
	mixed := tree(t, map[string][]byte{"x.png": p, "features.npy": nil, "data_batch_1.bin": nil, "images-idx3-ubyte": nil})
	if got := list(open(t, Options{}, mixed)); !reflect.DeepEqual(got, []string{"x.png=-1:"}) {
		t.Errorf("images beside array files: got %q", got)
	}
	flat := open(t, Options{}, filepath.Join(dir, "cat"))
	if got := list(flat)[0]; got != "deep/er/c.png=0:deep" {
		t.Errorf("a folder whose only sub-folder has pictures: got %q", got)
	}
	if got := list(open(t, Options{}, filepath.Join(dir, "ant"))); !reflect.DeepEqual(got, []string{"x.png=-1:"}) {
		t.Errorf("a flat folder: got %q", got)
	}
}

func slicesOf(v float32, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = v
	}
	return s
}

func TestSeveralSources(t *testing.T) {
	p := pngOf(t, 1, 1, 0)
	t.Chdir(tree(t, map[string][]byte{"a/dog/1.png": p, "a/owl/1.png": p, "b/cat/1.png": p, "b/dog/1.png": p, "s.png": p, "u.png": p}))
	ds := open(t, Options{Stdin: strings.NewReader("u.png\r\n\ns.png\n")}, "a", "s.png", "b/", "?.png", "-")
	want := []string{"a/dog/1.png=1:dog", "a/owl/1.png=2:owl", "s.png=-1:", "b/cat/1.png=0:cat", "b/dog/1.png=1:dog",
		"s.png#2=-1:", "u.png=-1:", "u.png#2=-1:", "s.png#3=-1:"}
	if got := list(ds); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := Describe(ds).Classes; !reflect.DeepEqual(got, []string{"cat", "dog", "owl"}) {
		t.Errorf("classes %q", got)
	}
	view, err := Range(ds, 3, 5)
	if err != nil || !reflect.DeepEqual(list(view), want[3:5]) || Describe(view).Items != 2 {
		t.Errorf("range: %q (error %v), want %q", list(view), err, want[3:5])
	}
	if _, err := Range(ds, 0, 10); err == nil {
		t.Error("a range past the end was given")
	}
	nul := open(t, Options{Stdin: strings.NewReader("u.png\x00s.png\x00")}, "-")
	if got := list(nul); !reflect.DeepEqual(got, []string{"u.png=-1:", "s.png=-1:"}) {
		t.Errorf("list with NUL: %q", got)
	}
}

func TestOpenRefuses(t *testing.T) {
	p := pngOf(t, 2, 2, 0)
	dir := tree(t, map[string][]byte{"a.png": p, "wide.png": pngOf(t, 3, 2, 0), "no.dat": []byte("hello"), "empty/.keep": nil, "bad/x.png": nil})
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, c := range []struct {
		name    string
		sources []string
		o       Options
		want    string
	}{
		{"nothing", nil, Options{}, "no source is given"},
		{"missing", []string{at("gone")}, Options{}, "no such file"},
		{"glob", []string{at("*.gif")}, Options{}, "matches no file"},
		{"text", []string{at("no.dat")}, Options{}, "give the format, one of npy, cifar10"},
		{"empty folder", []string{at("empty")}, Options{}, "holds no image"},
		{"format", []string{dir}, Options{Format: "jpg"}, "want one of auto, npy"},
		{"layout", []string{dir}, Options{Layout: "chw"}, "want auto, nchw or nhwc"},
		{"size unknown and all bad", []string{at("bad")}, Options{}, "the file is empty"},
		{"no list", []string{"-"}, Options{}, "standard input: there is none"},
		{"empty list", []string{"-"}, Options{Stdin: strings.NewReader("\n")}, "no source is given"},
		{"model", []string{dir}, Options{Input: []int{4, 2, 2}, Preprocess: &picture.Preprocess{Channels: 3}}, "the model takes [4 2 2]"},
		{"not the model's size", []string{dir}, Options{Input: []int{3, 9, 9}, Preprocess: &picture.Preprocess{Crop: picture.Size{H: 2, W: 2}}}, "resize to 9x9"},
		{"wrong format", []string{at("a.png")}, Options{Format: "cifar10"}, "want a multiple of 3073"},
		{"limit", []string{dir}, Options{MaxPixels: -1}, "want more than 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Open(c.sources, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
		})
	}
}

// The header of a PNG that claims more pixels than it has.
func bombPNG(w, h uint32) []byte {
	ihdr := binary.BigEndian.AppendUint32([]byte("IHDR"), w)
	ihdr = append(binary.BigEndian.AppendUint32(ihdr, h), 8, 2, 0, 0, 0)
	b := binary.BigEndian.AppendUint32([]byte("\x89PNG\r\n\x1a\n"), 13)
	return binary.BigEndian.AppendUint32(append(b, ihdr...), crc32.ChecksumIEEE(ihdr))
}

func jpegOf(t testing.TB, w, h int) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range m.Pix {
		m.Pix[i] = uint8(i * 7)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// pictures that Pillow made and read: testdata/export/pillow.py.
const pillowFiles = "../../testdata/golden/pillow"

// A WebP whose canvas is not the size of its picture.
func canvasWebP(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(pillowFiles, "lossy.webp"))
	if err != nil {
		t.Fatal(err)
	}
	canvas := []byte("VP8X\x0a\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00" + "\x00\x00\x00") // 1 x 1
	out := append(append(bytes.Clone(b[:12]), canvas...), b[12:]...)
	binary.LittleEndian.PutUint32(out[4:], uint32(len(out)-8))
	return out
}

// One bad picture is one error; the others are read.
func TestHostileImages(t *testing.T) {
	j, p := jpegOf(t, 40, 40), pngOf(t, 40, 40, 9)
	const maxScans = 1000
	many := []byte("\xff\xd8\xff\xc2\x00\x0b\x08\x00\x08\x00\x08\x01\x01\x11\x00" + // progressive, 8 x 8
		strings.Repeat("\xff\xda\x00\x08\x01\x01\x00\x00\x00\x00\x00", maxScans+1) + "\xff\xd9")
	files := map[string][]byte{
		"zero.jpg": nil, "html.jpg": []byte("<!DOCTYPE html><html>"), "cut.jpg": j[:len(j)/2], "cut.png": p[:len(p)/2],
		"huge.png": bombPNG(65535, 65535), "overflow.png": bombPNG(1<<31-1, 1<<31-1), "noise.webp": []byte("RIFF\x10\x00\x00\x00WEBPVP8 junk"),
		"header.gif": []byte("GIF89a\xff\xff\xff\xff\xf7\x00\x00"), "junk.bmp": []byte("BM" + strings.Repeat("\xff", 60)),
		"junk.tiff": []byte("II*\x00\x08\x00\x00\x00\xff\xff" + strings.Repeat("\x01", 200)), "scans.jpg": many,
		"needle.png": pngOf(t, 1, 60000, 1), "canvas.webp": canvasWebP(t),
	}
	wants := map[string]string{
		"zero.jpg": "the file is empty", "html.jpg": `begins with "<!DOCTYPE ht"`, "cut.jpg": "decoding JPEG", "cut.png": "not enough pixel data",
		"huge.png": "65535 x 65535 pixels, the limit", "overflow.png": "decoding PNG", "scans.jpg": "it has 1001 scans of 8 x 8 pixels, of which at most 1000 are accepted", "needle.png": "crop such long pictures first", "canvas.webp": "decoding WebP",
	}
	good := map[string][]byte{
		"1x1.png": pngOf(t, 1, 1, 51), "1xN.png": pngOf(t, 1, 30, 51), "Nx1.png": pngOf(t, 30, 1, 51), "name.gif.png": p, "end cut.png": p[:len(p)-20], "really-png.jpg": p, "ok.jpg": j, "video behind.jpg": append(bytes.Clone(j), bytes.Repeat([]byte{0xff, 0xda, 0, 2}, 20*maxScans)...),
	}
	all := map[string][]byte{}
	for _, m := range []map[string][]byte{files, good} {
		for name, b := range m {
			all[name] = b
		}
	}
	preset, err := picture.ParsePreprocess("imagenet")
	if err != nil {
		t.Fatal(err)
	}
	dir := tree(t, all)
	if err := os.Mkdir(filepath.Join(dir, "gone.png"), 0o700); err != nil { // a folder named as a picture
		t.Fatal(err)
	}
	ds := open(t, Options{Preprocess: &preset, MaxPixels: 1 << 23}, dir)
	if ds.Len() != len(all) {
		t.Fatalf("got %d samples, want %d", ds.Len(), len(all))
	}
	dst := make([]float32, 3*224*224)
	for i := range ds.Len() {
		name := ds.Item(i).ID
		err := ds.Sample(i, dst)
		_, isGood := good[name]
		if isGood && err != nil || !isGood && (err == nil || !strings.Contains(err.Error(), wants[name]) || !strings.Contains(err.Error(), name)) {
			t.Errorf("%s: got error %v, want one with %q", name, err, wants[name])
		}
	}
}

func TestVanishingAndUnreadable(t *testing.T) {
	p := pngOf(t, 1, 1, 0)
	dir := tree(t, map[string][]byte{"a.png": p, "b.png": p})
	ds := open(t, Options{}, dir)
	if err := os.Remove(filepath.Join(dir, "b.png")); err != nil {
		t.Fatal(err)
	}
	if err := ds.Sample(1, make([]float32, 3)); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a file that vanished: got error %v", err)
	}
	if os.Geteuid() == 0 {
		t.Skip("the superuser may read every file")
	}
	if err := os.Chmod(filepath.Join(dir, "a.png"), 0); err != nil {
		t.Fatal(err)
	}
	if err := ds.Sample(0, make([]float32, 3)); err == nil || !strings.Contains(err.Error(), "permission") {
		t.Errorf("a file without permission: got error %v", err)
	}
}

func TestSymlinkLoops(t *testing.T) {
	dir := tree(t, map[string][]byte{"a/x.png": pngOf(t, 1, 1, 0)})
	for link, to := range map[string]string{"a/up": dir, "a/self": "self", "a/here": ".", "loop": dir, "dangling.png": "nowhere"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Skip("no symbolic links here:", err)
		}
	}
	ds := open(t, Options{}, dir)
	if got, want := list(ds), []string{"a/x.png=0:a", "dangling.png=-1:"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOddNames(t *testing.T) {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		t.Skip("the file system refuses these names")
	}
	p := pngOf(t, 1, 1, 0)
	ds := open(t, Options{}, tree(t, map[string][]byte{"new\nline.png": p, "\xff\xfe.png": p, `back\x0a.png`: p, "ünï.png": p, "\u202egnp.png": p}))
	want := []string{`back\\x0a.png=-1:`, `new\x0aline.png=-1:`, "ünï.png=-1:", `\u{202e}gnp.png=-1:`, `\xff\xfe.png=-1:`}
	if got := list(ds); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for i := range ds.Len() {
		sample(t, ds, i)
	}
}

func TestFormIsTheModels(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 2, 1))
	m.Set(0, 0, color.NRGBA{255, 0, 0, 0}) // alpha is dropped, not blended
	m.Set(1, 0, color.NRGBA{0, 255, 51, 255})
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	dir := tree(t, map[string][]byte{"x.png": b.Bytes()})
	for _, c := range []struct {
		input []int
		pre   picture.Preprocess
		shape []int
		want  []float32
	}{
		{nil, picture.Preprocess{}, []int{3, 1, 2}, []float32{1, 0, 0, 1, 0, 0.2}},
		{[]int{-1, 1, 2}, picture.Preprocess{}, []int{3, 1, 2}, []float32{1, 0, 0, 1, 0, 0.2}},
		{[]int{2, 2, 3}, picture.Preprocess{Resize: picture.Resize{Mode: picture.Exact, Size: picture.Size{H: 2, W: 2}}}, []int{2, 2, 3}, []float32{1, 0, 0, 0, 1, 0.2, 1, 0, 0, 0, 1, 0.2}},
		{nil, picture.Preprocess{Channels: 3, BGR: true}, []int{3, 1, 2}, []float32{0, 0.2, 0, 1, 1, 0}},
		{[]int{1, 1, 2}, picture.Preprocess{}, []int{1, 1, 2}, []float32{76. / 255, 156. / 255}},
		{[]int{2}, picture.Preprocess{Crop: picture.Size{H: 1, W: 2}}, []int{2}, []float32{76. / 255, 156. / 255}},
		{[]int{6}, picture.Preprocess{}, []int{6}, []float32{1, 0, 0, 1, 0, 0.2}},
	} {
		ds := open(t, Options{Input: c.input, Preprocess: &c.pre}, dir)
		if got := sample(t, ds, 0); !reflect.DeepEqual(ds.Shape(), c.shape) || !reflect.DeepEqual(got, c.want) {
			t.Errorf("input %v: got %v %v, want %v %v", c.input, ds.Shape(), got, c.shape, c.want)
		}
	}
}
