// Package annotate reads where the regions of a dataset's pictures are: boxes, polygons
// and masks in the formats of annotation tools, detectors and language models, and
// writes them back.
//
// Open reads a file or a folder into a Set; Match says which picture of the dataset
// each annotated name stands for; Regions gives the regions of one picture once its
// size is known, which formats with fractions need. What is wrong with a row is a
// Fault naming its file and line, and the good rows stay. Every file is taken for
// hostile.
package annotate

import (
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes/region"
)

// Options say how Open reads. The zero Options suit most.
type Options struct {
	// Format is a name of Formats; "" or "auto" tells it by name and content.
	Format string
	// Names are class names by number, for YOLO's classes and label maps. Without them
	// a YOLO folder's classes.txt or data.yaml is taken, and else the number is the label.
	Names []string
	// Boxes says what the four numbers of CSV and JSON Lines boxes mean: "xyxy" (two
	// corners), "xywh" (a corner and the size) or "cxcywh" (the centre and the size).
	// "" is what a CSV header's names say, and xyxy in JSON Lines.
	Boxes string
	// Normalised takes the numbers of CSV and JSON Lines boxes for fractions of the
	// picture's width and height.
	Normalised bool
	// Scale is what a coordinate of the language-model format counts to at the
	// picture's far edge; 0 is 999, as MedRegA has it.
	Scale int
	// Clip cuts boxes that reach beyond the picture instead of refusing them. Within
	// one pixel, where rounding ends, they are always cut.
	Clip bool
	// Task says what rows of YOLO's files longer than a box are: one of Tasks, or pose with
	// its points, "pose:17x3" being 17 of 3 numbers. "" finds it out, from kpt_shape of a
	// data.yaml or from the rows.
	Task string
	// Images is the COCO file that lists the images and categories of a list of COCO's results.
	Images string
	// BoxOnly takes the boxes of regions that have polygons or masks too.
	BoxOnly bool
	// Ignore are the values of a label map that are no region; nil is {0}.
	Ignore []int

	task layout
}

func (o Options) withDefaults() (Options, error) {
	if !slices.Contains([]string{"", "xyxy", "xywh", "cxcywh"}, o.Boxes) {
		return o, fmt.Errorf("the meaning of boxes is %q; want xyxy, xywh or cxcywh", o.Boxes)
	}
	if o.Scale < 0 {
		return o, fmt.Errorf("the scale of coordinates is %d; want more than 0, or 0 for 999", o.Scale)
	}
	if o.Scale == 0 {
		o.Scale = 999
	}
	var err error
	if o.task, err = parseTask(o.Task); err != nil {
		return o, err
	}
	return o, nil
}

// applies reports an option that changes nothing of what a format says.
func (o Options) applies(format string) error {
	for _, c := range []struct {
		option, what string
		set          bool
		formats      []string
	}{
		{"annotate.Options.Boxes", "what the numbers of boxes mean", o.Boxes != "", []string{"csv", "boxes"}},
		{"annotate.Options.Normalised", "that numbers of boxes are fractions", o.Normalised, []string{"csv", "boxes"}},
		{"annotate.Options.Names", "what classes are called", o.Names != nil, []string{"yolo", "labels"}},
		{"annotate.Options.Task", "what the rows are", o.Task != "", []string{"yolo"}},
		{"annotate.Options.Images", "where the images are listed", o.Images != "", []string{"coco"}},
		{"annotate.Options.Ignore", "which values of label maps are no region", o.Ignore != nil, []string{"labels"}},
	} {
		if c.set && !slices.Contains(c.formats, format) {
			return unused(c.option, c.what, strings.Join(c.formats, " and "))
		}
	}
	return nil
}

func unused(option, what, formats string) error {
	return onnx.Remedy(fmt.Errorf("it is said %s, which changes nothing here: it is for %s; leave it out", what, formats), option)
}

// Fault is a row that cannot be used.
type Fault struct {
	File string
	// Line counts from 1; 0 is the file as a whole.
	Line int
	Err  error
}

func (f Fault) Error() string { return fmt.Sprintf("%s: %v", f.Place(), f.Err) }

// Place is the file, and the line where it is of one.
func (f Fault) Place() string {
	if f.Line == 0 {
		return f.File
	}
	return fmt.Sprintf("%s:%d", f.File, f.Line)
}

func (f Fault) Unwrap() error { return f.Err }

// MaxFaults is how many faults a Set keeps; more are only counted.
const MaxFaults = 1000

// Faults is what is wrong with the rows of a Set or their match.
type Faults struct {
	// Rows are the first MaxFaults faults, Count is how many there are, and ByReason of
	// which kinds.
	Rows     []Fault
	Count    int
	ByReason Counts
}

func (f *Faults) add(file string, line int, err error) {
	if f.Count++; len(f.Rows) < MaxFaults {
		f.Rows = append(f.Rows, Fault{file, line, err})
	}
	f.ByReason = f.ByReason.Add(Counts{reasonOf(err): 1})
}

// Set is the annotations that Open has read.
type Set struct {
	disk disk
	// Format is the name of the format they were read as.
	Format string
	// NamesFile is the file beside a YOLO folder's labels that its class names were read
	// from, "" where there is none.
	NamesFile string
	// Faults are the rows that could not be read.
	Faults Faults
	// Noted counts what was kept and is not what it seems, by kind.
	Noted Counts

	path     string
	o        Options
	pictures []annotated
	index    map[string]int
	scored   bool // some region has a score
	crowded  bool // some region is a crowd
	yolo     yoloRows
	results  bool // the file is a list of COCO's results
	// pointsFile is the data.yaml that the number of points of YOLO's poses is from.
	pointsFile string
	late       region.Tally // what is found when pictures are matched and asked for
}

