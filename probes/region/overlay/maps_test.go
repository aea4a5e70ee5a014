package overlay

import (
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/internal/draw"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

type nothing struct{ cols []result.Column }

func (n *nothing) Write(cols []result.Column) error { n.cols = cols; return nil }
func (n *nothing) Commit(any) error                 { return nil }
func (n *nothing) Abort() error                     { return nil }

// one is a region of every picture.
type one struct{}

func (one) Has(int) bool { return true }
func (one) Regions(int, picture.Size) ([]region.Region, []error) {
	return []region.Region{{ID: "17", Box: region.Box{X0: 2, Y0: 3, X1: 4, Y1: 5}}}, nil
}

// One unit that changed warms the cell of its position, by its share of the position's
// units and of the sites; and the column is not handed on.
func TestMapsOfOneUnit(t *testing.T) {
	m, err := onnx.Load("../../../testdata/models/resnet_basic_dynamo.onnx")
	if err != nil {
		t.Fatal(err)
	}
	p, err := probes.Attach(m, probes.AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ls, err := region.Map(m, &p.Fit, p.Sites)
	if err != nil {
		t.Fatal(err)
	}
	ds, err := dataset.Open([]string{"../../../testdata/images/digits"}, dataset.Options{Input: p.Fit.Sample})
	if err != nil {
		t.Fatal(err)
	}
	dir, to := t.TempDir(), &nothing{}
	maps, err := NewMaps(to, dir, p.Sites, ls, ds, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	sites := 0
	for _, l := range ls {
		if l.Reason == "" {
			sites++
		}
	}
	changed := make([]byte, p.CodeBytes())
	unit := (2*ls[0].H+3)*ls[0].W + 1 // channel 2, row 3, column 1
	changed[unit/8] = 128 >> (unit % 8)
	h, _, _ := maps.heat(changed)
	cell := ls[0].Cell(3, 1)
	for i, v := range h.Values {
		want := 0.0
		if cell.Has(i/h.W, i%h.W) {
			want = 1 / float64(ls[0].Channels*sites)
		}
		if v != want {
			t.Errorf("pixel %d: %g, want %g", i, v, want)
		}
	}
	id := ds.Item(0).ID
	cols := []result.Column{{Name: "id", Values: []string{id}}, {Name: "status", Values: []string{"ok"}}, {Name: "changed", Values: changed, Width: len(changed)}}
	if err := maps.Write(cols); err != nil || len(to.cols) != 2 {
		t.Fatalf("%v; %d columns handed on, want 2", err, len(to.cols))
	}
	f, err := os.Open(filepath.Join(dir, name(0, id)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if c, err := png.DecodeConfig(f); err != nil || c.Width != 8 || c.Height != 8 {
		t.Errorf("%+v, %v", c, err)
	}
	// With regions it is large enough for their numbers, which are white on dark.
	if maps, err = NewMaps(to, dir, p.Sites, ls, ds, one{}, false); err != nil {
		t.Fatal(err)
	}
	if err := maps.Write(cols); err != nil {
		t.Fatal(err)
	}
	if f, err = os.Open(filepath.Join(dir, name(0, id))); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	numbered, err := png.Decode(f)
	if err != nil || numbered.Bounds() != image.Rect(0, 0, 104, 104) {
		t.Fatalf("%v, %v", numbered.Bounds(), err)
	}
	white := 0
	for y := range 104 {
		for x := range 104 {
			inside := image.Pt(x, y).In(image.Rect(2*13, 3*13, 4*13, 5*13).Inset(1))
			if r, g, b, _ := numbered.At(x, y).RGBA(); inside && r&g&b == 0xffff {
				white++
			}
		}
	}
	if white < 20 {
		t.Errorf("%d white dots inside the box, want those of its number", white)
	}
	if got := name(3, "../a b/\x00ü.png"); got != "000003-.._a_b___.png.png" {
		t.Errorf("the name %q", got)
	}
}

// Where strides leave an edge over the sites there have their mean, which sets no scale,
// and where no site has a cell the picture is as it was.
func TestMeanOverCells(t *testing.T) {
	m := newMean(picture.Size{H: 1, W: 4})
	m.add(&cells{at: []int32{0, 0, 1, -1}}, []float64{0.5, 1})
	m.add(&cells{at: []int32{0, 1, -1, -1}}, []float64{0.25, 0.75})
	least, most := m.end()
	if least != 0.375 || most != 0.625 || m.Values[0] != 0.375 || m.Values[1] != 0.625 || m.Values[2] != 1 || !math.IsNaN(m.Values[3]) {
		t.Errorf("from %v to %v: %v", least, most, m.Values)
	}
	m.From, m.To = least, most
	g, err := picture.Preprocess{}.Geometry(4, 1)
	if err != nil {
		t.Fatal(err)
	}
	out := draw.Overlay(image.NewRGBA(image.Rect(0, 0, 4, 1)), &m.Heat, g)
	for x, want := range []uint8{uint8(0.6*float64(draw.Viridis(0).R) + 0.5), uint8(0.6*float64(draw.Viridis(1).R) + 0.5), uint8(0.6*float64(draw.Viridis(1).R) + 0.5), 0} {
		if got := out.RGBAAt(x, 0).R; got != want {
			t.Errorf("dot %d has red %d, want %d", x, got, want)
		}
	}
}
