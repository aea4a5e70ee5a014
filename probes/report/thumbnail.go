package report

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	"image/jpeg"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/image/draw"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/probes/encoding"
)

// thumb is the edge of a thumbnail.
const thumb = 112

// Strip is a row of pictures on a page: those of items that belong together.
type Strip struct {
	Title string
	Items []Item
}

// Item is one of a Strip: what stands below the picture, and where that lies. An item
// whose picture cannot be read shows its name.
type Item struct {
	Caption string
	Picture encoding.Picture
}

// thumbnails makes pictures small. It remembers the files opened last, which can hold many
// items, and what it made.
type thumbnails struct {
	open []*container // the latest first
	made map[string]template.HTML
}

const (
	maxContainers = 16
	maxThumbs     = 10_000
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

// element is an item's picture as an element of a page, or its name.
func (t *thumbnails) element(i Item) template.HTML {
	p := i.Picture
	key := fmt.Sprintf("%q %q", p.Path, p.ID)
	html, ok := t.made[key]
	if !ok {
		if t.made == nil || len(t.made) >= maxThumbs {
			t.made = map[string]template.HTML{}
		}
		html = thumbnail(escape(p.ID), t.read(p))
		t.made[key] = html
	}
	return html
}

// thumbnail is a picture made small, or where there is none the name of the item.
func thumbnail(name string, m image.Image) template.HTML {
	if m == nil {
		return template.HTML(fmt.Sprintf(`<div class="name" title="%s">%[1]s</div>`, name))
	}
	class := ` class="small"`
	if b := m.Bounds(); b.Dx() > thumb || b.Dy() > thumb {
		class = ""
		scale := float64(thumb) / float64(max(b.Dx(), b.Dy()))
		small := image.NewRGBA(image.Rect(0, 0, max(int(float64(b.Dx())*scale), 1), max(int(float64(b.Dy())*scale), 1)))
		draw.CatmullRom.Scale(small, small.Bounds(), m, b, draw.Src, nil)
		m = small
	}
	var buf bytes.Buffer
	if jpeg.Encode(&buf, m, &jpeg.Options{Quality: 85}) != nil {
		return thumbnail(name, nil)
	}
	return template.HTML(fmt.Sprintf(`<img%s alt="%s" title="%[2]s" src="data:image/jpeg;base64,%s"/>`,
		class, name, base64.StdEncoding.EncodeToString(buf.Bytes())))
}

// text is what stands below the picture, with the class of a region.
func (i Item) text() string {
	if r := i.Picture.Region; r != nil && r.Label != "" {
		return i.Caption + " (" + r.Label + ")"
	}
	return i.Caption
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
