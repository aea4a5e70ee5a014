package probes

import (
	"context"
	"errors"
	"time"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

var errNaN = errors.New("the network returned NaN for this item, so it has no code")

// Batch is a batch of items that went through the network, on its way to the sink. What
// it gives belongs to the run, and is valid until a Maker's Columns returns.
type Batch struct {
	batch   *dataset.Batch // valid until the lane is done with the step
	ready   time.Time      // when the batch was
	err     error          // of the lane
	session *Prober
	makers  []Maker
	items   []dataset.Item
	errs    []error
	warned  []string
	bound   []int            // the places of Plan.Fit.Others in batch
	others  []*tensor.Tensor // the batches of Plan.Fit.Others
	out     []*tensor.Tensor // nil where no group reads it
	states  []any
	ran     any // of states, that of the maker at work
	rows    rows
	packed  []byte // the items' codes, once made
	coded   bool
}

// Len is the number of items.
func (s *Batch) Len() int { return len(s.items) }

// Items are the items.
func (s *Batch) Items() []dataset.Item { return s.items }

// Input is the samples of the items, [Len, Sample...], and the further rows that fill a
// run up. It is for Runner.Run, and nil afterwards.
func (s *Batch) Input() *tensor.Tensor {
	if s.batch == nil {
		return nil
	}
	return s.batch.Input
}

// Failed marks the items that could not be read, or have no code: the rows without a
// value. In Runner.Run those are not among them for which the network returned NaN.
func (s *Batch) Failed() []bool {
	if s.rows.n == 0 {
		s.rows.failed = s.rows.failed[:0]
		for _, err := range s.errs {
			s.rows.failed = append(s.rows.failed, err != nil)
		}
	}
	return s.rows.failed
}

// Fail gives item i an error, which becomes its row's. It is for Runner.Run.
func (s *Batch) Fail(i int, err error) { s.errs[i] = err }

// Outputs are the network's own, as it gives them: with rows for as many samples as a run
// takes, of which the first Len are of items. They and codes are nil where the items did
// not go through it, since all probes of the run are Runners.
func (s *Batch) Outputs() []*tensor.Tensor { return s.out[:min(s.session.Plan.Own, len(s.out))] }

// Site is the output of a kind that Tap.Output added at each of the plan's sites, nil
// where it added none. Rows are as in Outputs.
func (s *Batch) Site(kind string) []*tensor.Tensor { return s.session.probe(s.out, kind) }

// Ran is what Runner.Run of the same probe returned.
func (s *Batch) Ran() any { return s.ran }

// CodeBytes is the length of an item's whole code.
func (s *Batch) CodeBytes() int { return s.session.Plan.CodeBytes() }

// size is how many samples a run takes.
func (s *Batch) size() int { return s.session.Batch }

// Codes is the whole codes of the batch, one after the other; those of items that
// failed are zero.
func (s *Batch) Codes() []byte {
	width := s.session.Plan.CodeBytes()
	if s.out == nil {
		return nil
	}
	if !s.coded {
		if s.packed == nil {
			s.packed = make([]byte, s.session.Batch*width)
		}
		s.session.codes(s.packed, s.out, "code")
		for i, failed := range s.Failed() {
			if failed {
				clear(s.packed[i*width : (i+1)*width])
			}
		}
		s.coded = true
	}
	return s.packed[:s.Len()*width]
}

// beside is the rows of Plan.Fit.Others in b.
func (s *Batch) beside(b *dataset.Batch) (others []*tensor.Tensor) {
	for _, k := range s.bound {
		others = append(others, b.Others[k])
	}
	return others
}

// step runs the network and the makers on b.
func (s *Batch) step(ctx context.Context, l *lane, b *dataset.Batch) (err error) {
	defer func() { err = s.limited(err) }()
	s.session, s.makers = l.r, l.makers
	s.batch, s.others = b, s.beside(b)
	s.rows.reset()
	s.items, s.errs = append(s.items[:0], b.Items...), append(s.errs[:0], b.Errs...)
	s.warned = append(s.warned[:0], b.Warnings...)
	s.states, s.coded = s.states[:0], false
	if l.runs {
		if s.out != nil { // of a step that crashed later
			s.session.Recycle(s.out)
		}
		if s.out, err = s.session.Infer(ctx, b.Input, s.others...); err != nil {
			return err
		}
	}
	for _, m := range l.makers {
		var state any
		if r, ok := m.(Runner); ok {
			s.coded = false // of errors that the last one gave too
			if state, err = r.Run(ctx, s); err != nil {
				return err
			}
		}
		s.states = append(s.states, state)
	}
	return nil
}

// write is the part of a step that does not need the engine: see infer.
func (s *Batch) write(sink result.Sink, sum *result.Summary, o RunOptions) error {
	nan := s.session.nan(s.out)
	s.rows.reset()
	s.coded = false
	for i, it := range s.items {
		err := s.errs[i]
		if err == nil && i < len(nan) && nan[i] {
			err = errNaN
		}
		err = o.worded(err)
		s.rows.add(it, err, s.warned[i])
		sum.Count(it.ID, err)
		if err == nil {
			sum.Warnings.Add(s.warned[i], it.ID)
		}
	}
	cols := s.rows.columns()
	for i, m := range s.makers {
		s.ran = s.states[i]
		more, err := m.Columns(s)
		if err != nil {
			return err
		}
		cols = append(cols, more...)
	}
	return sink.Write(cols)
}

// rows gathers the columns that every result has: what the item is and whether
// it could be read.
type rows struct {
	n                                int
	id, path, class, status, message []string
	warning                          []string
	sound                            []bool // without a warning
	label                            []int64
	failed                           []bool
	unlabelled                       []bool
	tiles                            bool // the items are tiles
	tile                             []float64
	untiled                          []bool
}

func (r *rows) add(it dataset.Item, err error, warning string) {
	r.n++
	r.id, r.path, r.class = append(r.id, it.ID), append(r.path, it.Path), append(r.class, it.Class)
	r.label = append(r.label, int64(max(it.Label, 0)))
	r.unlabelled = append(r.unlabelled, it.Label < 0)
	status, message := "ok", ""
	if err != nil {
		status, message = "error", err.Error()
	}
	r.status, r.message = append(r.status, status), append(r.message, message)
	r.failed = append(r.failed, err != nil)
	r.warning, r.sound = append(r.warning, warning), append(r.sound, warning == "")
	if r.tiles {
		r.tile, r.untiled = append(r.tile, it.Tile[:]...), append(r.untiled, it.Tile == [4]float64{})
	}
}

func (r *rows) reset() { *r = rows{tiles: r.tiles} }

func (r *rows) columns() []result.Column {
	good := make([]bool, r.n)
	for i, f := range r.failed {
		good[i] = !f
	}
	cols := []result.Column{
		{Name: "id", Values: r.id},
		{Name: "path", Values: r.path},
		{Name: "label", Values: r.label, Null: r.unlabelled},
		{Name: "class", Values: r.class},
		{Name: "status", Values: r.status},
		{Name: "error", Values: r.message, Null: good},
		{Name: "warning", Values: r.warning, Null: r.sound},
	}
	if r.tiles {
		cols = append(cols, result.Column{Name: "tile", Values: r.tile, Width: 4, Null: r.untiled,
			Parts: []result.Part{{Name: "x0", Width: 1}, {Name: "y0", Width: 1}, {Name: "x1", Width: 1}, {Name: "y1", Width: 1}}})
	}
	return cols
}
