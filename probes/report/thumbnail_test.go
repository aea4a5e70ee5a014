package report

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"image"
	"image/color"
	"image/draw"
	_ "image/jpeg"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/encoding"
)

// flat is a PNG of one colour.
func flat(t testing.TB, w, h int, c color.Color) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(m, m.Bounds(), image.NewUniform(c), image.Point{}, draw.Src)
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var thumbs = regexp.MustCompile(`<image id="([^"]*)"[^>]*base64,([^"]*)"`)

// Items of tar and Parquet files get their pictures on a page, of whatever
// size these are, and whatever path a Parquet file says they had.
func TestPicturesInContainers(t *testing.T) {
	dir := t.TempDir()
	red, green, blue := color.RGBA{250, 10, 10, 255}, color.RGBA{10, 250, 10, 255}, color.RGBA{10, 10, 250, 255}
	pictures := [][]byte{flat(t, 40, 20, red), flat(t, 300, 400, green), flat(t, 16, 16, blue)}
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	for i, p := range pictures {
		if err := w.WriteHeader(&tar.Header{Name: "k/" + string(rune('a'+i)) + ".png", Mode: 0o644, Size: int64(len(p))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	type row struct {
		Image struct {
			Bytes []byte `parquet:"bytes"`
			Path  string `parquet:"path"`
		} `parquet:"image"`
		Other []byte `parquet:"other"`
	}
	columns := func(order ...int) []byte {
		var b bytes.Buffer
		pw := parquet.NewGenericWriter[row](&b)
		for _, i := range order {
			var r row
			r.Image.Bytes, r.Image.Path, r.Other = pictures[i], "gone/x.png", pictures[0]
			if _, err := pw.Write([]row{r}); err != nil {
				t.Fatal(err)
			}
		}
		if err := pw.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	tarred, table, again := write("a.tar", packed.Bytes()), write("t.parquet", columns(0, 1, 2)), write("u.parquet", columns(2, 1, 0))
	origin := func(column string, files ...string) *encoding.Origin {
		var s []map[string]string
		for _, f := range files {
			s = append(s, map[string]string{"path": f, "format": "parquet"})
		}
		b, err := json.Marshal(map[string]any{"sha256": map[string]string{}, "dataset": map[string]any{"sources": s}, "settings": map[string]any{"column": column}})
		if err != nil {
			t.Fatal(err)
		}
		codes := write("codes.jsonl", []byte(`{"id":"a","status":"ok","code":"00"}`))
		write("codes.jsonl.manifest.json", b)
		c, err := encoding.Open(codes, encoding.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return c.Origin
	}
	inner := "gone/x.png"
	for _, c := range []struct {
		tile encoding.Picture
		want color.Color // nil for no picture
	}{
		{encoding.Picture{ID: "a.tar/k/b", Path: tarred}, green},
		{encoding.Picture{ID: "some/where/a.tar/k/c", Path: tarred}, blue},
		{encoding.Picture{ID: "a.tar/k/a", Path: tarred}, red},
		{encoding.Picture{ID: "a.tar/k/none", Path: tarred}, nil},
		{encoding.Picture{ID: "t.parquet[1]", Path: inner, Origin: origin("", table)}, green},
		{encoding.Picture{ID: table + "[2]", Path: inner, Origin: origin("", table, again)}, blue},
		{encoding.Picture{ID: again + "[0]", Path: inner, Origin: origin("", table, again)}, blue},
		{encoding.Picture{ID: again + "[1]", Path: inner, Origin: origin("other", again)}, red},
		{encoding.Picture{ID: "t.parquet[9]", Path: inner, Origin: origin("", table)}, nil},
		{encoding.Picture{ID: "v.parquet[1]", Path: inner, Origin: origin("", table)}, nil},
		{encoding.Picture{ID: "t.parquet[1]", Path: inner}, nil},
	} {
		p := Page{Sections: []Section{{Strips: []Strip{{Items: []Item{{Picture: c.tile}}}}}}}
		m := thumbs.FindStringSubmatch(pageOf(t, p))
		if c.want == nil || m == nil {
			if c.want != nil || m != nil {
				t.Errorf("%s: a picture is there: %v, want %v", c.tile.ID, m != nil, c.want != nil)
			}
			continue
		}
		got, err := decoded(base64.NewDecoder(base64.StdEncoding, strings.NewReader(m[2])))
		if err != nil && err != io.EOF {
			t.Fatal(err)
		}
		r, g, b, _ := got.At(5, 5).RGBA()
		wr, wg, wb, _ := c.want.RGBA()
		if diff := max(absDiff(r, wr), absDiff(g, wg), absDiff(b, wb)); diff > 0x1000 {
			t.Errorf("%s: the colour is %04x %04x %04x, want %04x %04x %04x", c.tile.ID, r, g, b, wr, wg, wb)
		}
	}
}

func decoded(r io.Reader) (image.Image, error) {
	m, _, err := image.Decode(r)
	return m, err
}

func absDiff(a, b uint32) uint32 { return max(a, b) - min(a, b) }

// A picture of a region shows the pixels of its box, out of the picture that it is of.
func TestPictureOfARegion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.npy")
	pix := make([]uint8, 3*8*10*3)
	for i := range pix {
		pix[i] = uint8(i / 3) // 80 a picture
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := tensor.WriteNpy(f, tensor.Of(pix, 3, 8, 10, 3)); err != nil {
		t.Fatal(err)
	}
	f.Close()
	var p thumbnails
	tile := encoding.Picture{ID: "x.npy[2]#a", Path: path, Region: &encoding.Region{Image: "x.npy[2]", Box: [4]float64{2, 1.5, 5, 4}}}
	m := p.read(tile)
	if m == nil {
		t.Fatal("no picture")
	}
	b := m.Bounds()
	if r, _, _, _ := m.At(b.Min.X, b.Min.Y).RGBA(); b.Dx() != 3 || b.Dy() != 3 || r>>8 != 160+1*10+2 {
		t.Errorf("%v begins with %d, want 3 x 3 pixels from 172 on", b, r>>8)
	}
	for _, box := range [][4]float64{{20, 20, 30, 30}, {3, 3, 3, 5}, {math.Inf(-1), 1, -4, 2}} {
		if tile.Region.Box = box; p.read(tile) != nil {
			t.Errorf("the box %v gives a picture", box)
		}
	}
	tile.Region.Box = [4]float64{math.NaN(), -1e300, 1e300, 4}
	p.read(tile) // and does not panic
}
