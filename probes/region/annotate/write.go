package annotate

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/probes/region"
)

// Picture is a picture's regions as the writers take them.
type Picture struct {
	Name    string
	Size    dataset.Size
	Regions []region.Region
}

func (p Picture) check() error {
	if p.Size.W < 1 || p.Size.H < 1 {
		return fmt.Errorf("picture %q: got the size %d x %d (width x height), want more than 0", p.Name, p.Size.W, p.Size.H)
	}
	for _, r := range p.Regions {
		if err := checkBox(r.Box); err != nil {
			return fmt.Errorf("picture %q, region %q: %w", p.Name, r.ID, err)
		}
	}
	return nil
}

// Labels are the labels of all regions, sorted: the classes that WriteCOCO and
// WriteYOLO number.
func Labels(pictures []Picture) []string {
	var all []string
	for _, p := range pictures {
		for _, r := range p.Regions {
			all = append(all, r.Label)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

type cocoFile struct {
	Images      []cocoImage      `json:"images"`
	Annotations []cocoAnnotation `json:"annotations"`
	Categories  []cocoCategory   `json:"categories"`
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
}

type cocoCategory struct {
	ID   int    `json:"id"`
	Name string `json:"name"`
}

// WriteCOCO writes COCO annotations, masks as compressed run lengths. Region IDs that
// are no whole numbers become numbers from 1 on.
func WriteCOCO(w io.Writer, pictures []Picture) error {
	f := cocoFile{[]cocoImage{}, []cocoAnnotation{}, []cocoCategory{}}
	labels := Labels(pictures)
	for i, l := range labels {
		f.Categories = append(f.Categories, cocoCategory{i + 1, l})
	}
	for i, p := range pictures {
		if err := p.check(); err != nil {
			return err
		}
		f.Images = append(f.Images, cocoImage{i + 1, p.Name, p.Size.W, p.Size.H})
		for _, r := range p.Regions {
			k, _ := slices.BinarySearch(labels, r.Label)
			id, err := strconv.Atoi(r.ID)
			if err != nil {
				id = len(f.Annotations) + 1
			}
			a := cocoAnnotation{id, i + 1, k + 1, numbersOf(r.Box, "xywh"), 0, 0, [][]float64{}}
			a.Area = a.BBox[2] * a.BBox[3]
			if r.Mask != nil {
				a.Area = float64(r.Mask.Count())
				a.Segmentation = map[string]any{"size": []int{r.Mask.H, r.Mask.W}, "counts": packRuns(runsOf(r.Mask))}
			}
			f.Annotations = append(f.Annotations, a)
		}
	}
	return json.NewEncoder(w).Encode(f)
}

// WriteYOLO writes the boxes of one picture; labels are the classes in order.
func WriteYOLO(w io.Writer, p Picture, labels []string) error {
	if err := p.check(); err != nil {
		return err
	}
	for _, r := range p.Regions {
		k := slices.Index(labels, r.Label)
		if k < 0 {
			return fmt.Errorf("picture %q, region %q: got label %q, want one of the %d classes", p.Name, r.ID, r.Label, len(labels))
		}
		v := yoloBox(r.Box, float64(p.Size.W), float64(p.Size.H))
		if _, err := fmt.Fprintf(w, "%d %v %v %v %v\n", k, v[0], v[1], v[2], v[3]); err != nil {
			return err
		}
	}
	return nil
}

// WriteCSV writes a table of boxes in pixels with the columns path, four of the boxes'
// meaning (Options.Boxes), label and id.
func WriteCSV(w io.Writer, pictures []Picture, meaning string) error {
	if meaning == "" {
		meaning = "xyxy"
	}
	four, ok := csvColumns.boxes[meaning]
	if !ok {
		return fmt.Errorf("the meaning of boxes is %q; want xyxy, xywh or cxcywh", meaning)
	}
	c := csv.NewWriter(w)
	c.Write([]string{"path", four[0], four[1], four[2], four[3], "label", "id"})
	for _, p := range pictures {
		if err := p.check(); err != nil {
			return err
		}
		for _, r := range p.Regions {
			row := []string{p.Name}
			for _, v := range numbersOf(r.Box, meaning) {
				row = append(row, strconv.FormatFloat(v, 'g', -1, 64))
			}
			c.Write(append(row, r.Label, r.ID))
		}
	}
	c.Flush()
	return c.Error()
}

// WriteVOC writes one picture's boxes as Pascal VOC's XML.
func WriteVOC(w io.Writer, p Picture) error {
	if err := p.check(); err != nil {
		return err
	}
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "<annotation>\n  <filename>%s</filename>\n  <size><width>%d</width><height>%d</height><depth>3</depth></size>\n", escape(p.Name), p.Size.W, p.Size.H)
	for _, r := range p.Regions {
		fmt.Fprintf(b, "  <object>\n    <name>%s</name>\n    <bndbox><xmin>%v</xmin><ymin>%v</ymin><xmax>%v</xmax><ymax>%v</ymax></bndbox>\n  </object>\n",
			escape(r.Label), r.Box.X0+1, r.Box.Y0+1, r.Box.X1, r.Box.Y1)
	}
	fmt.Fprintln(b, "</annotation>")
	return b.Flush()
}

func escape(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s))
	return b.String()
}

// WriteMedRegA writes PICTURE<tab>ANSWER lines, neighbouring regions of one label
// together; coordinates are rounded to whole numbers from 0 to scale, where 0 is 999.
func WriteMedRegA(w io.Writer, pictures []Picture, scale int) error {
	if scale <= 0 {
		scale = 999
	}
	b := bufio.NewWriter(w)
	for _, p := range pictures {
		if err := p.check(); err != nil {
			return err
		}
		if strings.ContainsAny(p.Name, "\t\n") || path.Clean(p.Name) == "." {
			return errors.New("a picture's name is empty or has a tab or a line's end")
		}
		fmt.Fprintf(b, "%s\t", p.Name)
		for i, r := range p.Regions {
			if first := i == 0 || p.Regions[i-1].Label != r.Label; first {
				fmt.Fprintf(b, "<ref>%s</ref><box>[", strings.Join(strings.Fields(r.Label), " "))
			} else {
				b.WriteString(", ")
			}
			at := func(v float64, edge int) int {
				return int(min(max(math.Round(v/float64(edge)*float64(scale)), 0), float64(scale)))
			}
			fmt.Fprintf(b, "[%d, %d, %d, %d]", at(r.Box.X0, p.Size.W), at(r.Box.Y0, p.Size.H), at(r.Box.X1, p.Size.W), at(r.Box.Y1, p.Size.H))
			if i+1 == len(p.Regions) || p.Regions[i+1].Label != r.Label {
				b.WriteString("]</box>")
			}
		}
		b.WriteString("\n")
	}
	return b.Flush()
}
