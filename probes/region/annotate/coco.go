package annotate

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx"
)

// readCOCO reads COCO's annotations of objects, keypoints and panoptic segments
// (https://cocodataset.org/#format-data): images, annotations and categories in any
// order; or a list of results (https://cocodataset.org/#format-results), whose images
// another file lists. Memory grows with what is kept, not with the file.
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
	results    bool   // the file is a list of results
	pngs       string // the folder of panoptic masks, once it is known
}

type cocoGroup struct {
	id     name
	file   string
	line   int
	size   picture.Size
	listed bool
	marks  []mark // label holds the category's id
	paint  string // the file of panoptic segments
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
	t, err := d.Token()
	switch {
	case err == io.EOF:
		return errors.New("the file is empty")
	case err != nil:
		return err
	case t == json.Delim('['):
		return c.list(d)
	case t != json.Delim('{'):
		return fmt.Errorf("line %d: got %s, want {: COCO annotations are an object of images, annotations and categories", d.line(), tokenText(t))
	}
	keys, err := c.lists(d, map[string]func(*jsonStream) error{
		"images": c.image, "annotations": c.annotation, "categories": c.category})
	if err == nil && (!slices.Contains(keys, "annotations") || slices.Contains(keys, "images"+notList)) {
		return noCOCO(keys, d.head)
	}
	if err == nil {
		err = d.end()
	}
	return err
}

// notList stands behind a key whose value is no list.
const notList = " (not a list)"

// lists reads an object whose opening brace was read, and gives its keys; each is what
// reads an element of the list of a key, and other keys are passed over.
func (c *coco) lists(d *jsonStream, each map[string]func(*jsonStream) error) (keys []string, err error) {
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return keys, fmt.Errorf("line %d: %w; the rest is not read", d.line(), err)
		}
		use, kind := each[key.(string)], ""
		t, err := d.Token()
		switch {
		case err != nil:
		case use != nil && t == json.Delim('['):
			err = d.elements(use)
		default:
			if use != nil {
				kind = notList
			}
			err = d.skip(t)
		}
		if err != nil {
			return keys, fmt.Errorf("%v, line %d: %w; the rest is not read", key, d.line(), err)
		}
		if len(keys) < 100 || use != nil {
			keys = append(keys, key.(string)+kind)
		}
	}
	return keys, d.expect('}')
}

// list reads results, whose opening bracket was read.
func (c *coco) list(d *jsonStream) error {
	c.results, c.s.results = true, true
	first := true
	err := d.elements(func(d *jsonStream) error {
		if !first {
			return c.annotation(d)
		}
		first = false
		var raw json.RawMessage
		line, bad, err := d.element(&raw)
		if err = cmp.Or(err, bad); err != nil {
			return err
		}
		if keys := keysOf(raw); !slices.Contains(keys, "image_id") {
			return noCOCO(keys, d.head)
		}
		if err := c.imagesOfResults(); err != nil {
			return err
		}
		return c.take(raw, line)
	})
	if err == nil && first {
		return errors.New("the list is empty; want COCO's annotations, or a list of its results")
	}
	if err == nil {
		err = d.end()
	}
	return err
}

// imagesOfResults reads the images and categories that results are of.
func (c *coco) imagesOfResults() error {
	if c.s.o.Images == "" {
		return onnx.Remedy(errors.New("these are COCO's results, which name pictures by their image_id alone; "+
			"give the COCO file that lists the images"), "annotate.Options.Images")
	}
	f, err := c.s.disk.openRegular(c.s.o.Images)
	if err != nil {
		return err
	}
	defer f.Close()
	d := newJSONStream(f)
	if err = d.expect('{'); err == nil {
		var keys []string
		keys, err = c.lists(d, map[string]func(*jsonStream) error{"images": c.image, "categories": c.category})
		if err == nil && !slices.Contains(keys, "images") {
			err = errors.New("it has no images")
		}
		if err == nil {
			err = d.end()
		}
	}
	if err != nil {
		return fmt.Errorf("the images of the results, %s: %w", c.s.o.Images, err)
	}
	return nil
}

