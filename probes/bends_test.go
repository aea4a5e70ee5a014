package probes

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// reading is what a bend's bits may be; see testdata/export/bends.py.
type reading struct {
	Kind   string   `json:"kind"`
	Smooth bool     `json:"smooth"`
	Shape  []int    `json:"shape"`
	Planes int      `json:"planes"`
	Bits   []string `json:"bits"`
}

type bend struct {
	reading
	Spelling string      `json:"spelling"`
	Module   string      `json:"module"`
	Op       string      `json:"op"`
	Watch    string      `json:"watch"`
	As       []site.Kind `json:"as"`
	Also     []reading   `json:"also"`
}

func (b bend) String() string { return fmt.Sprintf("%s (%s, %s)", b.Module, b.Op, b.Watch) }

type bendGroup struct {
	Name    string            `json:"name"`
	Input   string            `json:"input"`
	Files   map[string]string `json:"files"`
	Refused []struct{ Spelling, Exporter string }
	Bends   []bend `json:"bends"`
}

// Every bend that PyTorch's exporters write, in every spelling: a site with PyTorch's
// bits, or named; and no site besides.
func TestBendsOfExports(t *testing.T) {
	raw, err := os.ReadFile("../testdata/golden/bends.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Inputs map[string]json.RawMessage `json:"inputs"`
		Groups []bendGroup                `json:"groups"`
	}
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	for _, g := range golden.Groups {
		x := flatten(t, golden.Inputs[g.Input])
		for exporter, file := range g.Files {
			bends := slices.DeleteFunc(slices.Clone(g.Bends), func(b bend) bool {
				for _, r := range g.Refused {
					if r.Spelling == b.Spelling && r.Exporter == exporter {
						return true
					}
				}
				return false
			})
			t.Run(g.Name+"/"+exporter, func(t *testing.T) {
				m, err := onnx.Load("../testdata/models/" + file)
				if err != nil {
					t.Fatal(err)
				}
				p, err := Attach(m, AttachOptions{})
				var none *site.NoneError
				if errors.As(err, &none) {
					plain, err := rewrite.Plain(m)
					if err != nil {
						t.Fatal(err)
					}
					found, _ := site.Find(plain, site.Options{})
					hold(t, &Plan{Unwatched: found.Unwatched}, bends, nil)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				var codes [][]byte
				for _, b := range []engine.Backend{ort.Backend{}, gorgonia.Backend{}} {
					if b.Available(engine.Options{}) != nil {
						continue
					}
					r, err := p.Open(t.Context(), b, engine.Options{AllowRandom: true}, 1)
					if err != nil {
						if b.Name() == "gorgonia" { // which runs fewer operators
							t.Logf("gorgonia: %v", err)
							continue
						}
						t.Fatal(err)
					}
					codes = append(codes, codesOf(t, r, x, 3))
					r.Close()
				}
				for _, code := range codes {
					hold(t, p, bends, code)
				}
			})
		}
	}
}

// hold compares a network's sites with the bends that it should have, plane by plane:
// two clamps may be one site, a site of two planes two bends.
func hold(t *testing.T, p *Plan, bends []bend, codes []byte) {
	t.Helper()
	width := p.CodeBytes()
	type plane struct {
		site  string
		bits  string // of all items
		taken bool
	}
	under := map[string][]*plane{} // by the spelling
	offset := 0
	for i := range p.Sites {
		s := &p.Sites[i]
		spelling, _, _ := strings.Cut(s.Name, ".")
		for k := range s.Planes() {
			var bits []byte
			for item := range len(codes) / max(width, 1) {
				for u := range s.Units {
					bits = append(bits, '0')
					if Bit(codes[item*width+offset:], k*s.Units+u) {
						bits[len(bits)-1] = '1'
					}
				}
			}
			under[spelling] = append(under[spelling], &plane{fmt.Sprintf("%s (%s, knots %v, against %q, smooth %v, %v) plane %d", s.Name, s.Op, s.Knots, s.Against, s.Smooth, s.Shape, k), fmt.Sprint(s.Smooth, string(bits)), false})
		}
		offset += s.Bytes()
	}
	planes := func(r reading) (all []string) {
		units := tensor.Count(r.Shape)
		for k := range r.Planes {
			var bits []byte
			for _, item := range r.Bits {
				raw, err := hex.DecodeString(item)
				if err != nil {
					t.Fatal(err)
				}
				for u := range units {
					bits = append(bits, '0')
					if Bit(raw, k*units+u) {
						bits[len(bits)-1] = '1'
					}
				}
			}
			all = append(all, fmt.Sprint(r.Smooth, string(bits)))
		}
		return all
	}
	other := strings.NewReplacer("0", "1", "1", "0")
	find := func(b bend, r reading) bool {
		var found []*plane
		for _, want := range planes(r) {
			same := func(got *plane) bool {
				// A comparison of two values is the same boundary either way round.
				return got.bits == want || r.Kind == "tensor" && got.bits == other.Replace(want)
			}
			n := len(found)
			for _, s := range under[b.Spelling] {
				if same(s) { // and its doubles: Sign has two planes
					found = append(found, s)
				}
			}
			if len(found) == n {
				return false
			}
		}
		for _, s := range found {
			s.taken = true
		}
		return len(found) > 0
	}
	for _, b := range bends {
		if slices.Contains(b.As, site.KindBody) { // what the body is chosen by is a site
			for _, s := range under[b.Spelling] {
				s.taken = true
			}
		}
		watched := b.Watch != "named" && (find(b, b.reading) || slices.ContainsFunc(b.Also, func(r reading) bool { return find(b, r) }))
		named := slices.ContainsFunc(p.Unwatched, func(u site.Unwatched) bool {
			of := u.Module == b.Spelling || strings.HasPrefix(u.Module, b.Spelling+".")
			return of && (b.As == nil || slices.Contains(b.As, u.Kind))
		})
		// What may be a site may also be part of another.
		part := b.Watch == "either" && len(under[b.Spelling]) > 0
		if !watched && (b.Watch == "site" || !named && !part) {
			t.Errorf("%v is not found as it should be", b)
		}
	}
	for _, all := range under {
		for _, s := range all {
			if !s.taken {
				t.Errorf("%s is none of the bends, or has other bits", s.site)
			}
		}
	}
	if t.Failed() {
		for _, u := range p.Unwatched {
			t.Logf("unwatched: %s %s %s %s %s", u.Name, u.Module, u.Op, u.Kind, u.Reason)
		}
	}
}

// flatten is the numbers of nested lists, in order.
func flatten(t *testing.T, raw json.RawMessage) []float32 {
	var any any
	if err := json.Unmarshal(raw, &any); err != nil {
		t.Fatal(err)
	}
	var v []float32
	var walk func(x interface{})
	walk = func(x interface{}) {
		if l, ok := x.([]interface{}); ok {
			for _, e := range l {
				walk(e)
			}
			return
		}
		v = append(v, float32(x.(float64)))
	}
	walk(any)
	return v
}
