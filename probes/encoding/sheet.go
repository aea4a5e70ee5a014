package encoding

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"iter"
	"os"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/image/draw"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
)

// Tile is one item of a contact sheet.
type Tile struct {
	// ID and Path are the item's, as results have them.
	ID, Path string
	// Caption stands below the picture.
	Caption string
}

// Strip is one row of a contact sheet.
type Strip struct {
	Title string
	Tiles []Tile
}

// WriteSheet writes a contact sheet: one HTML page that needs no other file, with
// the items' pictures in it, made small. An item whose picture cannot be read shows
// its name.
func WriteSheet(w io.Writer, title string, notes []string, strips iter.Seq[Strip]) error {
	b := bufio.NewWriterSize(w, 1<<18)
	esc := html.EscapeString
	fmt.Fprintf(b, `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>%s</title>
<style>
:root{color-scheme:light dark}
body{font:14px/1.4 system-ui,sans-serif;margin:1.5em}
h1{font-size:1.3em}
h2{font-size:1em;margin:1.2em 0 .3em}
section{border-top:1px solid #8884}
.t{display:flex;flex-wrap:wrap;gap:8px}
figure{margin:0;width:%[2]dpx}
figure img,figure .n{display:block;width:%[2]dpx;height:%[2]dpx;object-fit:contain;background:#8882}
figure .n{display:flex;align-items:center;justify-content:center;overflow:hidden;overflow-wrap:anywhere;font-size:11px;padding:4px;box-sizing:border-box}
figure img.s{image-rendering:pixelated}
figcaption{font-size:11px;overflow-wrap:anywhere}
</style></head><body>
<h1>%[1]s</h1>
`, esc(title), thumb)
	for _, n := range notes {
		fmt.Fprintf(b, "<p>%s</p>\n", esc(n))
	}
	p := pictures{made: map[[2]string]string{}}
	for s := range strips {
		fmt.Fprintf(b, "<section><h2>%s</h2><div class=\"t\">\n", esc(s.Title))
		for _, t := range s.Tiles {
			b.WriteString("<figure>")
			if uri, small := p.of(t); uri != "" {
				class := ""
				if small {
					class = ` class="s"`
				}
				fmt.Fprintf(b, `<img%s alt="%s" title="%[2]s" src="%s">`, class, esc(t.ID), uri)
			} else {
				fmt.Fprintf(b, `<div class="n" title="%s">%[1]s</div>`, esc(t.ID))
			}
			fmt.Fprintf(b, "<figcaption>%s</figcaption></figure>\n", esc(t.Caption))
		}
		if _, err := b.WriteString("</div></section>\n"); err != nil {
			return err
		}
	}
	b.WriteString("</body></html>\n")
	return b.Flush()
}

// thumb is the edge of a thumbnail.
const thumb = 112

// pictures makes thumbnails. It remembers the last file, which can hold many
// items, and the thumbnails made.
type pictures struct {
	path string
	ds   dataset.Dataset // nil when the file has no pictures
	made map[[2]string]string
}

// of is a data URI; "" when there is no picture. small says that the picture is
// smaller than a thumbnail.
func (p *pictures) of(t Tile) (uri string, small bool) {
	if t.Path == "" {
		return "", false
	}
	at := [2]string{t.Path, t.ID}
	uri, ok := p.made[at]
	if !ok {
		if len(p.made) >= 10_000 {
			clear(p.made)
		}
		if m := p.read(t); m != nil {
			uri = dataURI(m)
		}
		p.made[at] = uri
	}
	uri, small = strings.CutPrefix(uri, "small:")
	return uri, small
}

// element is how dataset names the elements of an array file.
var element = regexp.MustCompile(`\[(\d+)\]$`)

// read is an item's picture; nil when there is none.
func (p *pictures) read(t Tile) image.Image {
	if p.path != t.Path {
		p.path, p.ds = t.Path, nil
		if st, err := os.Stat(t.Path); err != nil || !st.Mode().IsRegular() {
			return nil
		}
		if ds, err := dataset.Open([]string{t.Path}, dataset.Options{EXIF: true, MaxPixels: 1 << 26}); err == nil {
			p.ds = ds
		}
	}
	if p.ds == nil {
		return nil
	}
	i, n := 0, p.ds.Len()
	if n > 1 {
		i = n
		if m := element.FindStringSubmatch(t.ID); m != nil {
			i, _ = strconv.Atoi(m[1])
		} else {
			for k := range min(n, 100_000) {
				if strings.HasSuffix(t.ID, p.ds.Item(k).ID) {
					i = k
					break
				}
			}
		}
	}
	shape := p.ds.Shape()
	if i < 0 || i >= n || len(shape) != 3 || shape[0] != 1 && shape[0] != 3 {
		return nil
	}
	h, w := shape[1], shape[2]
	x := make([]float32, shape[0]*h*w)
	if p.ds.Sample(i, x) != nil {
		return nil
	}
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	level := func(k int) uint8 {
		v := x[k]
		return uint8(min(max(v, 0), 1)*255 + 0.5)
	}
	for k := range h * w {
		c := color.RGBA{A: 255}
		if c.R = level(k); shape[0] == 3 {
			c.G, c.B = level(h*w+k), level(2*h*w+k)
		} else {
			c.G, c.B = c.R, c.R
		}
		m.SetRGBA(k%w, k/w, c)
	}
	return m
}

func dataURI(m image.Image) string {
	prefix := "small:"
	if b := m.Bounds(); b.Dx() > thumb || b.Dy() > thumb {
		prefix = ""
		scale := float64(thumb) / float64(max(b.Dx(), b.Dy()))
		to := image.NewRGBA(image.Rect(0, 0, max(int(float64(b.Dx())*scale), 1), max(int(float64(b.Dy())*scale), 1)))
		draw.CatmullRom.Scale(to, to.Bounds(), m, b, draw.Src, nil)
		m = to
	}
	var buf bytes.Buffer
	if jpeg.Encode(&buf, m, &jpeg.Options{Quality: 85}) != nil {
		return ""
	}
	return prefix + "data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(buf.Bytes())
}