func (c *coco) image(d *jsonStream) error {
	var v struct {
		ID            name   `json:"id"`
		FileName      string `json:"file_name"`
		URL           string `json:"coco_url"` // which LVIS has alone
		Width, Height whole
	}
	line, bad, err := d.element(&v)
	if err != nil {
		return err
	}
	g := c.group(v.ID)
	switch {
	case bad == nil && cmp.Or(v.FileName, v.URL) == "":
		bad = errors.New("got no file_name")
	case bad == nil && g.listed:
		bad = fmt.Errorf("an image with this id is on line %d already", g.line)
	}
	if bad != nil {
		c.s.Faults.add(c.file, line, fmt.Errorf("image %q: %w", v.ID, bad))
		return nil
	}
	g.file, g.line, g.listed = cmp.Or(v.FileName, v.URL), line, true
	if v.Width > 0 && v.Height > 0 {
		g.size = picture.Size{H: int(v.Height), W: int(v.Width)}
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

// cocoObject is an annotation, a result or a segment of a panoptic annotation.
type cocoObject struct {
	ID           name            `json:"id"`
	Image        name            `json:"image_id"`
	Category     name            `json:"category_id"`
	BBox         []number        `json:"bbox"`
	Crowd        flag            `json:"iscrowd"`
	Segmentation json.RawMessage `json:"segmentation"`
	Keypoints    []number        `json:"keypoints"`
	Score        *number         `json:"score"`
	// FileName and Segments are those of a panoptic annotation.
	FileName string       `json:"file_name"`
	Segments []cocoObject `json:"segments_info"`
}

func (c *coco) annotation(d *jsonStream) error {
	var raw json.RawMessage
	line, bad, err := d.element(&raw)
	if err != nil {
		return err
	}
	if bad != nil {
		c.s.Faults.add(c.file, line, fmt.Errorf("annotation: %w", bad))
		return nil
	}
	return c.take(raw, line)
}

// take keeps what an annotation says.
func (c *coco) take(raw json.RawMessage, line int) error {
	var v cocoObject
	bad := unmarshal(raw, &v)
	if bad == nil && v.Segments != nil {
		return c.panoptic(&v, line)
	}
	var m mark
	if bad == nil {
		m, bad = c.mark(&v, line)
	}
	if bad != nil {
		c.s.Faults.add(c.file, line, fmt.Errorf("annotation %q of image %q: %w", v.ID, v.Image, bad))
		return nil
	}
	g := c.group(v.Image)
	g.marks = append(g.marks, m)
	return nil
}

// mark is the region of an object.
func (c *coco) mark(v *cocoObject, line int) (m mark, err error) {
	m = mark{id: string(v.ID), label: string(v.Category), line: line, crowd: bool(v.Crowd)}
	if !c.s.o.BoxOnly || len(v.BBox) == 0 {
		if m.shape, err = parseSegmentation(v.Segmentation); err != nil {
			return m, because(BadShape, err)
		}
	}
	if err := m.cocoBox(v, c.results); err != nil {
		return m, err
	}
	if c.s.o.BoxOnly {
		m.shape = nil
	}
	if v.Score != nil && !math.IsNaN(float64(*v.Score)) {
		score := float64(*v.Score)
		m.score, c.s.scored = &score, true
	}
	if m.crowd {
		c.s.note(CrowdKept)
		c.s.crowded = true
	}
	return m, nil
}

// cocoBox takes the box of an annotation; or that around its shape; or, of a result, that
// around its keypoints, as pycocotools' loadRes.
func (m *mark) cocoBox(v *cocoObject, result bool) error {
	switch s := m.shape.(type) {
	case polygons:
		if len(v.BBox) == 0 {
			m.box = s.bounds()
			return nil
		}
	case *runs:
		if len(v.BBox) == 0 {
			m.box = s.bounds()
			return nil
		}
	}
	if n := len(v.Keypoints); result && len(v.BBox) == 0 && n > 0 && n%3 == 0 {
		points := polygons{outlines: make([][]float64, 1)}
		for i := 0; i < n; i += 3 {
			points.outlines[0] = append(points.outlines[0], float64(v.Keypoints[i]), float64(v.Keypoints[i+1]))
		}
		m.box = points.bounds()
		return checkBox(m.box)
	}
	if len(v.BBox) == 0 {
		return because(NoShape, errors.New("got no bbox and no segmentation"))
	}
	if len(v.BBox) != 4 {
		return because(BadBox, fmt.Errorf("the bbox got %d numbers, want 4: x, y, width, height", len(v.BBox)))
	}
	b := [4]float64{float64(v.BBox[0]), float64(v.BBox[1]), float64(v.BBox[2]), float64(v.BBox[3])}
	m.box = corners(b, "xywh")
	return checkBox(m.box)
}

func (c *coco) finish() {
	listed := 0
	for _, g := range c.groups {
		if g.listed {
			listed++
		}
	}
	for _, g := range c.groups {
		if !g.listed {
			for _, m := range g.marks {
				c.s.Faults.add(c.file, m.line, because(NoImage, fmt.Errorf("annotation %q: got image_id %q, want that of a listed image, of which there are %d",
					m.id, g.id, listed)))
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
		p.paint = g.paint
		for _, m := range g.marks {
			if n, ok := c.categories[name(m.label)]; ok {
				m.label = n
			} else if len(c.categories) > 0 {
				c.s.note(Unnamed)
			}
			p.keep(m)
		}
		p.marks = slices.Clip(p.marks)
	}
}

// flag is what Python takes for true or false.
type flag bool

func (f *flag) UnmarshalJSON(b []byte) error {
	switch t := string(bytes.TrimSuffix(b, []byte(".0"))); t {
	case "1", "true", `"1"`:
		*f = true
	case "0", "false", "null", `"0"`:
	default:
		return fmt.Errorf("got iscrowd %.40s, want 0 or 1", b)
	}
	return nil
}
