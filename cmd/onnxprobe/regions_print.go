package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/region/annotate"
	"github.com/onnxprobe/onnxprobe/probes/region/score"
)

// regionsResult is what came of the regions of all pictures.
type regionsResult struct {
	counts
	Regions  struct{ Format string }
	Failed   int
	Faults   []string // the first annotate.MaxFaults
	Score    *scored  // nil without --truth
	labels   map[string]*counts
	pictures []pictureResult // with --by-picture
}

// counts are of all pictures or of those with a label.
type counts struct {
	Pictures int `json:"pictures"`
	Found    int `json:"regions"`
	Masks    int `json:"masks"`
}

// scored is the scores and what they rest on.
type scored struct {
	score.Scores
	IoU      float64
	AnyLabel bool
	Truth    string // format
}

// strangers says that there is nothing to compare since no label is on both sides.
func (s *scored) strangers() bool {
	for _, a := range s.Labels {
		if a.Truth > 0 && a.Found > 0 {
			return false
		}
	}
	return s.Labels != nil && s.All.Truth > 0 && s.All.Found > 0
}

type pictureResult struct {
	id    string
	found int
	score score.Agreement
}

func (r *regionsResult) fault(err error) {
	if r.Failed++; len(r.Faults) < annotate.MaxFaults {
		r.Faults = append(r.Faults, err.Error())
	}
}

// fail counts the rows of annotations that could not be read.
func (r *regionsResult) fail(f annotate.Faults) {
	for _, fault := range f.Rows {
		r.fault(fault)
	}
	r.Failed += f.Count - len(f.Rows)
}

// add counts a picture's regions, and scores them; keep makes a row of it.
func (r *regionsResult) add(p annotate.Picture, truth []region.Region, keep bool) {
	here := map[string]bool{}
	if r.labels == nil {
		r.labels = map[string]*counts{}
	}
	r.Pictures++
	for _, q := range p.Regions {
		of := r.labels[q.Label]
		if of == nil {
			of = &counts{}
			r.labels[q.Label] = of
		}
		if !here[q.Label] {
			here[q.Label] = true
			of.Pictures++
		}
		r.Found++
		of.Found++
		if q.Mask != nil {
			r.Masks++
			of.Masks++
		}
	}
	one := pictureResult{id: p.Name, found: len(p.Regions)}
	if r.Score != nil {
		var err error
		if one.score, err = r.Score.Add(truth, p.Regions, r.Score.IoU, r.Score.AnyLabel); err != nil {
			r.fault(fmt.Errorf("picture %q is not scored: %w", p.Name, err))
		}
	}
	if keep {
		r.pictures = append(r.pictures, one)
	}
}

// maxLabels is how many labels a table shows.
const maxLabels = 100

func (r *regionsResult) print(w io.Writer) {
	head := []string{"PICTURES", "REGIONS", "MASKS"}
	if r.Score != nil {
		head = []string{"TRUTH", "FOUND", fmt.Sprintf("MATCHED (IOU %g)", r.Score.IoU), "DR", "RA", "FM", "MEAN IOU"}
		for _, t := range score.Thresholds {
			head = append(head, fmt.Sprintf(">%g", t))
		}
	}
	if len(r.pictures) > 0 {
		r.printPictures(w, head)
		fmt.Fprintln(w)
	}
	rows := [][]string{slices.Insert(head, 0, "LABEL")}
	labels := r.names()
	for _, l := range labels[:min(len(labels), maxLabels)] {
		rows = append(rows, r.row(strconv.Quote(l), r.labels[l], r.agreement(l)))
	}
	var all *score.Agreement
	if r.Score != nil {
		all = &r.Score.All
	}
	table(w, append(rows, r.row("all", &r.counts, all)))
	if n := len(labels) - maxLabels; n > 0 {
		fmt.Fprintf(w, "%s not shown; --json has all\n", count(n, "more label"))
	}
}

func (r *regionsResult) printPictures(w io.Writer, head []string) {
	if r.Score == nil {
		head = []string{"REGIONS"}
	}
	rows := [][]string{slices.Insert(slices.Clone(head), 0, "PICTURE")}
	for _, p := range r.pictures {
		row := []string{p.id, fmt.Sprint(p.found)}
		if r.Score != nil {
			row = append(row[:1], scoreCells(p.score)...)
		}
		rows = append(rows, row)
	}
	table(w, rows)
}

