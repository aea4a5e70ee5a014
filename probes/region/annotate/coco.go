package annotate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
)

// readCOCO reads COCO's object annotations
// (https://cocodataset.org/#format-data): images, annotations and categories in any
// order. Memory grows with what is kept, not with the file.
func (s *Set) readCOCO(r io.Reader, file string) error {
	c := &coco{s: s, file: file, images: map[name]int{}, categories: map[name]string{}}
	err := c.read(newJSONStream(r))
	c.finish()
	return err
}

// coco gathers a file's annotations by image id until all of it is read.
type coco struct {
	s          *Set
	file       string
	images     map[name]int // place in groups
	groups     []cocoGroup
	categories map[name]string
}

type cocoGroup struct {
	id     name
	file   string
	line   int
	size   picture.Size
	listed bool
	marks  []mark // label holds the category's id
}

func (c *coco) group(id name) *cocoGroup {
	i, ok := c.images[id]
	if !ok {
		i = len(c.groups)
		c.images[id] = i
		c.groups = append(c.groups, cocoGroup{id: id})
	}
	return &c.groups[i]
}

func (c *coco) read(d *jsonStream) error {
	if err := d.expect('{'); err != nil {
		return fmt.Errorf("%w: COCO annotations are an object of images, annotations and categories", err)
	}
	lists := map[string]func(*jsonStream) error{"images": c.image, "annotations": c.annotation, "categories": c.category}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return fmt.Errorf("line %d: %w; the rest is not read", d.line(), err)
		}
		each := lists[key.(string)]
		if each == nil {
			err = d.skip()
		} else if err = d.expect('['); err == nil {
			for d.More() && err == nil {
				err = each(d)
			}
			if err == nil {
				err = d.expect(']')
			}
		}
		if err != nil {
			return fmt.Errorf("%v, line %d: %w; the rest is not read", key, d.line(), err)
		}
	}
	return d.expect('}')
}

func (c *coco) image(d *jsonStream) error {
	var v struct {
		ID            name   `json:"id"`
		FileName      string `json:"file_name"`
		Width, Height int
	}
	line, bad, err := d.element(&v)
	if err != nil {
		return err
	}
	g := c.group(v.ID)
	switch {
	case bad == nil && v.FileName == "":
		bad = errors.New("got no file_name")
	case bad == nil && g.listed:
		bad = fmt.Errorf("an image with this id is on line %d already", g.line)
	}
	if bad != nil {
		c.s.Faults.add(c.file, line, fmt.Errorf("image %q: %w", v.ID, bad))
		return nil
	}
	g.file, g.line, g.listed = v.FileName, line, true
	if v.Width > 0 && v.Height > 0 {
		g.size = picture.Size{H: v.Height, W: v.Width}
	}
	return nil
}

func (c *coco) category(d *jsonStream) error {
	var v struct {
		ID   name `json:"id"`
		Name *string
	}
	line, bad, err := d.element(&v)
	if bad != nil {
		c.s.Faults.add(c.file, line, fmt.Errorf("category %q: %w", v.ID, bad))
	} else if err == nil && v.Name != nil {
		c.categories[v.ID] = *v.Name
	}
	return err
}

func (c *coco) annotation(d *jsonStream) error {
	var v struct {
		ID           name            `json:"id"`
		Image        name            `json:"image_id"`
		Category     name            `json:"category_id"`
		BBox         []number        `json:"bbox"`
		Crowd        json.RawMessage `json:"iscrowd"`
		Segmentation json.RawMessage `json:"segmentation"`
		Score        *number         `json:"score"`
	}
	line, bad, err := d.element(&v)
	if err != nil {
		return err
	}
	if crowd := string(v.Crowd); bad == nil && (crowd == "1" || crowd == "true") && !c.s.o.Crowd {
		return nil
	}
	m := mark{id: string(v.ID), label: string(v.Category), line: line}
	if bad == nil && (!c.s.o.BoxOnly || len(v.BBox) == 0) {
		m.shape, bad = parseSegmentation(v.Segmentation)
	}
	if bad == nil {
		bad = m.cocoBox(v.BBox)
	}
	if c.s.o.BoxOnly {
		m.shape = nil
	}
	if bad != nil {
		c.s.Faults.add(c.file, line, fmt.Errorf("annotation %q of image %q: %w", v.ID, v.Image, bad))
		return nil
	}
	if v.Score != nil && !math.IsNaN(float64(*v.Score)) {
		score := float64(*v.Score)
		m.score, c.s.scored = &score, true
	}
	g := c.group(v.Image)
	g.marks = append(g.marks, m)
	return nil
}

// cocoBox takes the box of an annotation, or that around its polygons.
func (m *mark) cocoBox(v []number) error {
	if p, ok := m.shape.(polygons); ok && len(v) == 0 {
		m.box = p.bounds()
		return nil
	}
	if len(v) != 4 {
		return fmt.Errorf("the bbox got %d numbers, want 4: x, y, width, height", len(v))
	}
	m.box = corners([4]float64{float64(v[0]), float64(v[1]), float64(v[2]), float64(v[3])}, "xywh")
	return checkBox(m.box)
}

func (c *coco) finish() {
	for _, g := range c.groups {
		if !g.listed {
			for _, m := range g.marks {
				c.s.Faults.add(c.file, m.line, fmt.Errorf("annotation %q: got image_id %q, want one of the file's %d images", m.id, g.id, len(c.groups)))
			}
			continue
		}
		if len(g.marks) == 0 {
			continue
		}
		p := c.s.picture(g.file, c.file, g.line)
		if p.size == (picture.Size{}) {
			p.size = g.size
		}
		for _, m := range g.marks {
			if n, ok := c.categories[name(m.label)]; ok {
				m.label = n
			}
			p.keep(m)
		}
		p.marks = slices.Clip(p.marks)
	}
}
