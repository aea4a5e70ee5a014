package region

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

func layouts(t *testing.T, file string, o probes.AttachOptions) (map[string]*Layout, *probes.Plan) {
	t.Helper()
	m, err := onnx.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	p, err := probes.Attach(m, o)
	if err != nil {
		t.Fatal(err)
	}
	ls, err := Map(m, &p.Fit, p.Sites)
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]*Layout{}
	for i := range ls {
		named[ls[i].Site] = &ls[i]
		if ls[i].Wide {
			t.Errorf("site %s: wide", ls[i].Site)
		}
	}
	return named, p
}

// place is what a layout is known to be by hand: a grid of stride-wide cells, and the
// edge of the field of the position in the middle, 0 where it is not looked at.
type place struct {
	site              string
	h, w, stride      int
	channels, special int
	global            bool
	field             int
}

// none is a site without positions.
func none(site string) place { return place{site: site} }

func hold(t *testing.T, ls map[string]*Layout, want []place) {
	t.Helper()
	for _, p := range want {
		l := ls[p.site]
		if l == nil {
			t.Errorf("no site %s", p.site)
			continue
		}
		if p.h == 0 {
			if l.Reason == "" {
				t.Errorf("site %s is spatial", p.site)
			}
			continue
		}
		if l.Reason != "" {
			t.Errorf("site %s: %s", p.site, l.Reason)
			continue
		}
		if got := (place{l.Site, l.H, l.W, p.stride, l.Channels, l.Special, l.Global, p.field}); got != p {
			t.Errorf("got %+v, want %+v", got, p)
		}
		for y := range l.H {
			for x := range l.W {
				if c, f := l.Cell(y, x), l.Field(y, x); c.Count() != p.stride*p.stride || !c.Has(y*p.stride, x*p.stride) || !c.Has((y+1)*p.stride-1, (x+1)*p.stride-1) {
					t.Errorf("site %s: the cell at %d,%d has %d pixels or does not begin at %d,%d", p.site, y, x, c.Count(), y*p.stride, x*p.stride)
				} else if p.field > 0 && y == l.H/2 && x == l.W/2 && f.Count() != p.field*p.field {
					t.Errorf("site %s: the field at %d,%d has %d pixels, want %d x %d", p.site, y, x, f.Count(), p.field, p.field)
				}
			}
		}
	}
}

// The shipped networks as worked out by hand, by both exporters.
func TestLayoutsOfShippedModels(t *testing.T) {
	resnet := []place{
		{"relu", 8, 8, 1, 8, 0, false, 3}, {"layer1.0.relu", 8, 8, 1, 8, 0, false, 5}, {"layer1.0.relu_1", 8, 8, 1, 8, 0, false, 7},
		{"layer2.0.relu", 4, 4, 2, 14, 0, false, 0}, {"layer3.0.relu_1", 2, 2, 4, 24, 0, false, 8},
	}
	cnn := []place{{"features.1", 8, 8, 1, 12, 0, false, 3}, {"features.2", 4, 4, 2, 12, 0, false, 4}, {"features.4", 4, 4, 2, 24, 0, false, 0},
		{"features.5", 2, 2, 4, 24, 0, false, 0}, none("classifier.2")}
	vit := []place{{"encoder.layers.encoder_layer_0.mlp.1", 4, 4, 2, 64, 1, true, 2}, {"encoder.layers.encoder_layer_1.mlp.1", 4, 4, 2, 64, 1, true, 2}}
	intern := []place{{"vision_model.encoder.layers.0.mlp.act", 4, 4, 8, 52, 1, true, 8}, {"mlp1.2", 2, 2, 16, 28, 0, true, 16}}
	registers := []place{{"dinov2_with_registers.encoder.layer.0.mlp.activation_fn", 4, 4, 8, 64, 3, true, 8}}
	for file, want := range map[string][]place{
		"resnet_basic_dynamo": resnet, "resnet_basic_torchscript": resnet, "resnet_basic_dynamo_fixed": resnet, "resnet_basic_torchscript_fixed": resnet,
		"cnn_dynamo": cnn, "cnn_torchscript": cnn, "cnn_torchscript_opset11": cnn, "mlp_dynamo": {none("relu1")},
		"vit_dynamo": vit, "vit_torchscript": vit, "vit_dynamo_fixed": vit, "vit_torchscript_fixed": vit,
		"region/internvit_layernorm_dynamo": intern, "region/internvit_layernorm_torchscript": intern,
		"region/internvit_rms_dynamo": intern, "region/internvit_rms_torchscript": intern, "region/dinov2_registers_dynamo": registers,
	} {
		t.Run(file, func(t *testing.T) {
			path := filepath.Join("..", "..", "testdata", "models", file+".onnx")
			if _, err := os.Stat(path); err != nil {
				t.Skip(err)
			}
			ls, _ := layouts(t, path, probes.AttachOptions{Sites: site.Options{MaxPool: true}})
			hold(t, ls, want)
		})
	}
}

