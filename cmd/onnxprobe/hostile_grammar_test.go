package main

import (
	_ "embed"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// schemas are the attributes of every operator; see testdata/export/schemas.py.
//
//go:embed testdata/schemas.txt
var schemas string

// signatures are the inputs and attributes with which operators run.
//
//go:embed testdata/signatures.txt
var signatures string

// schema is what a line of schemas says of an operator.
type schema struct {
	opset   int64
	outputs int
	attrs   [][2]string // names and types
}

// signature is a line of signatures, for one of its operators.
type signature struct {
	inputs, attrs []string
	gives         string // what comes out, "" for what goes in
	outputs       int    // how many, 0 for what the schema says
}

// operatorTables are the two files by operator.
func operatorTables() (map[string]schema, map[string][]signature) {
	as := map[string]schema{}
	for line := range strings.Lines(schemas) {
		w := strings.Fields(line)
		s := schema{}
		s.opset, _ = strconv.ParseInt(w[1], 10, 64)
		s.outputs, _ = strconv.Atoi(w[2])
		for _, a := range w[3:] {
			name, kind, _ := strings.Cut(a, ":")
			s.attrs = append(s.attrs, [2]string{name, kind})
		}
		as[w[0]] = s
	}
	used := map[string][]signature{}
	for line := range strings.Lines(signatures) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		parts := strings.Split(line, "|")
		s := signature{inputs: strings.Fields(parts[1])}
		for _, a := range strings.Fields(parts[2]) {
			to, ok := strings.CutPrefix(a, ">")
			switch n, err := strconv.Atoi(to); {
			case !ok:
				s.attrs = append(s.attrs, a)
			case err == nil:
				s.outputs = n
			default:
				s.gives = to
			}
		}
		for _, op := range strings.Fields(parts[0]) {
			used[op] = append(used[op], s)
		}
	}
	return as, used
}

// grammar makes one hostile model: an operator in a form that runs, which some of the
// productions then spoil.
type grammar struct {
	*rand.Rand
	schema schema
	model  roughModel
	chief  *roughNode
	said   []string // what was done to it
	did    []int    // by which productions
	names  int
}

// letters are the types in signatures.
var letters = map[byte]tensor.DType{'f': tensor.Float32, 'd': tensor.Float64, 'h': tensor.Float16, 'i': tensor.Int64, 'j': tensor.Int32,
	'u': tensor.Uint8, 's': tensor.Int8, 'w': tensor.Int16, 'b': tensor.Bool, 't': tensor.String}

// hostileModel is the model of a number.
func hostileModel(number int, as map[string]schema, used map[string][]signature) *grammar {
	op := onnx.Operators[number%len(onnx.Operators)].Name
	g := &grammar{Rand: rand.New(rand.NewPCG(uint64(number), 18)), schema: as[op]}
	g.say("model %d, %s", number, op)
	g.build(op, used[op][g.IntN(len(used[op]))])
	turn := number / len(onnx.Operators)
	times := []int{0, 1, 1, 1, 1, 2, 2, 3}[g.IntN(8)]
	if n := len(g.schema.attrs); n > 0 && turn%2 == 0 { // its attributes in turn
		g.atBorder(g.schema.attrs[turn/2%n])
		times /= 2
	}
	for range times {
		for done := false; !done; {
			i := g.IntN(len(productions))
			if done = productions[i](g); done {
				g.did = append(g.did, i)
			}
		}
	}
	return g
}

// String says what is hostile about it.
func (g *grammar) String() string { return strings.Join(g.said, ", ") }

func (g *grammar) name() string {
	g.names++
	return fmt.Sprint("v", g.names)
}

func (g *grammar) say(format string, args ...any) {
	g.said = append(g.said, fmt.Sprintf(format, args...))
}

func (g *grammar) oneIn(n int) bool { return g.IntN(n) == 0 }

// node adds a node with one output, and names that. An attribute is a name and a value.
func (g *grammar) node(op string, in []string, attrs ...any) string {
	n := apply(op, in, g.name(), attrs...)
	g.model.graph.nodes = append(g.model.graph.nodes, n)
	return n.out[0]
}

// apply is a node of ONNX's own domain.
func apply(op string, in []string, out string, attrs ...any) *roughNode {
	n := &roughNode{op: op, in: in, out: []string{out}}
	for i := 0; i < len(attrs); i += 2 {
		n.attrs = append(n.attrs, &roughAttr{name: attrs[i].(string), value: attrs[i+1]})
	}
	return n
}

// constant adds a constant, and names it.
func (g *grammar) constant(t *roughTensor) string {
	t.name = g.name()
	g.model.graph.constants = append(g.model.graph.constants, t)
	return t.name
}

func int64s(v ...int64) *roughTensor {
	return &roughTensor{d: tensor.Int64, dims: []int64{int64(len(v))}, ints: v}
}

func integer(v int64) *roughTensor { return &roughTensor{d: tensor.Int64, ints: []int64{v}} }

