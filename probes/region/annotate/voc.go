package annotate

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes/region"
)

// readVOC reads Pascal VOC's XML. Its corners are pixels counted from 1, both
// inclusive: xmin, ymin, xmax, ymax become the box xmin-1, ymin-1, xmax, ymax
// (https://host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf).
func (s *Set) readVOC(r io.Reader, file, stem string) error {
	d := xml.NewDecoder(&shortLines{r: decodeText(r)})
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	p := annotated{name: stem, bare: true, file: file, line: 1}
	var err error
	root := false
	for err == nil {
		var t xml.Token
		if t, err = d.Token(); err != nil {
			break
		}
		e, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		line, _ := d.InputPos()
		if !root {
			if root = e.Name.Local == "annotation"; !root {
				err = fmt.Errorf("line %d: got the element <%s>, want <annotation>", line, e.Name.Local)
			}
			continue
		}
		err = s.vocElement(d, e, &p, line)
	}
	if err == io.EOF && !root {
		err = errors.New("got no element, want <annotation>")
	}
	s.join(p)
	if err == io.EOF {
		return nil
	}
	return err
}

type vocObject struct {
	Name string `xml:"name"`
	Box  *struct {
		XMin string `xml:"xmin"`
		YMin string `xml:"ymin"`
		XMax string `xml:"xmax"`
		YMax string `xml:"ymax"`
	} `xml:"bndbox"`
}

func (s *Set) vocElement(d *xml.Decoder, e xml.StartElement, p *annotated, line int) error {
	switch e.Name.Local {
	case "filename":
		var name string
		if err := d.DecodeElement(&name, &e); err != nil {
			return err
		}
		if name = strings.TrimSpace(name); name != "" {
			p.name, p.bare = name, path.Ext(name) == ""
		}
	case "size":
		var v struct {
			Width  string `xml:"width"`
			Height string `xml:"height"`
		}
		if err := d.DecodeElement(&v, &e); err != nil {
			return err
		}
		// Some tools write zeros, which say nothing.
		n, err := numbers([]string{v.Width, v.Height})
		if err == nil && n[0] > 0 && n[1] > 0 {
			p.size = picture.Size{W: int(n[0]), H: int(n[1])}
		}
	case "object":
		var v vocObject
		if err := d.DecodeElement(&v, &e); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		m, err := v.mark(line)
		if err != nil {
			s.Faults.add(p.file, line, err)
			return nil
		}
		p.keep(m)
	default:
		return d.Skip()
	}
	return nil
}

func (v vocObject) mark(line int) (mark, error) {
	m := mark{label: strings.TrimSpace(v.Name), line: line}
	if v.Box == nil {
		return m, errors.New("the object got no bndbox")
	}
	n, err := numbers([]string{v.Box.XMin, v.Box.YMin, v.Box.XMax, v.Box.YMax})
	if err != nil {
		return m, fmt.Errorf("the bndbox: %w", err)
	}
	m.box = region.Box{X0: n[0] - 1, Y0: n[1] - 1, X1: n[2], Y1: n[3]}
	return m, checkBox(m.box)
}

// join adds what one file says of a picture to the set.
func (s *Set) join(p annotated) {
	if len(p.marks) == 0 {
		return
	}
	q := s.picture(p.name, p.file, p.line)
	q.bare, q.size = p.bare, p.size
	for _, m := range p.marks {
		if len(q.marks) > 0 && q.file != p.file {
			m.id = ""
		}
		q.keep(m)
	}
}
