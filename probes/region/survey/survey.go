// Package survey goes through the regions of pictures: it counts them, compares them with
// the true ones and draws them.
package survey

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/region/annotate"
	"github.com/onnxprobe/onnxprobe/probes/region/overlay"
	"github.com/onnxprobe/onnxprobe/probes/region/score"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// Survey is what to do with the regions of pictures, and what came of it. Its JSON is a
// contract.
type Survey struct {
	Pictures dataset.Dataset `json:"-"`
	// Found are the regions, and True the true ones; nil compares with none.
	Found region.Source `json:"-"`
	True  region.Source `json:"-"`
	// Draw is a folder that each picture is drawn to; "" draws none. Singly keeps a row
	// for each picture. Progress, when not nil, is called after each.
	Draw     string               `json:"-"`
	Singly   bool                 `json:"-"`
	Progress func(result.Summary) `json:"-"`

	Format string `json:"format"` // that the regions were read as
	counts
	// Failed is how many rows, regions and pictures could not be used, and Faults why: of
	// the first annotate.MaxFaults.
	Failed int      `json:"failed"`
	Faults []string `json:"faults"`
	// LeftOut counts by reason what of the annotations and pictures could not be used, and
	// the annotated pictures that are not among these.
	LeftOut annotate.Counts `json:"left_out"`
	// NotHeld counts by kind what of the regions the format that they are written in does not
	// hold.
	NotHeld annotate.Counts `json:"not_held,omitempty"`
	// Truth is the format of the true regions, IoU the least of a match, and AnyLabel
	// compares regions whatever their labels.
	Truth     string           `json:"truth_format,omitempty"`
	IoU       float64          `json:"iou,omitempty"`
	AnyLabel  bool             `json:"any_label,omitempty"`
	Score     *score.Agreement `json:"score,omitempty"` // nil without True
	Labels    []*label         `json:"labels"`          // sorted
	ByPicture []row            `json:"by_picture,omitempty"`

	scores score.Scores
	sets   []*annotate.Set
	unread annotate.Counts
	first  []any // errors of Faults, which Unused wraps
}

// The reasons of pictures.
const (
	unreadable annotate.Reason = "picture that cannot be read"
	unscored   annotate.Reason = "picture that is not scored"
	unfound    annotate.Reason = "region that cannot be found"
)

// counts are of all pictures or of those with a label.
type counts struct {
	N       int `json:"pictures"`
	Regions int `json:"regions"`
	Masks   int `json:"masks"`
	Crowds  int `json:"crowds,omitempty"`
}

type label struct {
	Name string `json:"label"`
	counts
	Score *score.Agreement `json:"score,omitempty"`
}

// row is a picture.
type row struct {
	ID      string           `json:"id"`
	Regions int              `json:"regions"`
	Score   *score.Agreement `json:"score,omitempty"`
}

// Use counts the rows of annotations that could not be read, and with Run what of them is left
// out.
func (s *Survey) Use(set *annotate.Set) {
	for _, fault := range set.Faults.Rows {
		s.fault(fault)
	}
	s.Failed += set.Faults.Count - len(set.Faults.Rows)
	s.sets = append(s.sets, set)
}

// Unused is the error of what could not be used, which names some; nil where all could.
func (s *Survey) Unused() error {
	if s.Failed == 0 {
		return nil
	}
	more := ""
	if n := s.Failed - len(s.first); n > 0 {
		more = fmt.Sprintf("\n  and %d more", n)
	}
	what := "annotations or pictures"
	if s.Failed == 1 {
		what = "annotation or picture"
	}
	return fmt.Errorf("%s %s could not be used; with those of pictures that are not there, are left out (%s)"+
		strings.Repeat("\n  %w", len(s.first))+"%s", slices.Concat([]any{text.Grouped(s.Failed), what, s.LeftOut}, s.first, []any{more})...)
}

