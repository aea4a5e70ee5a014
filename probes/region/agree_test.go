package region

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
)

// compared makes rows of a model, and a reference of a box in a picture of a code.
func compared(t *testing.T, m *onnx.Model, box Box, code []byte, rule Rule) (*Rows, *Reference, picture.Geometry) {
	t.Helper()
	p, err := probes.Attach(m, probes.AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ls, err := Map(m, &p.Fit, p.Sites)
	if err != nil {
		t.Fatal(err)
	}
	shape := p.Fit.Sample
	g, err := picture.Preprocess{}.Geometry(shape[2], shape[1])
	if err != nil {
		t.Fatal(err)
	}
	if code == nil {
		r := rand.New(rand.NewPCG(5, 6))
		for range p.CodeBytes() {
			code = append(code, byte(r.Uint32()))
		}
	}
	rows, err := NewRows(nil, p.Sites, ls, nil, nil, RowOptions{Rule: rule})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := rows.refer(&Place{ID: "a#1", Region: Region{ID: "1", Box: box}}, g, code)
	if err != nil {
		t.Fatal(err)
	}
	return rows, ref, g
}

// agreements is that of all positions, site by site, and of a region.
func agreements(t *testing.T, rows *Rows, ref *Reference, g picture.Geometry, box Box, code []byte) (sites [][]float64, region float64) {
	t.Helper()
	ref.Positions(code, func(_ *Layout, a []float64) { sites = append(sites, a) })
	m, _, err := Project(g, Region{Box: box})
	if err != nil {
		t.Fatal(err)
	}
	var selected []*Selection
	for _, s := range rows.sites {
		u, err := s.Units(m, rows.o.Rule)
		if err != nil {
			t.Fatal(err)
		}
		selected = append(selected, u)
	}
	region, some := ref.region(selected, code)
	if !some {
		region = -1
	}
	return sites, region
}

// Two channels over 2 x 4 pixels and, pooled, over 1 x 2, by hand. In the left half
// channel 0 is set at all four positions and channel 1 at one, so the reference is 1, 0;
// in its upper row channel 1 is set at half of them, so it is 1, 1.
func TestAgreementByHand(t *testing.T) {
	pool := []*onnx.Attr{list("kernel_shape", 2, 2), list("strides", 2, 2)}
	m := func() *onnx.Model {
		return built([]int{2, 2, 4}, nil, node("Relu", "r", nil, "x"), node("AveragePool", "p", pool, "r"), node("Relu", "y", nil, "p"))
	}
	code := []byte{0b1100_1100, 0b1010_0010, 0b10_00_0000}
	rows, ref, g := compared(t, m(), Box{0, 0, 2, 2}, code, Nominal)
	sites, left := agreements(t, rows, ref, g, Box{0, 0, 2, 2}, code)
	_, right := agreements(t, rows, ref, g, Box{2, 0, 4, 2}, code)
	if want := [][]float64{{0.5, 1, 0, 0.5, 1, 1, 0, 0.5}, {1, 0.5}}; !reflect.DeepEqual(sites, want) {
		t.Errorf("positions agree %v, want %v", sites, want)
	}
	if left != (0.875+1)/2 || right != (0.25+0.5)/2 {
		t.Errorf("the left half agrees %v and the right %v", left, right)
	}
	rows, ref, g = compared(t, m(), Box{0, 0, 2, 1}, code, Nominal)
	if sites, _ := agreements(t, rows, ref, g, Box{0, 0, 2, 1}, code); !slices.Equal(sites[0], []float64{1, 0.5, 0.5, 0, 0.5, 0.5, 0.5, 0}) {
		t.Errorf("positions agree %v with a bit set at half", sites[0])
	}
	// Of one pixel no pooled position's field lies inside: that site is left out.
	rows, ref, g = compared(t, m(), Box{0, 0, 1, 1}, code, All)
	if sites, own := agreements(t, rows, ref, g, Box{0, 0, 1, 1}, code); len(ref.Left) != 1 || len(sites) != 1 || own != 1 {
		t.Errorf("left out %v; %d sites; %v", ref.Left, len(sites), own)
	}
	if _, err := rows.refer(&Place{ID: "a#1", Region: Region{Box: Box{4, 0, 9, 2}}}, g, code); err == nil || !strings.Contains(err.Error(), "a#1: region \"\": it lies outside") {
		t.Error(err)
	}
}

// Each knot of a channel counts: of Clip(0, 6) two.
func TestAgreementOfKnots(t *testing.T) {
	bounds := map[string]*tensor.Tensor{"lo": tensor.Of([]float32{0}), "hi": tensor.Of([]float32{6})}
	code := []byte{0b11_10_0000} // both above 0, the first above 6
	rows, ref, g := compared(t, built([]int{1, 1, 2}, bounds, node("Clip", "y", nil, "x", "lo", "hi")), Box{0, 0, 1, 1}, code, Nominal)
	if sites, _ := agreements(t, rows, ref, g, Box{0, 0, 1, 1}, code); !slices.Equal(sites[0], []float64{1, 0.5}) {
		t.Errorf("positions agree %v", sites)
	}
}

// On the shipped networks, convolutions and tokens: a region of one position agrees with
// itself by 1; a position as the region of it alone; and the picture whose positions all
// are as the reference has its channel code in every region.
func TestAgreementOfShippedModels(t *testing.T) {
	for _, file := range []string{"resnet_basic_dynamo", "cnn_torchscript", "vit_dynamo", "region/internvit_rms_dynamo", "region/dinov2_registers_dynamo"} {
		t.Run(file, func(t *testing.T) {
			m, err := onnx.Load(filepath.Join("..", "..", "testdata", "models", file+".onnx"))
			if err != nil {
				t.Skip(err)
			}
			rows, ref, g := compared(t, m, Box{0, 0, 1, 1}, nil, Nominal)
			sites, own := agreements(t, rows, ref, g, Box{0, 0, 1, 1}, ref.Code)
			if own != 1 {
				t.Errorf("one position agrees with itself by %v", own)
			}
			for i, s := range ref.sites {
				for at, got := range sites[i] {
					one := newMask(s.H, s.W)
					one.Set(at/s.W, at%s.W)
					sel := s.Select(one)
					if want := 1 - float64(sel.Differ(ref.Code[s.offset:s.offset+s.bytes], s.code))/float64(sel.Size()); math.Abs(got-want) > 1e-15 {
						t.Errorf("%s: position %d agrees by %v, as a region by %v", s.Site, at, got, want)
					}
					if at == 0 {
						want := sel.ChannelCode(nil, ref.Code[s.offset:s.offset+s.bytes], 0.5)
						if have := s.Select(s.everywhere()).ChannelCode(nil, s.code, 1); !slices.Equal(have, want) {
							t.Errorf("%s: the channels everywhere are %x, want %x", s.Site, have, want)
						}
					}
				}
			}
		})
	}
}

// Rows have the column where they are compared; rows without a region, no agreement.
func TestRowsOfAgreement(t *testing.T) {
	x := newTrial(t)
	to := &table{}
	rows := x.sink(t, to)
	var err error
	if rows.agree, err = rows.refer(&Place{ID: "p5#all", Region: Region{Box: Box{0, 0, 1, 1}}}, x.geometry, x.code[5]); err != nil {
		t.Fatal(err)
	}
	x.write(t, rows, 6)
	for _, r := range to.rows {
		if got := r["agreement"]; r["status"] == "error" && got != nil || r["status"] == "ok" && !(got.(float64) > 0 && got.(float64) < 1) {
			t.Errorf("%v, %v: agreement %v", r["id"], r["status"], got)
		}
	}
	if plain, _ := x.run(t, 6); slices.ContainsFunc(plain.rows, func(r map[string]any) bool { _, has := r["agreement"]; return has }) {
		t.Error("rows that are compared with nothing have an agreement")
	}
}
