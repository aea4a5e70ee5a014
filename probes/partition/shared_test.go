package partition

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

func load(t *testing.T, path string) *onnx.Model {
	t.Helper()
	m, err := onnx.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Two-level lattices are made of a few affine functions that are known: the map at
// any point is one of those that the manifest lists. Most boundaries of their code
// bend nothing.
func TestLatticesHaveTheirPieces(t *testing.T) {
	root := enginetest.SharedData(t)
	for _, e := range engines {
		for _, name := range []string{"N=M=8_m=1_instance_0_0", "N=M=8_m=1_instance_0_1", "N=M=16_m=1_instance_1_0"} {
			t.Run(e.Name()+"/"+name, func(t *testing.T) {
				pieces, err := tensor.ReadNpyFile(filepath.Join(root, "ref/tll_"+name+".affine.npy"))
				if err != nil {
					t.Fatal(err)
				}
				known := tensor.Data[float64](pieces)
				mp := open(t, load(t, filepath.Join(root, "models/tll/tllBench_n=2_"+name+".onnx")), e, Options{})
				rng := rand.New(rand.NewPCG(0, 1))
				seen, flat, bent := map[int]bool{}, 0, 0
				for range 60 {
					x := []float64{4*rng.Float64() - 2, 4*rng.Float64() - 2}
					a := at(t, mp, x, Query{})
					got := []float64{a.Weight[0], a.Weight[1], a.Bias[0]}
					piece := -1
					for k := range pieces.Shape[0] {
						// The list is rounded to four places.
						if slices.EqualFunc(got, known[3*k:3*k+3], func(a, b float64) bool { return math.Abs(a-b) <= 0.51e-4 }) {
							piece = k
						}
					}
					if piece < 0 {
						t.Errorf("at %v the map is %v, none of the %d pieces", x, got, pieces.Shape[0])
					}
					seen[piece] = true
					if len(a.Bent) > 0 || len(a.Unwatched) > 0 || !a.Check.Exact || a.Check.Error > 1e-12 {
						t.Errorf("at %v: bent %q, unwatched %q, check %+v", x, a.Bent, a.Unwatched, a.Check)
					}
					for _, s := range a.Check.Sides {
						if s.Changed != 0 || s.Beyond != nil && s.Beyond.Crossed == 0 {
							t.Errorf("at %v: %+v, beyond %+v", x, s, s.Beyond)
						}
						if s.Beyond != nil && s.Beyond.Bend < 1e-9 {
							flat++
						} else if s.Beyond != nil {
							bent++
						}
					}
				}
				t.Logf("%d of %d pieces met; of the nearest boundaries %d bend the output and %d do not", len(seen), pieces.Shape[0], bent, flat)
				if len(seen) < 3 || flat < bent {
					t.Errorf("%d pieces met, %d boundaries bend, %d do not", len(seen), bent, flat)
				}
			})
		}
	}
}

// A trained classifier of the plane: rows of all classes, and the sentence that
// every boundary is where it is said to be.
func TestTrainedPlane(t *testing.T) {
	root := enginetest.SharedData(t)
	for _, e := range engines {
		if e.Name() == "textbook" {
			continue // it has no Flatten
		}
		mp := open(t, load(t, filepath.Join(root, "models/misc/lirpa_ood_2d.onnx")), e, Options{})
		rng := rand.New(rand.NewPCG(2, 3))
		for range 40 {
			a := at(t, mp, []float64{4*rng.Float64() - 2, 4*rng.Float64() - 2}, Query{All: true})
			if len(a.Rows) != 3 || !a.Check.Exact || a.Check.Error > 1e-12 {
				t.Errorf("%+v", a.Check)
			}
			for _, s := range a.Check.Sides {
				if s.Changed != 0 || s.Beyond != nil && s.Beyond.Crossed == 0 {
					t.Errorf("%+v, beyond %+v", s, s.Beyond)
				}
			}
		}
	}
}

// Networks that end in a sigmoid have a tangent, and it is named.
func TestTrainedNetworkThatIsNotPiecewiseLinear(t *testing.T) {
	root := enginetest.SharedData(t)
	for _, e := range engines {
		if e.Name() == "textbook" {
			continue
		}
		mp := open(t, load(t, filepath.Join(root, "models/misc/mnist_concat.onnx")), e, Options{})
		x := make([]float64, 792)
		rng := rand.New(rand.NewPCG(2, 3))
		for i := range x {
			x[i] = rng.Float64()
		}
		a := at(t, mp, x, Query{})
		if a.Check.Exact || len(a.Bent) != 1 || !strings.Contains(a.Bent[0], "Sigmoid") || len(a.Unwatched) > 0 {
			t.Errorf("bent %q, unwatched %q, %+v", a.Bent, a.Unwatched, a.Check)
		}
	}
}

// Trained networks of convolutions, transposed convolutions, poolings and sums of
// branches are exact too, in rows, boundaries and codes.
func TestTrainedConvolutions(t *testing.T) {
	root := enginetest.SharedData(t)
	for _, name := range []string{"misc/TinyYOLO", "misc/cGAN_imgSz32_nCh_1", "cifar10/ak_resnet20_op13"} {
		for _, e := range engines {
			if e.Name() == "textbook" {
				continue
			}
			t.Run(e.Name()+"/"+name, func(t *testing.T) {
				mp := open(t, load(t, filepath.Join(root, "models", name+".onnx")), e, Options{})
				exact(t, mp, 1)
			})
		}
	}
}

// exact looks at some random inputs of a piecewise-linear network.
func exact(t *testing.T, mp *Mapper, items int) {
	t.Helper()
	if len(mp.Bent) > 0 {
		t.Errorf("bent %q", mp.Bent)
	}
	rng := rand.New(rand.NewPCG(6, 7))
	x := make([]float64, tensor.Count(mp.Plan.Fit.Sample))
	for range items {
		for i := range x {
			x[i] = rng.Float64()
		}
		a := at(t, mp, x, Query{})
		if a.Check == nil || !a.Check.Exact || len(a.Check.Sides) != 2 {
			t.Fatalf("check %+v", a.Check)
		}
		for _, s := range a.Check.Sides {
			if s.Changed != 0 || s.Beyond == nil || s.Beyond.Crossed == 0 {
				t.Errorf("%+v, beyond %+v", s, s.Beyond)
			}
		}
		// The slope along the direction is the norm of the row.
		r, err := mp.push(t.Context(), x, a.Direction)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.df[a.Along]; math.Abs(got-a.Norm[0]) > 1e-9*a.Norm[0] {
			t.Errorf("pushed forward the slope is %g, pulled back %g", got, a.Norm[0])
		}
	}
}

// Every shipped network has a map, and it is exact where nothing but lines is on
// the way.
func TestShippedNetworks(t *testing.T) {
	files, err := filepath.Glob("../../testdata/models/*.onnx")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d models, %v", len(files), err)
	}
	for _, file := range files {
		for _, e := range engines {
			if e.Name() == "textbook" {
				continue
			}
			name := strings.TrimSuffix(filepath.Base(file), ".onnx")
			t.Run(e.Name()+"/"+name, func(t *testing.T) {
				mp := open(t, load(t, file), e, Options{})
				bent := ""
				for prefix, what := range map[string]string{"vit": "Gelu", "acts": "Gelu", "mobilenet": "HardSwish"} {
					if strings.HasPrefix(name, prefix) {
						bent = what
					}
				}
				if bent == "" {
					exact(t, mp, 3)
					return
				}
				if !strings.Contains(strings.Join(mp.Bent, " "), bent) {
					t.Errorf("bent %q, want a %s among them", mp.Bent, bent)
				}
				x := slices.Repeat([]float64{0.25}, tensor.Count(mp.Plan.Fit.Sample))
				for i := range x {
					x[i] += 0.01 * float64(i%7)
				}
				if a := at(t, mp, x, Query{}); a.Check != nil && a.Check.Exact {
					t.Errorf("check %+v", a.Check)
				}
			})
		}
	}
}
