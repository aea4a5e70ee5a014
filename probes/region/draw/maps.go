package draw

import (
	"encoding/json"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/region"
)

// Maps is a sink that draws, for every item of a run, where in its picture the units
// lie that changed: of each site with positions, the fraction of a position's units, on
// its cell; the mean over the sites. It is given the column "changed" of
// ComplexityColumns, draws its first radius to NUMBER-NAME.png in a folder, says in its
// Index what each map shows, and hands all columns on, "changed" only if asked.
type Maps struct {
	probes.Sink
	dir   string
	ds    dataset.Dataset
	from  region.Source // nil where no boxes are drawn
	keep  bool
	sites []mapped
	width int
	input dataset.Size
	next  int
}

// Index is the file in the folder of maps with a line for each: its name, the item, and
// the largest value, for which the brightest colour stands.
const Index = "maps.jsonl"

type indexed struct {
	Map     string  `json:"map"`
	ID      string  `json:"id"`
	Largest float64 `json:"largest"`
}

// mapped is a site with positions.
type mapped struct {
	all           *region.Selection
	offset, bytes int
	channels      int
	cells         []int32 // the position of each pixel of the input, -1 for none
}

// NewMaps is a sink before to; keep hands the column "changed" on.
func NewMaps(to probes.Sink, dir string, sites []probes.Site, layouts []region.Layout, ds dataset.Dataset, from region.Source, keep bool) (*Maps, error) {
	m := &Maps{Sink: to, dir: dir, ds: ds, from: from, keep: keep}
	for i := range sites {
		l := &layouts[i]
		if l.Reason == "" {
			s, err := cellsOf(l)
			if err != nil {
				return nil, err
			}
			m.input = dataset.Size{H: l.InputH, W: l.InputW}
			s.offset, s.bytes = m.width, sites[i].Bytes()
			m.sites = append(m.sites, s)
		}
		m.width += sites[i].Bytes()
	}
	if len(m.sites) == 0 {
		return nil, fmt.Errorf("drawing maps: none of %d sites has positions on the picture", len(sites))
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("drawing maps: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, Index), nil, 0o666); err != nil {
		return nil, fmt.Errorf("drawing maps: %w", err)
	}
	return m, nil
}

// enter adds a line to the index.
func (m *Maps) enter(line indexed) error {
	b, err := json.Marshal(line)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(m.dir, Index), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	if _, err := f.Write(append(b, '\n')); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func cellsOf(l *region.Layout) (mapped, error) {
	positions, err := region.NewMask(l.H, l.W)
	if err != nil {
		return mapped{}, err
	}
	s := mapped{channels: l.Channels, cells: make([]int32, l.InputH*l.InputW)}
	for i := range s.cells {
		s.cells[i] = -1
	}
	for y := range l.H {
		for x := range l.W {
			positions.Set(y, x)
			l.Cell(y, x).Each(func(py, px int) { s.cells[py*l.InputW+px] = int32(y*l.W + x) })
		}
	}
	s.all = l.Select(positions)
	return s, nil
}

// heat is where in the input the units lie that changed.
func (m *Maps) heat(changed []byte) *Heat {
	h := &Heat{m.input.H, m.input.W, make([]float64, m.input.H*m.input.W)}
	for _, s := range m.sites {
		counts := s.all.PerPosition(changed[s.offset : s.offset+s.bytes])
		for i, at := range s.cells {
			if at >= 0 {
				h.Values[i] += float64(counts[at]) / float64(s.channels*len(m.sites))
			}
		}
	}
	return h
}

// Write draws the items of a batch.
func (m *Maps) Write(cols []probes.Column) error {
	var id, status []string
	var changed []byte
	var on []probes.Column
	for _, c := range cols {
		switch c.Name {
		case "id":
			id, _ = c.Values.([]string)
		case "status":
			status, _ = c.Values.([]string)
		case "changed":
			if changed, _ = c.Values.([]byte); !m.keep {
				continue
			}
		}
		on = append(on, c)
	}
	if len(id) == 0 || len(status) != len(id) || len(changed) < len(id)*m.width {
		return fmt.Errorf("drawing maps: the batch does not say what changed around %d items", len(id))
	}
	per := len(changed) / len(id)
	for k := range id {
		i := m.next
		m.next++
		if status[k] != "ok" {
			continue
		}
		if err := m.draw(i, id[k], changed[k*per:k*per+m.width]); err != nil {
			return fmt.Errorf("drawing the map of %s: %w", id[k], err)
		}
	}
	return m.Sink.Write(on)
}

func (m *Maps) draw(i int, id string, changed []byte) error {
	g, err := dataset.GeometryOf(m.ds, i)
	if err != nil {
		return err
	}
	picture, err := dataset.Picture(m.ds, i)
	if err != nil {
		return err
	}
	heat := m.heat(changed)
	out := Overlay(picture, heat, g)
	if m.from != nil && m.from.Has(i) {
		rs, _ := m.from.Regions(i, g.Picture)
		Boxes(out, rs)
	}
	line := indexed{name(i, id), id, slices.Max(heat.Values)}
	if err := m.enter(line); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(m.dir, line.Map))
	if err != nil {
		return err
	}
	if err := png.Encode(f, out); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// name is a file's name for an item, whatever its ID holds.
func name(i int, id string) string {
	safe := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return '_'
	}, id)
	return fmt.Sprintf("%06d-%s.png", i, safe[max(len(safe)-80, 0):])
}