// envTorchvision is a folder that testdata/export/torchvision_check.py wrote.
const envTorchvision = "ONNXPROBE_TORCHVISION"

func TestLayoutsOfTorchvision(t *testing.T) {
	dir := os.Getenv(envTorchvision)
	if dir == "" {
		t.Skipf("set %s to a folder that testdata/export/torchvision_check.py wrote", envTorchvision)
	}
	for name, want := range map[string][]place{
		// Fields by hand: 7; 11 after pooling (7 + 2*2); each 3 x 3 adds 2 x 4.
		"resnet18": {{"relu", 112, 112, 2, 64, 0, false, 7}, {"layer1.0.relu", 56, 56, 4, 64, 0, false, 19}, {"layer1.0.relu_1", 56, 56, 4, 64, 0, false, 27},
			{"layer2.0.relu", 28, 28, 8, 128, 0, false, 51}, {"layer3.0.relu", 14, 14, 16, 256, 0, false, 0}, {"layer4.1.relu_1", 7, 7, 32, 512, 0, false, 0}},
		"resnet50": {{"layer1.0.relu", 56, 56, 4, 64, 0, false, 11}, {"layer4.2.relu_2", 7, 7, 32, 2048, 0, false, 0}},
		"vit_b_16": {{"encoder.layers.encoder_layer_0.mlp.1", 14, 14, 16, 3072, 1, true, 16}, {"encoder.layers.encoder_layer_11.mlp.1", 14, 14, 16, 3072, 1, true, 16}},
		"vgg11":    {{"features.1", 224, 224, 1, 64, 0, false, 3}, none("classifier.1")},
		"densenet121": {{"features.relu0", 112, 112, 2, 64, 0, false, 7}, {"features.denseblock1.denselayer1.relu1", 56, 56, 4, 64, 0, false, 11},
			{"features.denseblock1.denselayer2.relu1", 56, 56, 4, 96, 0, false, 19}},
		"mobilenet_v2":       {{"features.0.2", 112, 112, 2, 32, 0, false, 3}, {"features.18.2", 7, 7, 32, 1280, 0, false, 0}},
		"mobilenet_v3_large": {{"features.0.2", 112, 112, 2, 16, 0, false, 3}, {"features.16.2", 7, 7, 32, 960, 0, true, 0}},
		"convnext_tiny":      {{"features.1.0.block.4", 56, 56, 4, 384, 0, false, 28}, {"features.7.2.block.4", 7, 7, 32, 3072, 0, false, 0}},
	} {
		for _, exporter := range []string{"dynamo", "torchscript"} {
			t.Run(name+"_"+exporter, func(t *testing.T) {
				ls, _ := layouts(t, filepath.Join(dir, name+"_"+exporter+".onnx"), probes.AttachOptions{})
				hold(t, ls, want)
			})
		}
	}
}

// built is a model of one float input and nodes, by hand.
func built(in []int, inits map[string]*tensor.Tensor, nodes ...*onnx.Node) *onnx.Model {
	shape := []onnx.Dim{{Size: -1, Param: "N"}}
	for _, d := range in {
		shape = append(shape, onnx.Dim{Size: int64(d)})
	}
	g := &onnx.Graph{Name: "built", Inputs: []*onnx.Value{onnx.NewValue("x", tensor.Float32, shape)}, Nodes: nodes}
	for name, w := range inits {
		g.Initializers = append(g.Initializers, onnx.NewTensor(name, w))
	}
	g.Outputs = []*onnx.Value{onnx.NewValue(nodes[len(nodes)-1].Outputs[0], tensor.Float32, nil)}
	return &onnx.Model{IR: 9, Opsets: []onnx.Opset{{Version: 19}}, Graph: g}
}

