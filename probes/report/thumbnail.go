package report

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	"image/jpeg"
	"image/png"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/image/draw"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/probes/encoding"
)

// thumbnails makes pictures small. It remembers the files opened last, which can hold many
// items, and what it made: a page has every picture once, in a store at its end.
type thumbnails struct {
	edge  int          // of a picture, at most
	open  []*container // the latest first
	made  map[string]thumbnail
	store map[string]int // of what was encoded, its number
	all   []string       // elements, by their numbers
	spots int            // of all figures, so far
}

// thumbnail is a picture of the store with its size; 0 where there is no picture.
type thumbnail struct{ number, w, h int }

const (
	maxContainers = 16
	// maxMembers is how many items of a file are told by their names.
	maxMembers = 1 << 20
)

// container is a file with pictures in it, or one that is a picture.
type container struct {
	path, column string
	exif         bool
	ds           dataset.Dataset // nil when there are no pictures
	members      map[string]int  // by the IDs, made when they are asked for
}

// edgeFor is the edge of a picture on a page with so many of them: enough to be looked at
// enlarged where there are few, and of some hundred not more than about 10 MB of a page.
func edgeFor(pictures int) int {
	switch {
	case pictures <= 60:
		return 512
	case pictures <= 200:
		return 384
	case pictures <= 600:
		return 288
	}
	return sheetEdge
}

// sheetEdge is that of a picture on a sheet; tiny is that of one without loss.
const (
	sheetEdge = 224
	tiny      = 64
)

// of is an item's picture with an edge at most, put into the store.
func (t *thumbnails) of(p encoding.Picture, edge int) thumbnail {
	key := fmt.Sprintf("%d %q %q", edge, p.Path, p.ID)
	made, ok := t.made[key]
	if !ok {
		made = t.put(t.read(p), edge)
		if t.made == nil {
			t.made = map[string]thumbnail{}
		}
		t.made[key] = made
	}
	return made
}

// put puts a picture into the store, once however often it comes.
func (t *thumbnails) put(m image.Image, edge int) thumbnail {
	if m == nil {
		return thumbnail{}
	}
	if b := m.Bounds(); max(b.Dx(), b.Dy()) > edge {
		scale := float64(edge) / float64(max(b.Dx(), b.Dy()))
		small := image.NewRGBA(image.Rect(0, 0, max(int(float64(b.Dx())*scale), 1), max(int(float64(b.Dy())*scale), 1)))
		draw.CatmullRom.Scale(small, small.Bounds(), m, b, draw.Src, nil)
		m = small
	}
	var buf bytes.Buffer
	w, h := m.Bounds().Dx(), m.Bounds().Dy()
	kind, err := "jpeg", error(nil)
	if max(w, h) <= tiny {
		kind, err = "png", png.Encode(&buf, m)
	} else {
		err = jpeg.Encode(&buf, m, &jpeg.Options{Quality: 80})
	}
	if err != nil {
		return thumbnail{}
	}
	element := fmt.Sprintf(` width="%d" height="%d" href="data:image/%s;base64,%s"/>`, w, h, kind, base64.StdEncoding.EncodeToString(buf.Bytes()))
	n, ok := t.store[element]
	if !ok {
		if t.store == nil {
			t.store = map[string]int{}
		}
		n = len(t.all) + 1
		t.store[element], t.all = n, append(t.all, fmt.Sprintf(`<image id="picture-%d"%s`, n, element))
	}
	return thumbnail{n, w, h}
}

// stored is the store as an element of a page; nothing where it is empty.
func (t *thumbnails) stored() template.HTML {
	if len(t.all) == 0 {
		return ""
	}
	return template.HTML("<svg class=\"store\" width=\"0\" height=\"0\" aria-hidden=\"true\"><defs>\n" + strings.Join(t.all, "\n") + "\n</defs></svg>\n")
}

