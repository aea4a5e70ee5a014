package annotate

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes/region"
)

// perPicture writes a file for each picture, named as it is, below a folder.
type perPicture struct {
	dir, ext string
	of       func(Picture) (text []byte, lost Counts, err error)
	last     func(dir string) error // nil for none
}

func (f perPicture) write(p Picture) (lost Counts, err error) {
	name := filepath.FromSlash(strings.TrimSuffix(p.Name, path.Ext(p.Name)) + f.ext)
	if !filepath.IsLocal(name) {
		return nil, fmt.Errorf("picture %q: its file %s would lie outside of the folder; want names without .. that begin with no slash", p.Name, name)
	}
	b, lost, err := f.of(p)
	if err != nil {
		return nil, fmt.Errorf("picture %q: %w", p.Name, err)
	}
	name = filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return nil, err
	}
	out, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if os.IsExist(err) {
		return nil, fmt.Errorf("picture %q: two pictures would be written to %s, which differ in their extension alone; "+
			"write a format of one file", p.Name, filepath.Base(name))
	}
	if err != nil {
		return nil, err
	}
	_, err = out.Write(b)
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	return lost, err
}

func (f perPicture) close() error {
	if f.last == nil {
		return nil
	}
	return f.last(f.dir)
}

// newYOLOWriter numbers classes as they come, and names them in data.yaml.
func newYOLOWriter(dir string) encoder {
	var classes numbering
	return perPicture{dir, ".txt", func(p Picture) ([]byte, Counts, error) {
		var b bytes.Buffer
		for _, r := range p.Regions {
			v := yoloBox(r.Box, float64(p.Size.W), float64(p.Size.H))
			fmt.Fprintf(&b, "%d %v %v %v %v\n", classes.of(r.Label), v[0], v[1], v[2], v[3])
		}
		return b.Bytes(), nil, nil
	}, func(dir string) error {
		var b bytes.Buffer
		fmt.Fprintf(&b, "nc: %d\nnames:\n", len(classes.names))
		for k, l := range classes.names {
			quoted, err := compact(l)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "  %d: %s\n", k, quoted)
		}
		return os.WriteFile(filepath.Join(dir, yamlFiles[0]), b.Bytes(), 0o666)
	}}
}

func newVOCWriter(dir string) encoder {
	return perPicture{dir: dir, ext: ".xml", of: func(p Picture) ([]byte, Counts, error) {
		var b bytes.Buffer
		fmt.Fprintf(&b, "<annotation>\n  <filename>%s</filename>\n  "+
			"<size><width>%d</width><height>%d</height><depth>3</depth></size>\n", escape(p.Name), p.Size.W, p.Size.H)
		for _, r := range p.Regions {
			fmt.Fprintf(&b, "  <object>\n    <name>%s</name>\n    <bndbox><xmin>%v</xmin><ymin>%v</ymin><xmax>%v</xmax><ymax>%v</ymax></bndbox>\n  </object>\n",
				escape(r.Label), r.Box.X0+1, r.Box.Y0+1, r.Box.X1, r.Box.Y1)
		}
		fmt.Fprintln(&b, "</annotation>")
		return b.Bytes(), nil, nil
	}}
}

func escape(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s))
	return b.String()
}

func newLabelsWriter(dir string) encoder { return perPicture{dir: dir, ext: ".png", of: labelMapOf} }

// labelMapOf is the label map of a picture, and what later regions cover of earlier ones.
func labelMapOf(p Picture) ([]byte, Counts, error) {
	values, err := mapValues(p.Regions)
	if err != nil {
		return nil, nil, err
	}
	bounds := image.Rect(0, 0, p.Size.W, p.Size.H)
	deep := image.NewGray16(bounds)
	top, painted, left := uint16(0), make([]int, len(values)), make([]int, 1<<16)
	for i, r := range p.Regions {
		v := values[i]
		top = max(top, v)
		eachPixel(r, p.Size.W, p.Size.H, func(y, x int) {
			left[deep.Gray16At(x, y).Y]--
			left[v]++
			painted[i]++
			deep.SetGray16(x, y, color.Gray16{Y: v})
		})
	}
	var lost Counts
	for i, r := range p.Regions {
		if r.ID != "" && r.ID != strconv.Itoa(int(values[i])) {
			lost = lost.Add(Counts{IDLost: 1})
		}
		switch n := left[values[i]]; {
		case painted[i] == 0:
			lost = lost.Add(Counts{NoPixel: 1})
		case n == 0:
			lost = lost.Add(Counts{Covered: 1})
		case n < painted[i]:
			lost = lost.Add(Counts{PartCovered: 1})
		}
	}
	var b bytes.Buffer
	if top > 255 {
		err := png.Encode(&b, deep)
		return b.Bytes(), lost, err
	}
	flat := image.NewGray(bounds)
	for i := range flat.Pix {
		flat.Pix[i] = deep.Pix[2*i+1]
	}
	err = png.Encode(&b, flat)
	return b.Bytes(), lost, err
}

// mapValues are what a map's pixels have in each region: 0 is none.
func mapValues(rs []region.Region) ([]uint16, error) {
	if len(rs) > 65535 {
		return nil, fmt.Errorf("a label map holds 65535 regions, got %d", len(rs))
	}
	values, seen := make([]uint16, len(rs)), map[uint64]bool{0: true}
	for i, r := range rs {
		v, err := strconv.ParseUint(r.ID, 10, 16)
		if err != nil || seen[v] {
			for k := range values {
				values[k] = uint16(k + 1)
			}
			return values, nil
		}
		seen[v] = true
		values[i] = uint16(v)
	}
	return values, nil
}

// eachPixel calls use with the pixels of a region: its mask's, or those whose centre is
// in its box.
func eachPixel(r region.Region, w, h int, use func(y, x int)) {
	if r.Mask != nil {
		r.Mask.Each(use)
		return
	}
	first := func(v float64, most int) int { return int(min(max(math.Ceil(v-0.5), 0), float64(most))) }
	for y := first(r.Box.Y0, h); y < h && float64(y)+0.5 < r.Box.Y1; y++ {
		for x := first(r.Box.X0, w); x < w && float64(x)+0.5 < r.Box.X1; x++ {
			use(y, x)
		}
	}
}
