package annotate

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
)

// cocoWriter writes annotations as they come, and the pictures and categories behind
// them.
type cocoWriter struct {
	w      *bufio.Writer
	images []cocoImage
	labels numbering
	ids    map[int]bool // taken
	free   int          // ids below are taken
}

type cocoImage struct {
	ID       int    `json:"id"`
	FileName string `json:"file_name"`
	Width    int    `json:"width"`
	Height   int    `json:"height"`
}

type cocoAnnotation struct {
	ID           int        `json:"id"`
	Image        int        `json:"image_id"`
	Category     int        `json:"category_id"`
	BBox         [4]float64 `json:"bbox"`
	Area         float64    `json:"area"`
	Crowd        int        `json:"iscrowd"`
	Segmentation any        `json:"segmentation"`
	Score        *float64   `json:"score,omitempty"`
}

// newCOCOWriter writes a line for each annotation. A region keeps its ID where that is
// a number from 1 on which no region before it has; the others get free numbers, since
// COCO's are unique in the file. Categories are numbered from 1 on as they come.
func newCOCOWriter(w io.Writer) encoder {
	return &cocoWriter{w: bufio.NewWriter(w), ids: map[int]bool{}, free: 1}
}

func (c *cocoWriter) write(p Picture) (lost Counts, err error) {
	image := len(c.images) + 1
	c.images = append(c.images, cocoImage{image, p.Name, p.Size.W, p.Size.H})
	for _, r := range p.Regions {
		id := c.id(r.ID)
		if r.ID != "" && r.ID != strconv.Itoa(id) {
			lost = lost.Add(Counts{IDLost: 1})
		}
		a := cocoAnnotation{id, image, c.labels.of(r.Label) + 1, numbersOf(r.Box, "xywh"), 0, 0, [][]float64{}, r.Score}
		if r.Crowd {
			a.Crowd = 1
		}
		a.Area = a.BBox[2] * a.BBox[3]
		if r.Mask != nil {
			a.Area = float64(r.Mask.Count())
			a.Segmentation = map[string]any{"size": []int{r.Mask.H, r.Mask.W}, "counts": packRuns(runsOf(r.Mask))}
		}
		before := ",\n"
		if len(c.ids) == 1 {
			before = `{"annotations": [` + "\n"
		}
		if err := c.add(before, a); err != nil {
			return lost, err
		}
	}
	return lost, nil
}

// id is the number of a region that may have one.
func (c *cocoWriter) id(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || c.ids[n] {
		for c.ids[c.free] {
			c.free++
		}
		n = c.free
	}
	c.ids[n] = true
	return n
}

func (c *cocoWriter) add(before string, v any) error {
	b, err := compact(v)
	if err == nil {
		_, err = fmt.Fprintf(c.w, "%s%s", before, b)
	}
	return err
}

func (c *cocoWriter) close() error {
	categories := []map[string]any{}
	for k, l := range c.labels.names {
		categories = append(categories, map[string]any{"id": k + 1, "name": l})
	}
	if c.images == nil {
		c.images = []cocoImage{}
	}
	if len(c.ids) == 0 {
		c.w.WriteString(`{"annotations": [`)
	}
	c.w.WriteString("\n],\n")
	if err := c.add(`"images": `, c.images); err != nil {
		return err
	}
	if err := c.add(",\n"+`"categories": `, categories); err != nil {
		return err
	}
	c.w.WriteString("}\n")
	return c.w.Flush()
}

// compact is JSON on one line, < and & as they are.
func compact(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// numbering numbers labels from 0 on as they come.
type numbering struct {
	names   []string
	numbers map[string]int
}

func (n *numbering) of(label string) int {
	k, ok := n.numbers[label]
	if !ok {
		if n.numbers == nil {
			n.numbers = map[string]int{}
		}
		k = len(n.names)
		n.numbers[label] = k
		n.names = append(n.names, label)
	}
	return k
}