func node(op, out string, attrs []*onnx.Attr, in ...string) *onnx.Node {
	return &onnx.Node{Name: op + out, Op: op, Inputs: in, Outputs: []string{out}, Attrs: attrs}
}

func mapped(t *testing.T, m *onnx.Model) []Layout {
	t.Helper()
	p, err := probes.Attach(m, probes.AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ls, err := Map(m, &p.Fit, p.Sites)
	if err != nil {
		t.Fatal(err)
	}
	return ls
}

// An even kernel with holes misses its own cell: the nearest pixels that it reads
// stand for it.
func TestCellOfADilatedKernel(t *testing.T) {
	w := tensor.Of([]float32{1, 1}, 1, 1, 1, 2)
	ls := mapped(t, built([]int{1, 1, 9}, map[string]*tensor.Tensor{"w": w},
		node("Conv", "c", []*onnx.Attr{list("dilations", 1, 4), list("pads", 0, 2, 0, 2)}, "x", "w"), node("Relu", "y", nil, "c")))
	// Place 4 reads columns 2 and 6; its cell would be 4, as far from either.
	for x := range 9 {
		if got, want := ls[0].Field(0, 4).Has(0, x), x == 2 || x == 6; got != want {
			t.Errorf("column %d is in the field: %v", x, got)
		}
		if got, want := ls[0].Cell(0, 4).Has(0, x), x == 2 || x == 6; got != want {
			t.Errorf("column %d is in the cell: %v", x, got)
		}
	}
}

// Squeeze and excitation, normalisation over positions and operators that are not
// followed leave the main path's positions and say that there is more.
func TestGlobal(t *testing.T) {
	x := []int{4, 6, 6}
	se := []*onnx.Node{node("GlobalAveragePool", "p", nil, "x"), node("Relu", "r", nil, "p"), node("Mul", "m", nil, "x", "r"), node("Relu", "y", nil, "m")}
	norm := []*onnx.Node{node("InstanceNormalization", "n", nil, "x", "s", "s"), node("Relu", "y", nil, "n")}
	odd := []*onnx.Node{node("Einsum", "e", []*onnx.Attr{text("equation", "nchw->nchw")}, "x"), node("Add", "a", nil, "x", "e"), node("Relu", "y", nil, "a")}
	inits := map[string]*tensor.Tensor{"s": tensor.Of([]float32{1, 1, 1, 1}, 4)}
	for name, nodes := range map[string][]*onnx.Node{"se": se, "norm": norm, "einsum": odd} {
		ls := mapped(t, built(x, inits, nodes...))
		if l := ls[len(ls)-1]; l.Reason != "" || !l.Global || l.H != 6 || l.Field(2, 3).Count() != 1 {
			t.Errorf("%s: %+v", name, l.Reason)
		}
		if name == "se" && !strings.Contains(ls[0].Reason, "one position") {
			t.Errorf("the squeezed site: %q", ls[0].Reason)
		}
	}
	ls := mapped(t, built(x, nil, odd[0], node("Relu", "y", nil, "e")))
	if !strings.Contains(ls[0].Reason, "Einsum") {
		t.Errorf("after Einsum: %q", ls[0].Reason)
	}
}

func TestPositionsWantsTheInputsSize(t *testing.T) {
	ls := mapped(t, built([]int{1, 4, 4}, nil, node("Relu", "y", nil, "x")))
	if _, err := ls[0].Positions(newMask(5, 4), Nominal); err == nil || !strings.Contains(err.Error(), "5 x 4") {
		t.Error(err)
	}
	if _, err := Map(built([]int{7}, nil, node("Relu", "y", nil, "x")), &probes.Fit{Input: "x", Sample: []int{7}}, nil); err == nil {
		t.Error("a vector is a picture")
	}
	for _, r := range []Rule{Nominal, Any, All} {
		if got, err := ParseRule(r.String()); got != r || err != nil {
			t.Error(r, got, err)
		}
	}
	if _, err := ParseRule("most"); err == nil {
		t.Error("most is a rule")
	}
}
