// Package overlay draws over the pictures of a run what was found of them: Maps, a sink, how
// sites change or agree at each place, and SaveRegions the regions.
package overlay

import (
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes/internal/draw"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// Maps is a sink that draws a heat map over the picture of every item of a run, to
// NUMBER-NAME.png in a folder, says in its Index what each map shows, and hands the
// columns on. A map has the mean over the sites of what it shows of their positions,
// each on its cell; where there is no cell the picture is as it was.
type Maps struct {
	result.Sink
	dir    string
	ds     dataset.Dataset
	column string // that maps are made of, width bytes of an item's
	width  int
	keep   bool // the column is handed on
	next   int

	heat  func(bits []byte) (h *draw.Heat, least, most float64)
	mark  func(m *image.RGBA, i int, picture picture.Size) *image.RGBA // draws regions on the map of item i
	about func(line *indexed, least float64)
}

// Index is the file in the folder of maps with a line for each: its name, the item, what
// is measured, and the largest and least value.
const Index = "maps.jsonl"

// Agreement is what maps measure that NewAgreement draws; others have local complexity.
const Agreement = "agreement"

// indexed is a line. From and To are what the darkest and the brightest colour stand
// for; of local complexity these are nothing and the largest.
type indexed struct {
	Map       string   `json:"map"`
	ID        string   `json:"id"`
	Largest   float64  `json:"largest"`
	Measure   string   `json:"measure,omitempty"`
	Reference string   `json:"reference,omitempty"`
	Least     *float64 `json:"least,omitempty"`
	From      *float64 `json:"from,omitempty"`
	To        *float64 `json:"to,omitempty"`
}

// NewMaps is a sink before to that draws where in the picture the units lie that
// changed: of a position, the fraction of its units. It is given the column "changed" of
// probes.Complexity, of which it takes the first radius; keep hands it on. from has the
// regions whose boxes and numbers are drawn, nil for none.
func NewMaps(to result.Sink, dir string, sites []site.Site, layouts []region.Layout, ds dataset.Dataset, from region.Source, keep bool) (*Maps, error) {
	m := &Maps{Sink: to, dir: dir, ds: ds, column: "changed", keep: keep}
	var located []changing
	var over picture.Size
	for i := range sites {
		l := &layouts[i]
		if l.Reason == "" {
			on, err := cellsOf(l)
			if err != nil {
				return nil, err
			}
			over = picture.Size{H: l.InputH, W: l.InputW}
			located = append(located, changing{on, m.width, sites[i].Bytes(), l.Channels})
		}
		m.width += sites[i].Bytes()
	}
	if len(located) == 0 {
		return nil, fmt.Errorf("drawing maps: none of %d sites has positions on the picture", len(sites))
	}
	m.heat = func(changed []byte) (*draw.Heat, float64, float64) {
		sum := newMean(over)
		for _, s := range located {
			sum.add(&s.cells, s.fractions(changed))
		}
		least, most := sum.end()
		sum.To = most
		return &sum.Heat, least, most
	}
	if m.mark = func(out *image.RGBA, _ int, _ picture.Size) *image.RGBA { return out }; from != nil {
		m.mark = func(out *image.RGBA, i int, picture picture.Size) *image.RGBA {
			var rs []region.Region
			if from.Has(i) {
				rs, _ = from.Regions(i, picture) // what has none is drawn without, and its row says why
			}
			return draw.Boxes(out, rs)
		}
	}
	m.about = func(*indexed, float64) {}
	return m, m.begin()
}

// NewAgreement is a sink before to that draws how far each position of a picture agrees
// with a reference: see region.Reference. It is given the column "code" of
// probes.Code, and hands it on. One scale holds for all pictures, from the least to the
// largest agreement in the reference's own; what is beyond it has the colour of its end.
// The reference is outlined in its picture, and where there is room for numbers the regions'
// boxes have theirs.
func NewAgreement(to result.Sink, dir string, ref *region.Reference, ds dataset.Dataset) (*Maps, error) {
	m := &Maps{Sink: to, dir: dir, ds: ds, column: "code", width: len(ref.Code), keep: true}
	known := map[*region.Layout]*cells{}
	var fault error
	var over picture.Size
	ref.Positions(ref.Code, func(l *region.Layout, _ []float64) {
		on, err := cellsOf(l)
		fault = errors.Join(fault, err)
		known[l], over = &on, picture.Size{H: l.InputH, W: l.InputW}
	})
	if fault != nil {
		return nil, fault
	}
	low, high := 0.0, 0.0
	m.heat = func(code []byte) (*draw.Heat, float64, float64) {
		sum := newMean(over)
		ref.Positions(code, func(l *region.Layout, agreement []float64) { sum.add(known[l], agreement) })
		least, most := sum.end()
		sum.From, sum.To = low, high
		return &sum.Heat, least, most
	}
	if _, low, high = m.heat(ref.Code); low == high {
		low, high = 0, 1
	}
	m.mark = func(out *image.RGBA, i int, size picture.Size) *image.RGBA {
		var marked *region.Region
		if i == ref.Item {
			marked = &ref.Region
		}
		draw.Mark(out, ref.Regions(i, size), marked)
		return out
	}
	m.about = func(line *indexed, least float64) {
		line.Measure, line.Reference = Agreement, ref.ID
		line.Least, line.From, line.To = &least, &low, &high
	}
	return m, m.begin()
}

// begin makes the folder and an empty index.
func (m *Maps) begin() error {
	err := os.MkdirAll(m.dir, 0o777)
	if err == nil {
		err = os.WriteFile(filepath.Join(m.dir, Index), nil, 0o666)
	}
	if err != nil {
		return fmt.Errorf("drawing maps: %w", err)
	}
	return nil
}

// enter adds a line to the index, or nothing.
func (m *Maps) enter(line indexed) error {
	b, err := json.Marshal(line)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(m.dir, Index), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err == nil {
		if _, err = f.Write(append(b, '\n')); err != nil {
			err = errors.Join(err, f.Truncate(st.Size()))
		}
	}
	return errors.Join(err, f.Close())
}

// changing is a site with positions, and its place among what changed.
type changing struct {
	cells
	offset, bytes, channels int
}

// fractions is of each position the fraction of the units that changed.
func (s *changing) fractions(changed []byte) []float64 {
	counts := s.all.PerPosition(changed[s.offset : s.offset+s.bytes])
	out := make([]float64, len(counts))
	for i, n := range counts {
		out[i] = float64(n) / float64(s.channels)
	}
	return out
}

// Write draws the items of a batch.
func (m *Maps) Write(cols []result.Column) error {
	var id, status []string
	var bits []byte
	var on []result.Column
	for _, c := range cols {
		switch c.Name {
		case "id":
			id, _ = c.Values.([]string)
		case "status":
			status, _ = c.Values.([]string)
		case m.column:
			if bits, _ = c.Values.([]byte); !m.keep {
				continue
			}
		}
		on = append(on, c)
	}
	if len(id) == 0 || len(status) != len(id) || len(bits) < len(id)*m.width {
		return fmt.Errorf("drawing maps: the batch has no whole %q of %d items", m.column, len(id))
	}
	per := len(bits) / len(id)
	for k := range id {
		i := m.next
		m.next++
		if status[k] != "ok" {
			continue
		}
		if err := m.draw(i, id[k], bits[k*per:k*per+m.width]); err != nil {
			return fmt.Errorf("drawing the map of %s: %w", id[k], err)
		}
	}
	return m.Sink.Write(on)
}

func (m *Maps) draw(i int, id string, bits []byte) error {
	g, err := dataset.GeometryOf(m.ds, i)
	if err != nil {
		return err
	}
	picture, err := dataset.Picture(m.ds, i)
	if err != nil {
		return err
	}
	heat, least, most := m.heat(bits)
	out := draw.Overlay(picture, heat, g)
	out = m.mark(out, i, g.Picture)
	line := indexed{Map: name(i, id), ID: id, Largest: most}
	m.about(&line, least)
	fast := png.Encoder{CompressionLevel: png.BestSpeed} // a tenth of the time, which is most of a run's
	if err := result.Put(filepath.Join(m.dir, line.Map), func(w io.Writer) error { return fast.Encode(w, out) }); err != nil {
		return err
	}
	return m.enter(line)
}
