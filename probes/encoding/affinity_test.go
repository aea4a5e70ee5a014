package encoding

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// groups are noisy copies of k random codes, with the number of the copied one.
func groups(t *testing.T, items, bytes, k, flips int) (*Codes, []int64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(5, 5))
	centres := make([][]byte, k)
	for i := range centres {
		centres[i] = make([]byte, bytes)
		for j := range centres[i] {
			centres[i][j] = byte(rng.Uint32())
		}
	}
	c, err := NewCodes(bytes)
	if err != nil {
		t.Fatal(err)
	}
	var labels []int64
	for i := range items {
		code := append([]byte{}, centres[i%k]...)
		for range flips {
			code[rng.IntN(bytes)] ^= 1 << rng.IntN(8)
		}
		_ = c.Append(code)
		labels = append(labels, int64(i%k))
	}
	return c, labels
}

func TestAffinityIsDoublyStochastic(t *testing.T) {
	c, labels := groups(t, 90, 16, 3, 20)
	k, err := gramOf(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	code := make([]byte, 16)
	for i := range 5 { // the products of the vectors themselves
		for j := range 5 {
			dot := 0.0
			c.At(code, i)
			a := string(code)
			c.At(code, j)
			for b := range 128 {
				dot += float64(2*int(a[b/8]>>(7-b%8)&1)-1) * float64(2*int(code[b/8]>>(7-b%8)&1)-1)
			}
			if math.Abs(k.At(i, j)-dot/128) > 1e-15 {
				t.Fatalf("the product of %d and %d is %v, want %v", i, j, k.At(i, j), dot/128)
			}
		}
	}
	for _, eta := range []float64{0.05, 0.175, 1} {
		g, err := affinity(t.Context(), k, eta)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 90 {
			row := 0.0
			for j := range 90 {
				row += g.At(i, j)
				if g.At(i, j) < 0 {
					t.Fatalf("a negative affinity of %d and %d", i, j)
				}
			}
			if math.Abs(row-1) > 1e-8 {
				t.Errorf("eta %g: row %d sums to %v", eta, i, row)
			}
		}
		of := clustersOf(t, g, 3)
		if m := matchedShare(of, numberedAll(labels)); m != 1 {
			t.Errorf("eta %g: %v of the items matched", eta, m)
		}
	}
	if _, err := affinity(t.Context(), k, 0); err == nil {
		t.Error("eta 0 gives no error")
	}
}

// The identities of the rates: with G = I the conditional rate is log(1 + d/eps2), with
// all of G equal it is the rate itself, and between them it never exceeds the rate.
func TestRateReduction(t *testing.T) {
	c, _ := groups(t, 40, 16, 4, 12)
	const eps2 = 0.1
	k, err := gramOf(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	n, d := 40, c.Bits
	one, same := mat.NewSymDense(n, nil), mat.NewSymDense(n, nil)
	for i := range n {
		one.SetSym(i, i, 1)
		for j := i; j < n; j++ {
			same.SetSym(i, j, 1/float64(n))
		}
	}
	rate, err := rateOf(k, d, eps2)
	if err != nil {
		t.Fatal(err)
	}
	conditional := func(g mat.Symmetric) float64 {
		v, err := conditionalRate(k, g, d, eps2)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if got, want := conditional(one), math.Log(1+float64(d)/eps2); math.Abs(got-want) > 1e-9 {
		t.Errorf("with the identity %v, want %v", got, want)
	}
	if got := conditional(same); math.Abs(got-rate) > 1e-9 {
		t.Errorf("with equal shares %v, want the rate %v", got, rate)
	}
	for _, eta := range []float64{0.1, 0.5, 5} {
		g, err := affinity(t.Context(), k, eta)
		if err != nil {
			t.Fatal(err)
		}
		if got := conditional(g); got > rate+1e-9 {
			t.Errorf("eta %g: a reduction of %v", eta, rate-got)
		}
	}
	// In the features' own space, by the other determinant.
	z := mat.NewDense(d, n, nil)
	code := make([]byte, c.width)
	for i := range n {
		c.At(code, i)
		for b := range d {
			z.Set(b, i, float64(2*int(code[b/8]>>(7-b%8)&1)-1)/math.Sqrt(float64(d)))
		}
	}
	var zz mat.Dense
	zz.Mul(z, z.T())
	zz.Scale(float64(d)/(float64(n)*eps2), &zz)
	for i := range d {
		zz.Set(i, i, zz.At(i, i)+1)
	}
	if want, _ := mat.LogDet(&zz); math.Abs(want-rate) > 1e-9 {
		t.Errorf("the rate is %v, want %v", rate, want)
	}
}

// The true number of groups has the least coding length.
func TestCodingLengthCountsClusters(t *testing.T) {
	c, labels := groups(t, 160, 4, 4, 0)
	k, err := gramOf(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	g, err := affinity(t.Context(), k, 0.1)
	if err != nil {
		t.Fatal(err)
	}
	best, least := 0, math.Inf(1)
	for clusters := 1; clusters <= 8; clusters++ {
		of := clustersOf(t, g, clusters)
		length, err := codingLength(k, of, c.Bits, 0.1)
		if err != nil {
			t.Fatal(err)
		}
		if length < least {
			best, least = clusters, length
		}
		if clusters == 4 && matchedShare(of, numberedAll(labels)) != 1 {
			t.Errorf("four clusters match %v", matchedShare(of, numberedAll(labels)))
		}
	}
	if best != 4 {
		t.Errorf("the coding length is least for %d clusters, want 4", best)
	}
}

// A kernel by hand: three items of eight bits.
func TestKernelScore(t *testing.T) {
	c, _ := NewCodes(1)
	for _, b := range []byte{0b00000000, 0b00000001, 0b11110000} {
		_ = c.Append([]byte{b})
	}
	// 8 7 4 / 7 8 3 / 4 3 8
	want := math.Log(8*(64-9) - 7*(56-12) + 4*(21-32))
	if got, err := kernelScore(t.Context(), c); err != nil || math.Abs(got-want) > 1e-12 {
		t.Errorf("%v %v, want %v", got, err, want)
	}
	_ = c.Append([]byte{0})
	if got, err := kernelScore(t.Context(), c); err != nil || !math.IsInf(got, -1) {
		t.Errorf("with equal codes %v %v, want -Inf", got, err)
	}
}

func TestChurn(t *testing.T) {
	set := func(ids string, codes ...byte) *Codes {
		c, _ := NewCodes(1)
		for i, b := range codes {
			_ = c.Append([]byte{b})
			c.ids.add(ids[i : i+1])
		}
		return c
	}
	got, err := Between(set("abcd", 0, 1, 3, 7), set("dcbx", 7, 0, 1, 9))
	if err != nil || got.Items != 3 || got.Moved != 1 || *got.Mean != 2./3 || *got.Fraction != 2./24 {
		t.Errorf("%+v %v, want 3 items, 1 of them moved, by 2 bits", got, err)
	}
	labelled := func(c *Codes, labels ...int64) *Codes { c.labels = labelsOf(labels...); return c }
	for _, b := range []*Codes{set("xy", 1, 2), set("aa", 1, 2), labelled(set("ab", 1, 2), 5, 7)} {
		if _, err := Between(labelled(set("ab", 1, 2), 5, 6), b); err == nil {
			t.Errorf("no error for %q", b.ids.bytes)
		}
	}
}

// clustersOf are k spectral clusters by an affinity.
func clustersOf(t *testing.T, g mat.Symmetric, k int) []int {
	t.Helper()
	v, err := eigenvectors(g)
	if err != nil {
		t.Fatal(err)
	}
	return spectral(v, k, 1)
}
