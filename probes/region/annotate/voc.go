package annotate

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes/region"
)

// readVOC reads Pascal VOC's XML. Its corners are pixels counted from 1, both
// inclusive: xmin, ymin, xmax, ymax become the box xmin-1, ymin-1, xmax, ymax
// (https://host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf). The picture is the one
// that the file names, or of the file's own name.
func (s *Set) readVOC(r io.Reader, file, stem string) error {
	raw := bufio.NewReader(r)
	bom, _ := raw.Peek(3)
	in := decodeText(raw)
	d := xml.NewDecoder(&shortLines{r: in})
	d.CharsetReader = charset
	if _, converted := in.(*wide); converted || string(bom) == "\xef\xbb\xbf" { // whatever it declares
		d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	}
	p := annotated{name: stem, bare: true, file: file, line: 1}
	var err error
	root, ended := false, false
	for err == nil {
		var t xml.Token
		if t, err = d.Token(); err != nil {
			break
		}
		line, _ := d.InputPos()
		switch t := t.(type) {
		case xml.EndElement: // of the root: those in it are read whole
			ended = true
		case xml.CharData:
			if text := strings.TrimSpace(string(t)); text != "" && (ended || !root) {
				err = fmt.Errorf("line %d: got the text %.40q outside of <annotation>, want one XML document", line, text)
			}
		case xml.StartElement:
			switch {
			case ended:
				err = fmt.Errorf("line %d: got the element <%s> behind </annotation>, want one XML document; the rest is not read",
					line, t.Name.Local)
			case !root:
				root, err = true, checkRoot(t.Name.Local, line)
			default:
				err = s.vocElement(d, t, &p, line)
			}
		}
	}
	if err == io.EOF && !root {
		err = errors.New("got no element, want <annotation>")
	}
	if len(p.marks) > 0 {
		s.pictures = append(s.pictures, p)
	}
	var broken *xml.SyntaxError
	switch {
	case err == io.EOF:
		return nil
	case errors.As(err, &broken) && broken.Msg == "invalid UTF-8":
		return fmt.Errorf("line %d: the text is not UTF-8 and the file declares no other encoding; write encoding=\"GBK\", or which it is, "+
			"in its first line", broken.Line)
	}
	return err
}

func checkRoot(root string, line int) error {
	if root == "annotation" {
		return nil
	}
	if f := foreignIn(foreignXML, []string{root}); f != nil {
		return f
	}
	return fmt.Errorf("line %d: got the element <%s>, want <annotation>", line, root)
}

// charset reads text as the encoding that an XML file declares. One of two bytes a letter is
// none, since the declaration could be read: it is taken for UTF-8.
func charset(label string, in io.Reader) (io.Reader, error) {
	for _, wide := range []string{"utf-16", "utf16", "utf-32", "utf32", "ucs", "unicode", "iso-10646"} {
		if strings.HasPrefix(strings.ToLower(label), wide) {
			return in, nil
		}
	}
	e, err := ianaindex.IANA.Encoding(label)
	if err != nil || e == nil {
		e, err = htmlindex.Get(label)
	}
	if err != nil {
		return nil, fmt.Errorf("the file declares the encoding %q, which is not known; write it as UTF-8", label)
	}
	return e.NewDecoder().Reader(in), nil
}

type vocObject struct {
	Name    string     `xml:"name"`
	Polygon []struct{} `xml:"polygon"`
	Rotated []struct{} `xml:"robndbox"`
	Parts   []struct{} `xml:"part"`
	// Boxes are read as other tools read them: the first counts.
	Boxes []struct {
		XMin string `xml:"xmin"`
		YMin string `xml:"ymin"`
		XMax string `xml:"xmax"`
		YMax string `xml:"ymax"`
	} `xml:"bndbox"`
}

// passed counts what an object has beside its box, which is not read.
func (v vocObject) passed() Counts {
	all := Counts{Part: len(v.Parts), MoreBoxes: max(len(v.Boxes)-1, 0), BesideBox: len(v.Polygon) + len(v.Rotated)}
	maps.DeleteFunc(all, func(_ Reason, n int) bool { return n == 0 })
	return all
}

func (s *Set) vocElement(d *xml.Decoder, e xml.StartElement, p *annotated, line int) error {
	switch e.Name.Local {
	case "filename":
		var name string
		if err := d.DecodeElement(&name, &e); err != nil {
			return err
		}
		if name = strings.TrimSpace(name); name != "" {
			p.own, p.name, p.bare = p.name, name, path.Ext(name) == ""
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
		s.Noted = s.Noted.Add(v.passed())
	default:
		return d.Skip()
	}
	return nil
}

func (v vocObject) mark(line int) (mark, error) {
	m := mark{label: strings.TrimSpace(v.Name), line: line}
	switch {
	case strings.ContainsRune(m.label, utf8.RuneError):
		return m, fmt.Errorf("the name %q is not in the encoding that the file declares; correct that", m.label)
	case len(v.Boxes) > 0:
	case v.Polygon != nil:
		return m, because(NoShape, errors.New("the object got a polygon and no bndbox, as LabelMe's XML has it, which is not read; write COCO of it"))
	case v.Rotated != nil:
		return m, because(NoShape, errors.New("the object got a robndbox and no bndbox, a turned box, which is not read; "+
			"write YOLO's OBB or COCO polygons of it"))
	default:
		return m, because(NoShape, errors.New("the object got no bndbox"))
	}
	b := v.Boxes[0]
	n, err := numbers([]string{b.XMin, b.YMin, b.XMax, b.YMax})
	if err != nil {
		return m, because(BadBox, fmt.Errorf("the bndbox: %w", err))
	}
	m.box = region.Box{X0: n[0] - 1, Y0: n[1] - 1, X1: n[2], Y1: n[3]}
	return m, checkBox(m.box)
}
