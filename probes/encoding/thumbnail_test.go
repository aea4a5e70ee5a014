package encoding

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/onnxprobe/onnxprobe/probes/result"
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

var thumbs = regexp.MustCompile(`alt="([^"]*)"[^>]*base64,([^"]*)"`)

// Items of tar and Parquet files get their pictures on a contact sheet, of whatever
// size these are, and whatever path a Parquet file says they had.
func TestSheetOfContainers(t *testing.T) {
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
	origin := func(column string, files ...string) *Origin {
		var s []map[string]string
		for _, f := range files {
			s = append(s, map[string]string{"path": f, "format": "parquet"})
		}
		b, err := json.Marshal(map[string]any{"sha256": map[string]string{}, "dataset": map[string]any{"sources": s}, "settings": map[string]any{"column": column}})
		if err != nil {
			t.Fatal(err)
		}
		at := filepath.Join(t.TempDir(), "manifest.json")
		if err := os.WriteFile(at, b, 0o666); err != nil {
			t.Fatal(err)
		}
		m, err := result.ReadManifest(at)
		if err != nil {
			t.Fatal(err)
		}
		o, err := originOf(m)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	inner := "gone/x.png"
	for _, c := range []struct {
		tile Tile
		want color.Color // nil for no picture
	}{
		{Tile{ID: "a.tar/k/b", Path: tarred}, green},
		{Tile{ID: "some/where/a.tar/k/c", Path: tarred}, blue},
		{Tile{ID: "a.tar/k/a", Path: tarred}, red},
		{Tile{ID: "a.tar/k/none", Path: tarred}, nil},
		{Tile{ID: "t.parquet[1]", Path: inner, From: origin("", table)}, green},
		{Tile{ID: table + "[2]", Path: inner, From: origin("", table, again)}, blue},
		{Tile{ID: again + "[0]", Path: inner, From: origin("", table, again)}, blue},
		{Tile{ID: again + "[1]", Path: inner, From: origin("other", again)}, red},
		{Tile{ID: "t.parquet[9]", Path: inner, From: origin("", table)}, nil},
		{Tile{ID: "v.parquet[1]", Path: inner, From: origin("", table)}, nil},
		{Tile{ID: "t.parquet[1]", Path: inner}, nil},
	} {
		var page strings.Builder
		if err := WriteSheet(&page, "t", nil, slices.Values([]Strip{{Tiles: []Tile{c.tile}}})); err != nil {
			t.Fatal(err)
		}
		m := thumbs.FindStringSubmatch(page.String())
		if c.want == nil || m == nil {
			if c.want != nil || m != nil {
				t.Errorf("%s: a picture is there: %v, want %v", c.tile.ID, m != nil, c.want != nil)
			}
			continue
		}
		got, err := jpeg.Decode(base64.NewDecoder(base64.StdEncoding, strings.NewReader(m[2])))
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

func absDiff(a, b uint32) uint32 { return max(a, b) - min(a, b) }