// annotated is what a Set knows of one picture.
type annotated struct {
	name string
	// bare is set where the name has no extension because the format leaves it out.
	bare bool
	// own is the bare name of the file, where that says another.
	own  string
	file string
	line int
	// size is what the file says the picture's size is, zero where it does not.
	size  picture.Size
	marks []mark
	// labels is the file of a label map, paint that of the marks' panoptic segments.
	labels, paint string
}

// mark is a region before the size of its picture is known.
type mark struct {
	id, label string
	line      int
	box       region.Box
	// scale is what a coordinate counts to at the picture's far edge; 0 is pixels.
	scale float64
	shape shape
	score *float64
	crowd bool
}

// shape is the pixels of a region.
type shape interface {
	mask(size picture.Size) (*region.Mask, error)
}

// Len is the number of pictures with regions.
func (s *Set) Len() (n int) {
	for _, p := range s.pictures {
		if len(p.marks) > 0 || p.labels != "" {
			n++
		}
	}
	return n
}

// Regions is the number of regions that were read; a label map counts as one until it is.
func (s *Set) Regions() (n int) {
	for _, p := range s.pictures {
		n += len(p.marks)
		if p.labels != "" {
			n++
		}
	}
	return n
}

// picture finds or adds a picture by the name that the annotations give it.
func (s *Set) picture(name, file string, line int) *annotated {
	i, ok := s.index[name]
	if !ok {
		i = len(s.pictures)
		s.index[name] = i
		s.pictures = append(s.pictures, annotated{name: name, file: file, line: line})
	}
	return &s.pictures[i]
}

// add keeps a region of a picture if its box is one.
func (s *Set) add(name, file string, m mark) {
	if err := checkBox(m.box); err != nil {
		s.Faults.add(file, m.line, err)
		return
	}
	s.picture(name, file, m.line).keep(m)
}

func (s *Set) note(what Reason) { s.Noted = s.Noted.Add(Counts{what: 1}) }

func (p *annotated) keep(m mark) { p.marks = append(p.marks, m) }

// number gives the regions without an ID their place within the picture, or where another has
// that, the next number that is free.
func (s *Set) number() {
	for k := range s.pictures {
		marks := s.pictures[k].marks
		taken := make(map[string]bool, len(marks))
		for _, m := range marks {
			if taken[m.id] && m.id != "" {
				s.note(DoubleID)
			}
			taken[m.id] = true
		}
		next := len(marks)
		for j := range marks {
			if marks[j].id != "" {
				continue
			}
			id := strconv.Itoa(j)
			for ; taken[id]; next++ {
				id = strconv.Itoa(next)
			}
			marks[j].id, taken[id] = id, true
		}
	}
}

// Open reads the annotations of a file or a folder. Rows that cannot be read are
// Faults of the set; it is an error where the file cannot be read, is of no known
// format, or has no good row, and a *dataset.MachineError where the machine is at fault
// with anything of it.
func Open(path string, o Options) (*Set, error) { return openIn(dataset.Local, path, o) }

func openIn(fsys fs.FS, path string, o Options) (*Set, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("reading the regions of %q: %w", path, err)
	}
	disk := disk{dataset.NewWitness(fsys)}
	f, err := detect(disk, path, o.Format)
	if lost := disk.Fault(); lost != nil {
		err = lost
	}
	if err != nil {
		return nil, fmt.Errorf("reading the regions of %q: %w", path, err)
	}
	if err := o.applies(f.Name); err != nil {
		return nil, fmt.Errorf("reading the regions of %q as %s: %w", path, f.Name, err)
	}
	if o.Ignore == nil {
		o.Ignore = []int{0}
	}
	s := &Set{Format: f.Name, Noted: Counts{}, disk: disk, path: path, o: o, index: map[string]int{}}
	err = f.open(s, path)
	s.number()
	if lost := disk.Fault(); lost != nil {
		err = lost
	}
	if err == nil && o.Images != "" && !s.results && s.Regions() > 0 {
		err = unused("annotate.Options.Images", "where the images are listed", "lists of COCO's results, and this file lists images itself")
	}
	if err != nil {
		return nil, fmt.Errorf("reading the regions of %q as %s: %w", path, f.Name, err)
	}
	switch n := s.Faults.Count; {
	case s.Regions() > 0 || n == 0:
	case n == 1:
		return nil, fmt.Errorf("reading the regions of %q as %s: %w", path, f.Name, s.Faults.Rows[0])
	default:
		return nil, fmt.Errorf("reading the regions of %q as %s: no good row among %d faults (%s); the first is %w",
			path, f.Name, n, s.Faults.ByReason, s.Faults.Rows[0])
	}
	return s, nil
}

func withoutExt(name, ext string) string {
	if at := len(name) - len(ext); at > 0 && strings.EqualFold(name[at:], ext) {
		return name[:at]
	}
	return name
}

// eachFile calls read with the files below a folder that have an extension, or with
// the one file that path is. name is the path relative to the folder, with slashes and
// without the extension.
func (s *Set) eachFile(path, ext string, read func(s *Set, r io.Reader, file, name string) error) error {
	files, root, err := s.disk.filesOf(path, ext)
	if err != nil {
		return err
	}
	for _, file := range files {
		f, err := s.disk.openRegular(file)
		if dataset.FaultOf(err) > dataset.ItemFault { // it was listed a moment ago
			return err
		}
		if err == nil {
			err = read(s, f, file, withoutExt(relative(root, file), ext))
			f.Close()
		}
		if err != nil {
			s.Faults.add(file, 0, because(BadFile, err))
		}
	}
	return nil
}