// miss counts a picture that cannot be used.
func (s *Survey) miss(why annotate.Reason, err error) {
	s.unread = s.unread.Add(annotate.Counts{why: 1})
	s.fault(err)
}

func (s *Survey) fault(err error) {
	if s.Failed++; len(s.Faults) < annotate.MaxFaults {
		s.Faults = append(s.Faults, err.Error())
	}
	if len(s.first) < 20 {
		s.first = append(s.first, err)
	}
}

// Run calls use with the regions of each picture that can be read, after scoring them, and
// draws them. The summary is of pictures: it says how many cannot be read or are not looked
// into, and of the first why. What region.Machine tells ends the run.
func (s *Survey) Run(ctx context.Context, use func(annotate.Picture) error) (sum result.Summary, err error) {
	s.Faults, s.Labels = append([]string{}, s.Faults...), []*label{}
	if s.True != nil {
		s.Score = &s.scores.All
	}
	defer func() {
		s.LeftOut = annotate.Counts{}.Add(s.unread)
		for _, set := range s.sets {
			s.LeftOut = s.LeftOut.Add(set.LeftOut().Counts())
		}
		if _, known := s.Found.(interface{ Set() *annotate.Set }); !known { // whose set says it
			s.LeftOut = s.LeftOut.Add(region.LeftOut(s.Found))
		}
	}()
	for i := range s.Pictures.Len() {
		p, err := s.look(i)
		if ends := cmp.Or(ctx.Err(), region.Machine(err)); ends != nil {
			return sum, ends
		}
		sum.Count(p.Name, err)
		if unread := (*region.PictureError)(nil); errors.As(err, &unread) {
			s.miss(unreadable, err)
			continue
		}
		truth, _ := s.regions(s.True, i, p.Size) // which reads no picture
		s.add(p, truth)
		if err := use(p); err != nil {
			return sum, err
		}
		if s.Draw != "" {
			if m, err := dataset.Picture(s.Pictures, i); err != nil {
				s.miss(unreadable, err)
			} else if err := overlay.SaveRegions(s.Draw, i, p.Name, m, p.Regions, truth); err != nil {
				return sum, err
			}
		}
		if s.Progress != nil {
			s.Progress(result.Summary{Items: i + 1, Failed: s.Failed})
		}
	}
	return sum, nil
}

// look finds the regions of a picture. An error is as that of regions.
func (s *Survey) look(i int) (p annotate.Picture, err error) {
	p.Name = s.Pictures.Item(i).ID
	g, err := dataset.GeometryOf(s.Pictures, i)
	if err != nil {
		return p, &region.PictureError{Err: err}
	}
	p.Size = g.Picture
	p.Regions, err = s.regions(s.Found, i, g.Picture)
	return p, err
}

// regions is the regions of a picture, without those that are faulty. The error is a
// *region.PictureError of a picture that cannot be read, or of one with no region but what
// failed, which is counted then.
func (s *Survey) regions(source region.Source, i int, size picture.Size) ([]region.Region, error) {
	if source == nil || !source.Has(i) {
		return nil, nil
	}
	rs, errs := source.Regions(i, size)
	var failed error
	for _, err := range errs {
		unread := (*region.PictureError)(nil)
		switch {
		case errors.As(err, &annotate.Fault{}): // the set counts it
			s.fault(err)
		case errors.As(err, &unread):
			return nil, err
		default:
			failed = fmt.Errorf("picture %q: %w", s.Pictures.Item(i).ID, err)
			s.miss(unfound, failed)
		}
	}
	if len(rs) > 0 {
		return rs, nil
	}
	return nil, failed
}

