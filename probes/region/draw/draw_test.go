package draw

import (
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/region"
)

// matplotlib 3's viridis at these places.
func TestViridis(t *testing.T) {
	for v, want := range map[float64]color.RGBA{0: {68, 1, 84, 255}, 0.25: {59, 82, 139, 255}, 0.5: {33, 145, 140, 255}, 0.75: {94, 201, 98, 255}, 1: {253, 231, 37, 255}, 7: {253, 231, 37, 255}} {
		got := Viridis(v)
		for _, d := range []int{int(got.R) - int(want.R), int(got.G) - int(want.G), int(got.B) - int(want.B)} {
			if d < -4 || d > 4 {
				t.Errorf("viridis at %v is %v, matplotlib's is %v", v, got, want)
			}
		}
	}
}

// Of a cropped and resized picture only what the model sees is covered.
func TestOverlayCoversWhatIsSeen(t *testing.T) {
	m := image.NewRGBA(image.Rect(0, 0, 20, 10))
	g, err := picture.Preprocess{Resize: picture.Resize{Mode: picture.Shorter, Size: picture.Size{H: 5, W: 5}}, Crop: picture.Size{H: 4, W: 4}}.Geometry(20, 10)
	if err != nil {
		t.Fatal(err)
	}
	h := &Heat{H: 4, W: 4, Values: make([]float64, 16), To: 0.4}
	h.Values[5] = 0.4 // row 1, column 1: the largest
	out := Overlay(m, h, g)
	x0, y0, x1, y1 := g.Seen()
	hot, cold := Viridis(1), Viridis(0)
	for y := range 10 {
		for x := range 20 {
			px, py := float64(x)+0.5, float64(y)+0.5
			ix, iy := g.ToInput(px, py)
			want := uint8(0)
			if px >= x0 && px < x1 && py >= y0 && py < y1 {
				want = uint8(0.6*float64(cold.R) + 0.5)
				if int(ix) == 1 && int(iy) == 1 {
					want = uint8(0.6*float64(hot.R) + 0.5)
				}
			}
			if got := out.RGBAAt(x, y).R; got != want {
				t.Errorf("pixel %d, %d has red %d, want %d", x, y, got, want)
			}
		}
	}
}

func TestBoxesStayInThePicture(t *testing.T) {
	m := image.NewRGBA(image.Rect(0, 0, 30, 30))
	Boxes(m, []region.Region{{Label: "cat", Box: region.Box{X0: 4, Y0: 6, X1: 28, Y1: 29}}, {ID: "9", Box: region.Box{X0: -50, Y0: 25, X1: 1e300, Y1: 1e300}}})
	white := color.RGBA{255, 255, 255, 255}
	for _, p := range []image.Point{{4, 20}, {27, 20}, {15, 28}} {
		if m.RGBAAt(p.X, p.Y) != white {
			t.Errorf("no outline at %v", p)
		}
	}
	if m.RGBAAt(15, 22) == white {
		t.Error("the box is filled")
	}
}

type nothing struct{ cols []probes.Column }

func (n *nothing) Write(cols []probes.Column) error { n.cols = cols; return nil }
func (n *nothing) Commit(any) error                 { return nil }
func (n *nothing) Abort() error                     { return nil }

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
	cols := []probes.Column{{Name: "id", Values: []string{id}}, {Name: "status", Values: []string{"ok"}}, {Name: "changed", Values: changed, Width: len(changed)}}
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
	out := Overlay(image.NewRGBA(image.Rect(0, 0, 4, 1)), &m.Heat, g)
	for x, want := range []uint8{uint8(0.6*float64(Viridis(0).R) + 0.5), uint8(0.6*float64(Viridis(1).R) + 0.5), uint8(0.6*float64(Viridis(1).R) + 0.5), 0} {
		if got := out.RGBAAt(x, 0).R; got != want {
			t.Errorf("dot %d has red %d, want %d", x, got, want)
		}
	}
}

// A label is larger than a picture of 8 x 8: only the box is drawn there.
func TestLabelsLeaveSmallPicturesAlone(t *testing.T) {
	for side, labelled := range map[int]bool{8: false, 64: true} {
		m := image.NewRGBA(image.Rect(0, 0, side, side))
		Boxes(m, []region.Region{{Label: "cat", Box: region.Box{X1: float64(side), Y1: float64(side)}}})
		drawn := false
		for y := 1; y < side-1; y++ {
			for x := 1; x < side-1; x++ {
				drawn = drawn || m.RGBAAt(x, y).A != 0
			}
		}
		if drawn != labelled {
			t.Errorf("%d x %d: a label drawn is %v, want %v", side, side, drawn, labelled)
		}
	}
}