// names are the labels that have rows, sorted; with --any-label there is none.
func (r *regionsResult) names() []string {
	if r.Score == nil {
		return slices.Sorted(maps.Keys(r.labels))
	}
	return slices.Sorted(maps.Keys(r.Score.Labels))
}

func (r *regionsResult) agreement(label string) *score.Agreement {
	if r.Score == nil {
		return nil
	}
	return r.Score.Labels[label]
}

func (r *regionsResult) row(name string, n *counts, a *score.Agreement) []string {
	if a != nil {
		return append([]string{name}, scoreCells(*a)...)
	}
	return []string{name, fmt.Sprint(n.Pictures), fmt.Sprint(n.Found), fmt.Sprint(n.Masks)}
}

func scoreCells(a score.Agreement) []string {
	cells := []string{fmt.Sprint(a.Truth), fmt.Sprint(a.Found), fmt.Sprint(a.Matched)}
	values := []float64{a.DR(), a.RA(), a.FM(), a.MeanIoU()}
	for k := range score.Thresholds {
		values = append(values, a.Accuracy(k))
	}
	for _, v := range values {
		cells = append(cells, fmt.Sprintf("%.4f", v))
	}
	return cells
}

// scoreJSON is the contract of regions --json for scores.
type scoreJSON struct {
	Truth    int                `json:"truth"`
	Found    int                `json:"found"`
	Matched  int                `json:"matched"`
	DR       float64            `json:"dr"`
	RA       float64            `json:"ra"`
	FM       float64            `json:"fm"`
	MeanIoU  float64            `json:"mean_iou"`
	Accuracy map[string]float64 `json:"accuracy"`
}

func scoreOf(a score.Agreement) *scoreJSON {
	s := &scoreJSON{a.Truth, a.Found, a.Matched, a.DR(), a.RA(), a.FM(), a.MeanIoU(), map[string]float64{}}
	for k, t := range score.Thresholds {
		s.Accuracy[fmt.Sprint(t)] = a.Accuracy(k)
	}
	return s
}

// labelJSON and pictureJSON are rows of regions --json.
type labelJSON struct {
	Label string `json:"label"`
	*counts
	Score *scoreJSON `json:"score,omitempty"`
}

type pictureJSON struct {
	ID      string     `json:"id"`
	Regions int        `json:"regions"`
	Score   *scoreJSON `json:"score,omitempty"`
}

// document is the contract of regions --json.
func (r *regionsResult) document() any {
	d := struct {
		Format string `json:"format"`
		counts
		Failed    int           `json:"failed"`
		Faults    []string      `json:"faults"`
		Truth     string        `json:"truth_format,omitempty"`
		IoU       float64       `json:"iou,omitempty"`
		AnyLabel  bool          `json:"any_label,omitempty"`
		Score     *scoreJSON    `json:"score,omitempty"`
		Labels    []labelJSON   `json:"labels"`
		ByPicture []pictureJSON `json:"by_picture,omitempty"`
	}{Format: r.Regions.Format, counts: r.counts, Failed: r.Failed, Faults: append([]string{}, r.Faults...), Labels: []labelJSON{}}
	if s := r.Score; s != nil {
		d.Truth, d.IoU, d.AnyLabel, d.Score = s.Truth, s.IoU, s.AnyLabel, scoreOf(s.All)
	}
	labels := slices.Sorted(maps.Keys(r.labels))
	if r.Score != nil {
		labels = slices.Compact(slices.Sorted(slices.Values(slices.Concat(labels, r.names()))))
	}
	for _, l := range labels {
		row := labelJSON{Label: l, counts: r.labels[l]}
		if row.counts == nil {
			row.counts = &counts{}
		}
		if a := r.agreement(l); a != nil {
			row.Score = scoreOf(*a)
		}
		d.Labels = append(d.Labels, row)
	}
	for _, p := range r.pictures {
		one := pictureJSON{ID: p.id, Regions: p.found}
		if r.Score != nil {
			one.Score = scoreOf(p.score)
		}
		d.ByPicture = append(d.ByPicture, one)
	}
	return d
}
