package report

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
)

// Points of the plane come back, but for turning, mirroring and moving.
func TestScaleFindsThePlane(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const n = 60
	at := make([][2]float64, n)
	for i := range at {
		at[i] = [2]float64{rng.NormFloat64() * 3, rng.NormFloat64()}
	}
	d := mat.NewSymDense(n, nil)
	for i := range at {
		for j := i; j < n; j++ {
			d.SetSym(i, j, math.Pow(at[i][0]-at[j][0], 2)+math.Pow(at[i][1]-at[j][1], 2))
		}
	}
	x, y, share, err := planar(d)
	if err != nil {
		t.Fatal(err)
	}
	if s := share[0] + share[1]; math.Abs(s-1) > 1e-9 {
		t.Errorf("two coordinates hold %g of what lies in a plane", s)
	}
	for i := range n {
		for j := range n {
			got := math.Pow(x[i]-x[j], 2) + math.Pow(y[i]-y[j], 2)
			if math.Abs(got-d.At(i, j)) > 1e-7*(1+d.At(i, j)) {
				t.Fatalf("the distance of %d and %d is %g, want %g", i, j, got, d.At(i, j))
			}
		}
	}
}

// The map of Hamming distances is the principal component analysis of the bits: the
// shares are those of the covariance's eigenvalues, which gonum finds another way.
func TestScaleIsPrincipalComponents(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const n, bits = 90, 40
	set, err := encoding.NewCodes(bits / 8)
	if err != nil {
		t.Fatal(err)
	}
	data := mat.NewDense(n, bits, nil)
	for i := range n {
		code := make([]byte, bits/8)
		for b := range bits {
			if rng.Float64() < 0.2+0.6*float64((i/30+b/10)%3)/2 {
				code[b/8] |= 0x80 >> (b % 8)
				data.Set(i, b, 1)
			}
		}
		if err := set.Append(code); err != nil {
			t.Fatal(err)
		}
	}
	d, err := pairDistances(context.Background(), set, sampleOf(n, n, 0))
	if err != nil {
		t.Fatal(err)
	}
	for b := range bits {
		column := mat.Col(nil, b, data)
		mean := 0.0
		for _, v := range column {
			mean += v / n
		}
		for i := range column {
			data.Set(i, b, column[i]-mean)
		}
	}
	var svd mat.SVD
	if !svd.Factorize(data, mat.SVDThin) {
		t.Fatal("no decomposition")
	}
	s := svd.Values(nil)
	total := 0.0
	for _, v := range s {
		total += v * v
	}
	var left mat.Dense
	svd.UTo(&left)
	x, _, share, err := planar(d)
	if err != nil {
		t.Fatal(err)
	}
	for k := range 2 {
		if want := s[k] * s[k] / total; math.Abs(share[k]-want) > 1e-6 {
			t.Errorf("coordinate %d holds %g of the spread, want %g", k+1, share[k], want)
		}
	}
	sign := 1.0
	if x[0]*left.At(0, 0) < 0 {
		sign = -1
	}
	for i := range x {
		if math.Abs(x[i]-sign*left.At(i, 0)*s[0]) > 1e-3 {
			t.Fatalf("item %d lies at %g, want %g", i, x[i], sign*left.At(i, 0)*s[0])
		}
	}
}

func TestScaleOfLittle(t *testing.T) {
	if _, _, _, err := planar(&mat.SymDense{}); !errors.Is(err, ErrNoData) {
		t.Errorf("of nothing: %v", err)
	}
	for _, n := range []int{1, 2, 3} { // equal codes too
		x, y, _, err := planar(mat.NewSymDense(n, nil))
		if err != nil || len(x) != n || slices.Max(x) != 0 || slices.Min(y) != 0 {
			t.Errorf("of %d equal items: %v %v %v", n, x, y, err)
		}
	}
	if _, _, _, err := planar(mat.NewSymDense(2, []float64{0, math.NaN(), math.NaN(), 0})); err == nil {
		t.Error("NaN has a place")
	}
}

func TestSample(t *testing.T) {
	if got := sampleOf(3, 5, 1); !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("more than there are: %v", got)
	}
	a, b := sampleOf(1000, 50, 7), sampleOf(1000, 50, 7)
	if !slices.Equal(a, b) || slices.Equal(a, sampleOf(1000, 50, 8)) || len(slices.Compact(a)) != 50 || !slices.IsSorted(a) {
		t.Errorf("a sample of 50: %v, and again %v", a, b)
	}
	counts := make([]int, 10)
	for seed := range uint64(3000) {
		for _, r := range sampleOf(10, 3, seed) {
			counts[r]++
		}
	}
	for r, n := range counts {
		if n < 750 || n > 1050 { // 900 ± 6 standard deviations
			t.Errorf("row %d was drawn %d times of about 900", r, n)
		}
	}
}

func TestSplit(t *testing.T) {
	d := mat.NewSymDense(4, []float64{0, 1, 2, 3, 1, 0, 4, 5, 2, 4, 0, 6, 3, 5, 6, 0})
	within, between := splitByLabel(d, []string{"a", "b", "a", ""})
	if !slices.Equal(within, []float64{2}) || !slices.Equal(between, []float64{1, 4}) {
		t.Errorf("within %v, between %v", within, between)
	}
}
