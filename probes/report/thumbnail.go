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
	made map[string]string
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

// of is an item's picture as an element of a page, or its name.
func (t *thumbnails) of(i Item) template.HTML {
	p, id := i.Picture, escape(i.Picture.ID)
	at := fmt.Sprintf("%q %q", p.Path, p.ID)
	uri, ok := t.made[at]
	if !ok {
		if t.made == nil || len(t.made) >= maxThumbs {
			t.made = map[string]string{}
		}
		if m := t.read(p); m != nil {
			uri = dataURI(m)
		}
		t.made[at] = uri
	}
	if uri == "" {
		return template.HTML(fmt.Sprintf(`<div class="name" title="%s">%[1]s</div>`, id))
	}
	class := ""
	if of, small := strings.CutPrefix(uri, smallURI); small {
		uri, class = of, ` class="small"`
	}
	return template.HTML(fmt.Sprintf(`<img%s alt="%s" title="%[2]s" src="%s"/>`, class, id, uri))
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
func crop(m image.Image, of [4]float64) image.Image {
	b := m.Bounds()
	at := func(v float64, max int, round func(float64) float64) int {
		return int(math.Min(math.Max(round(v), 0), float64(max))) // of a NaN some number within
	}
	box := image.Rect(at(of[0], b.Dx(), math.Floor), at(of[1], b.Dy(), math.Floor),
		at(of[2], b.Dx(), math.Ceil), at(of[3], b.Dy(), math.Ceil)).Add(b.Min)
	s, ok := m.(interface {
		SubImage(image.Rectangle) image.Image
	})
	if box = box.Intersect(b); box.Empty() || !ok {
		return nil
	}
	return s.SubImage(box)
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

// smallURI marks pictures that are smaller than a thumbnail.
const smallURI = "small:"

func dataURI(m image.Image) string {
	prefix := smallURI
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