// build makes x -> operator -> Relu -> y with the operator in a form that runs.
func (g *grammar) build(op string, s signature) {
	m := &g.model
	at := strings.LastIndex(op, ".")
	g.chief = &roughNode{op: op[at+1:], domain: op[:max(at, 0)]}
	m.ir, m.opsets = 10, []onnx.Opset{{Version: 17 + 4*g.Int64N(2)}, {Domain: "com.microsoft", Version: 1}, {Domain: "local", Version: 1}}
	if at < 0 {
		m.opsets[0].Version = g.schema.opset
	} else if g.chief.domain != "com.microsoft" {
		m.opsets = append(m.opsets, onnx.Opset{Domain: g.chief.domain, Version: g.schema.opset})
	}
	dims := []any{"N", int64(4), int64(6)}
	for _, in := range s.inputs {
		if in[0] == 'x' || strings.HasPrefix(in, "map") {
			dims = nil
			_, shape := parsed(in[strings.IndexByte(in, '['):])
			for _, n := range shape {
				dims = append(dims, n)
			}
			if shape[0] == 2 && g.oneIn(2) {
				dims[0] = "N"
			}
			break
		}
	}
	m.graph.inputs = []*roughPort{{"x", tensor.Float32, dims}}
	x := "x"
	if g.oneIn(3) {
		x = g.node("Relu", []string{x})
	}
	for _, in := range s.inputs {
		g.chief.in = append(g.chief.in, g.input(in, x))
	}
	kinds := map[string]string{}
	for _, a := range g.schema.attrs {
		kinds[a[0]] = a[1]
	}
	for _, a := range s.attrs {
		name, v, _ := strings.Cut(a, "=")
		if kinds[name] != "" {
			g.chief.attrs = append(g.chief.attrs, &roughAttr{name: name, value: value(kinds[name], v)})
		}
	}
	for range max(1, s.outputs, g.schema.outputs) {
		g.chief.out = append(g.chief.out, g.name())
	}
	m.graph.nodes = append(m.graph.nodes, g.chief)
	m.graph.outputs = []*roughPort{{"y", tensor.Float32, nil}}
	if slices.Contains([]string{"If", "Loop", "Scan", "SequenceMap"}, op) {
		g.body(x)
	}
	y := g.chief.out[0]
	switch s.gives {
	case "seq":
		y = g.node("SequenceAt", []string{y, g.constant(integer(0))})
	case "opt":
		y = g.node("OptionalGetElement", []string{y})
	case "t":
		y = g.node("Shape", []string{y})
	case "map":
		y = x
	}
	if s.gives != "" || g.oneIn(4) {
		y = g.node("Cast", []string{y}, "to", int64(tensor.Float32))
	}
	m.graph.nodes = append(m.graph.nodes, apply("Relu", []string{y}, "y"))
}

// parsed is the type and shape of an input of a signature.
func parsed(in string) (d tensor.DType, shape []int64) {
	d = tensor.Float32
	if in[0] != '[' {
		d, in = letters[in[0]], in[1:]
	}
	return d, value("INTS", strings.Trim(in, "[]")).([]int64)
}

// input makes an input of the operator, by its signature.
func (g *grammar) input(in, x string) string {
	switch {
	case in == "-":
		return ""
	case in == "seq":
		return g.node("SequenceConstruct", []string{x, x})
	case in == "opt":
		return g.node("Optional", []string{x})
	case strings.HasPrefix(in, "map"):
		g.model.opsets = append(g.model.opsets, onnx.Opset{Domain: "ai.onnx.ml", Version: 1})
		y := g.node("ZipMap", []string{x}, "classlabels_int64s", []int64{0, 1})
		g.model.graph.nodes[len(g.model.graph.nodes)-1].domain = "ai.onnx.ml"
		return y
	case in[0] == 'x':
		if d, _ := parsed(in[1:]); d != tensor.Float32 {
			return g.node("Cast", []string{x}, "to", int64(d))
		}
		return x
	}
	t := &roughTensor{d: letters[in[0]]}
	switch list := in[2:]; {
	case in[1] == '[':
		_, t.dims = parsed(in)
		n := int64(1)
		for _, d := range t.dims {
			n *= d
		}
		for range n {
			if t.d.IsFloat() {
				t.floats = append(t.floats, 2*g.Float64()-1)
			} else {
				t.ints = append(t.ints, g.Int64N(2))
			}
		}
	case t.d == tensor.String:
		t.strings = strings.Split(list, ",")
		t.dims = []int64{int64(len(t.strings))}
	default:
		if t.d.IsFloat() {
			t.floats = value("FLOATS", list).([]float64)
		} else {
			t.ints = value("INTS", list).([]int64)
		}
		if in[1] == '=' {
			t.dims = []int64{int64(len(t.floats) + len(t.ints))}
		}
	}
	return g.constant(t)
}

// value reads an attribute's value.
func value(kind, text string) any {
	list := strings.Split(text, ",")
	var is []int64
	var fs []float64
	for _, s := range list {
		i, _ := strconv.ParseInt(s, 10, 64)
		f, _ := strconv.ParseFloat(s, 64)
		is, fs = append(is, i), append(fs, f)
	}
	switch kind {
	case "INT":
		return is[0]
	case "INTS":
		return is
	case "FLOAT":
		return fs[0]
	case "FLOATS":
		return fs
	case "STRINGS":
		return list
	case "TENSOR":
		switch text {
		case "U":
			return &roughTensor{d: tensor.Uint8, dims: []int64{1}, ints: []int64{0}}
		case "T2":
			return &roughTensor{d: tensor.Float32, dims: []int64{2}, floats: []float64{1, 2}}
		}
		return &roughTensor{d: tensor.Float32, dims: []int64{1}, floats: []float64{1}}
	}
	return text
}