// item is an item as an element of a page: its picture, which a click enlarges, or its name,
// and what is said of it, with the items that are folded into it.
func (t *thumbnails) item(i Item) template.HTML {
	var b strings.Builder
	class := ""
	if i.Mark != "" {
		class = " marked"
	}
	title := escape(i.text())
	fmt.Fprintf(&b, `<figure class="item%s">`, class)
	if p := t.of(i.Picture, t.edge); p.number == 0 {
		fmt.Fprintf(&b, `<div class="name" title="%s">%s</div>`, title, wrapped(shortened(i.text())))
	} else {
		fmt.Fprintf(&b, `<details class="picture"><summary title="%s" aria-label="%[1]s, larger"><svg viewBox="0 0 %d %d" aria-hidden="true">`+
			`<use href="#picture-%d"/></svg></summary></details>`, title, p.w, p.h, p.number)
	}
	b.WriteString("<figcaption>")
	if i.Mark != "" {
		fmt.Fprintf(&b, `<b class="mark">%s</b> `, escape(i.Mark))
	}
	fmt.Fprintf(&b, `<span class="words" title="%s">%s</span>`, title, wrapped(shortened(i.text())))
	if i.Detail != "" {
		fmt.Fprintf(&b, `<span class="detail">%s</span>`, escape(i.Detail))
	}
	b.WriteString("</figcaption>")
	if n := len(i.Equal); n > 0 {
		var names []string
		for _, e := range i.Equal[:min(n, 3)] {
			names = append(names, wrapped(shortened(e.text())))
		}
		if n > 3 {
			names = append(names, fmt.Sprintf("and %d more", n-3))
		}
		fmt.Fprintf(&b, `<details class="equal"><summary>%d equal: %s</summary>`, n, strings.Join(names, ", "))
		for _, e := range i.Equal {
			b.WriteString(string(t.item(e)))
		}
		b.WriteString("</details>")
	}
	b.WriteString("</figure>")
	return template.HTML(b.String())
}

// element is how dataset names the elements of an array file and the rows of a Parquet
// file.
var element = regexp.MustCompile(`\[(\d+)\]$`)

// read is an item's picture; nil when there is none.
func (t *thumbnails) read(p encoding.Picture) image.Image {
	path, column, exif := p.File()
	if path == "" {
		return nil
	}
	c := t.container(path, column, exif)
	if c.ds == nil {
		return nil
	}
	i := c.find(p.Image())
	if i < 0 || i >= c.ds.Len() {
		return nil
	}
	m, err := dataset.Picture(c.ds, i)
	if err != nil {
		return nil
	}
	if p.Region != nil {
		return crop(m, p.Region.Box)
	}
	return m
}

// crop is what of a picture lies in a box; nil where that is no pixel.
func crop(m image.Image, box [4]float64) image.Image {
	b := m.Bounds()
	pixel := func(v float64, max int, round func(float64) float64) int {
		return int(math.Min(math.Max(round(v), 0), float64(max))) // of a NaN some number within
	}
	part := image.Rect(pixel(box[0], b.Dx(), math.Floor), pixel(box[1], b.Dy(), math.Floor),
		pixel(box[2], b.Dx(), math.Ceil), pixel(box[3], b.Dy(), math.Ceil)).Add(b.Min)
	s, ok := m.(interface {
		SubImage(image.Rectangle) image.Image
	})
	if part = part.Intersect(b); part.Empty() || !ok {
		return nil
	}
	return s.SubImage(part)
}

// container opens a file, or finds it among those that are open.
func (t *thumbnails) container(path, column string, exif bool) *container {
	at := slices.IndexFunc(t.open, func(c *container) bool {
		return c.path == path && c.column == column && c.exif == exif
	})
	if at >= 0 {
		c := t.open[at]
		t.open = slices.Insert(slices.Delete(t.open, at, at+1), 0, c)
		return c
	}
	c := &container{path: path, column: column, exif: exif}
	o := dataset.Options{EXIF: exif, MaxPixels: 1 << 26, Column: column}
	if ds, err := dataset.Open([]string{path}, o); err == nil {
		c.ds = ds
	}
	t.open = slices.Insert(t.open[:min(len(t.open), maxContainers-1)], 0, c)
	return c
}

// find is the place of an item in the file; -1 when it is not there.
func (c *container) find(id string) int {
	n := c.ds.Len()
	if m := element.FindStringSubmatch(id); m != nil && c.ds.Item(0).ID != id {
		if i, err := strconv.Atoi(m[1]); err == nil && i < n && strings.HasSuffix(id, c.ds.Item(i).ID) {
			return i
		}
	}
	if n == 1 {
		return 0
	}
	if c.members == nil {
		c.members = map[string]int{}
		for i := range min(n, maxMembers) {
			c.members[c.ds.Item(i).ID] = i
		}
	}
	// In results of several sources the name stands behind a folder.
	for rest := id; ; {
		if i, ok := c.members[rest]; ok {
			return i
		}
		var ok bool
		if _, rest, ok = strings.Cut(rest, "/"); !ok {
			return -1
		}
	}
}
