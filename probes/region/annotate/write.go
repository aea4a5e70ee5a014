package annotate

import (
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes/region"
)

// Picture is a picture's regions as a Writer takes them.
type Picture struct {
	// Name is what readers find the picture by, such as its ID in a dataset.
	Name    string
	Size    picture.Size
	Regions []region.Region
}

func (p Picture) check() error {
	if p.Name == "" {
		return errNoName
	}
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

// Writer writes the regions of pictures, one picture after the other. Memory grows with
// the number of pictures, labels and IDs, not with boxes and masks.
type Writer struct {
	to   encoder
	o    Output
	lost Counts
}

// encoder writes one format.
type encoder interface {
	write(Picture) (lost Counts, err error)
	close() error
}

// Write writes the regions of a picture, which may have none. A picture that the format
// cannot hold is an error, and the file is of no use then; so is one without a name or a size.
func (w *Writer) Write(p Picture) error {
	if err := p.check(); err != nil {
		return err
	}
	lost, err := w.to.write(p)
	if err != nil {
		return err
	}
	w.lost = w.lost.Add(lost)
	for i, r := range p.Regions {
		for what, is := range map[Reason]bool{
			OnlyBox: r.Mask != nil && !w.o.Masks, CrowdLost: r.Crowd && !w.o.Crowds, ScoreLost: r.Score != nil && !w.o.Scores,
			LabelLost: r.Label != "" && !w.o.Labels, IDLost: r.ID != "" && r.ID != strconv.Itoa(i) && !w.o.IDs,
		} {
			if is {
				w.lost = w.lost.Add(Counts{what: 1})
			}
		}
	}
	return nil
}

// Close writes what comes last. It closes nothing.
func (w *Writer) Close() error { return w.to.close() }

// Lost counts what of the regions so far the format does not hold, by kind.
func (w *Writer) Lost() Counts { return Counts{}.Add(w.lost) }

// Output is one kind of annotations that can be written. What it writes, Open reads.
type Output struct {
	// Name is that of the format in Formats.
	Name string
	// Ext is the extension of the file that holds all pictures; "" is a folder with a
	// file for each.
	Ext string
	Doc string
	// Masks says that masks are kept; other formats have the box of a region alone. The others
	// say that the format has marks of crowds, scores, labels and IDs.
	Masks, Crowds, Scores, Labels, IDs bool

	file   func(w io.Writer) encoder
	folder func(dir string) encoder
}

// Outputs lists what can be written.
var Outputs = []Output{
	{Name: "coco", Ext: ".json", Doc: "COCO JSON; masks as compressed run lengths", Masks: true, Crowds: true, Scores: true, Labels: true, IDs: true,
		file: newCOCOWriter},
	{Name: "csv", Ext: ".csv", Doc: "table with the columns path, x1, y1, x2, y2, label, id, score",
		Scores: true, Labels: true, IDs: true, file: newCSVWriter},
	{Name: "medrega", Ext: ".jsonl", Doc: "JSON Lines of <ref>label</ref><box>[[x1, y1, x2, y2]]</box>, rounded to 0..999", Labels: true, file: newAnswerWriter},
	{Name: "boxes", Ext: ".jsonl", Doc: "JSON Lines with a picture and its boxes, labels, ids and scores",
		Scores: true, Labels: true, IDs: true, file: newBoxesWriter},
	{Name: "yolo", Doc: "folder of text files, and the classes' names in data.yaml", Labels: true, folder: newYOLOWriter},
	{Name: "voc", Doc: "folder of Pascal VOC XML files", Labels: true, folder: newVOCWriter},
	{Name: "labels", Doc: "folder of PNG label maps: a region's pixels have its ID, or its place from 1 on where " +
		"IDs are no different numbers from 1 to 65535; a later region covers an earlier one", Masks: true, IDs: true, folder: newLabelsWriter},
}

// OutputOf finds the output for a path: that of a name, or with "" or "auto" the first
// whose extension the path has.
func OutputOf(path, name string) (Output, error) {
	ext := strings.ToLower(filepath.Ext(path))
	var names, exts []string
	for _, o := range Outputs {
		if o.Name == name || (name == "" || name == "auto") && o.Ext != "" && o.Ext == ext {
			return o, nil
		}
		names = append(names, o.Name)
		if o.Ext != "" {
			exts = append(exts, fmt.Sprintf("%s (%s)", o.Ext, o.Name))
		}
	}
	if name == "" || name == "auto" {
		return Output{}, fmt.Errorf("the format to write %q in cannot be told "+
			"by its name; want %s, or name the format: %s", path, strings.Join(exts, ", "), strings.Join(names, ", "))
	}
	return Output{}, fmt.Errorf("regions cannot be written as %q; want %s", name, strings.Join(names, ", "))
}

// Folder reports whether a file is written for each picture.
func (o Output) Folder() bool { return o.folder != nil }

// To writes to w. It panics where Folder is true.
func (o Output) To(w io.Writer) *Writer { return &Writer{to: o.file(w), o: o} }

// In writes below a folder, which exists and holds no files of the pictures' names. It
// panics where Folder is false.
func (o Output) In(dir string) *Writer { return &Writer{to: o.folder(dir), o: o} }