// add counts a picture's regions, and scores them.
func (s *Survey) add(p annotate.Picture, truth []region.Region) {
	s.N++
	here := map[string]bool{}
	for _, q := range p.Regions {
		l := s.label(q.Label)
		if !here[q.Label] {
			here[q.Label] = true
			l.N++
		}
		for _, n := range []*counts{&s.counts, &l.counts} {
			if n.Regions++; q.Mask != nil {
				n.Masks++
			}
			if q.Crowd {
				n.Crowds++
			}
		}
	}
	one := row{ID: p.Name, Regions: len(p.Regions)}
	if s.Score != nil {
		a, err := s.scores.Add(truth, p.Regions, s.IoU, s.AnyLabel)
		if err != nil {
			s.miss(unscored, fmt.Errorf("picture %q is not scored: %w", p.Name, err))
		} else if !s.AnyLabel {
			for _, r := range slices.Concat(truth, p.Regions) {
				s.label(r.Label).Score = s.scores.Labels[r.Label]
			}
		}
		one.Score = &a
	}
	if s.Singly {
		s.ByPicture = append(s.ByPicture, one)
	}
}

// label is the one of a name, which may be new.
func (s *Survey) label(name string) *label {
	i, there := slices.BinarySearchFunc(s.Labels, name, func(l *label, n string) int { return cmp.Compare(l.Name, n) })
	if !there {
		s.Labels = slices.Insert(s.Labels, i, &label{Name: name})
	}
	return s.Labels[i]
}

// Strangers reports whether there is nothing to compare since no label is on both sides.
func (s *Survey) Strangers() bool {
	if s.Score == nil || s.AnyLabel || s.Score.Truth == 0 || s.Score.Found == 0 {
		return false
	}
	return !slices.ContainsFunc(s.Labels, func(l *label) bool {
		return l.Score != nil && l.Score.Truth > 0 && l.Score.Found > 0
	})
}

// Print writes tables for people. whole is what shows the labels that have no room there.
func (s *Survey) Print(w io.Writer, whole string) {
	const most = 100
	head, labels := []string{"PICTURES", "REGIONS", "MASKS"}, s.Labels
	single := head[1:2]
	if s.Score != nil {
		head = []string{"TRUTH", "FOUND", fmt.Sprintf("MATCHED (IOU %g)", s.IoU), "DR", "RA", "FM", "MEAN IOU"}
		for _, t := range score.Thresholds {
			head = append(head, fmt.Sprintf(">%g", t))
		}
		single = head
		labels = slices.DeleteFunc(slices.Clone(labels), func(l *label) bool { return l.Score == nil })
	}
	if len(s.ByPicture) > 0 {
		rows := [][]string{append([]string{"PICTURE"}, single...)}
		for _, p := range s.ByPicture {
			rows = append(rows, append([]string{p.ID}, cells(p.Score, p.Regions)...))
		}
		text.Table(w, rows)
		fmt.Fprintln(w)
	}
	rows := [][]string{append([]string{"LABEL"}, head...)}
	for _, l := range labels[:min(len(labels), most)] {
		rows = append(rows, append([]string{strconv.Quote(l.Name)}, cells(l.Score, l.N, l.Regions, l.Masks)...))
	}
	rows = append(rows, append([]string{"all"}, cells(s.Score, s.N, s.Regions, s.Masks)...))
	text.Table(w, rows)
	if s.Score != nil && s.Score.Passed > 0 {
		fmt.Fprintf(w, "regions found that lie in crowds and are passed over: %d\n", s.Score.Passed)
	}
	if n := len(labels) - most; n > 0 {
		fmt.Fprintf(w, "%s not shown; %s has all\n", text.Count(n, "more label"), whole)
	}
}

// cells are the figures of a score, or where there is none some numbers.
func cells(a *score.Agreement, numbers ...int) (cells []string) {
	var shares []float64
	if a != nil {
		numbers = []int{a.Truth, a.Found, a.Matched}
		shares = []float64{a.DR(), a.RA(), a.FM(), a.MeanIoU()}
		for k := range score.Thresholds {
			shares = append(shares, a.Accuracy(k))
		}
	}
	for _, n := range numbers {
		cells = append(cells, fmt.Sprint(n))
	}
	for _, v := range shares {
		cells = append(cells, fmt.Sprintf("%.4f", v))
	}
	return cells
}
