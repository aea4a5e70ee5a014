package encoding

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/jpeg"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/image/draw"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
)

// thumb is the edge of a thumbnail.
const thumb = 112

// pictures makes thumbnails. It remembers the files opened last, which can hold many
// items, and the thumbnails made.
type pictures struct {
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

// of is a data URI; "" when there is no picture. small says that the picture is
// smaller than a thumbnail.
func (p *pictures) of(t Tile) (uri string, small bool) {
	at := fmt.Sprintf("%q %q", t.Path, t.ID)
	uri, ok := p.made[at]
	if !ok {
		if p.made == nil || len(p.made) >= maxThumbs {
			p.made = map[string]string{}
		}
		if m := p.read(t); m != nil {
			uri = dataURI(m)
		}
		p.made[at] = uri
	}
	return strings.CutPrefix(uri, smallURI)
}

// element is how dataset names the elements of an array file and the rows of a Parquet
// file.
var element = regexp.MustCompile(`\[(\d+)\]$`)

// read is an item's picture; nil when there is none.
func (p *pictures) read(t Tile) image.Image {
	path := t.Path
	if t.From != nil && t.From.find != nil {
		path = t.From.find(path)
	}
	if st, err := os.Stat(path); path == "" || err != nil || !st.Mode().IsRegular() {
		if path = t.From.fileOf(t.picture()); path == "" {
			return nil
		}
	}
	column, exif := "", true
	if t.From != nil {
		column = t.From.column
	}
	if t.Of != nil { // whose box is on the picture as the model saw it
		exif = t.From != nil && t.From.exif
	}
	c := p.container(path, column, exif)
	if c.ds == nil {
		return nil
	}
	i := c.find(t.picture())
	if i < 0 || i >= c.ds.Len() {
		return nil
	}
	m, err := dataset.Picture(c.ds, i)
	if err != nil {
		return nil
	}
	if t.Of != nil {
		return t.Of.crop(m)
	}
	return m
}

// picture is the ID of the picture that a tile shows, or some of.
func (t *Tile) picture() string {
	if t.Of != nil {
		return t.Of.Image
	}
	return t.ID
}

// crop is the region of its picture; nil where it holds no pixel.
func (r *Region) crop(m image.Image) image.Image {
	b := m.Bounds()
	at := func(v float64, max int, round func(float64) float64) int {
		return int(math.Min(math.Max(round(v), 0), float64(max))) // of a NaN some number within
	}
	box := image.Rect(at(r.Box[0], b.Dx(), math.Floor), at(r.Box[1], b.Dy(), math.Floor), at(r.Box[2], b.Dx(), math.Ceil), at(r.Box[3], b.Dy(), math.Ceil)).Add(b.Min)
	s, ok := m.(interface {
		SubImage(image.Rectangle) image.Image
	})
	if box = box.Intersect(b); box.Empty() || !ok {
		return nil
	}
	return s.SubImage(box)
}

// fileOf is the Parquet file that a row is in by its ID; "" when it is not known.
func (o *Origin) fileOf(id string) string {
	at := element.FindStringIndex(id)
	if o == nil || at == nil {
		return ""
	}
	name, found := id[:at[0]], ""
	for _, f := range o.files {
		switch {
		case filepath.ToSlash(f) == name:
			return f
		case filepath.Base(f) != name:
		case found != "":
			return "" // it could be either
		default:
			found = f
		}
	}
	return found
}

// container opens a file, or finds it among those that are open.
func (p *pictures) container(path, column string, exif bool) *container {
	at := slices.IndexFunc(p.open, func(c *container) bool { return c.path == path && c.column == column && c.exif == exif })
	if at >= 0 {
		c := p.open[at]
		p.open = slices.Insert(slices.Delete(p.open, at, at+1), 0, c)
		return c
	}
	c := &container{path: path, column: column, exif: exif}
	o := dataset.Options{EXIF: exif, MaxPixels: 1 << 26, Column: column}
	if ds, err := dataset.Open([]string{path}, o); err == nil {
		c.ds = ds
	}
	p.open = slices.Insert(p.open[:min(len(p.open), maxContainers-1)], 0, c)
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
