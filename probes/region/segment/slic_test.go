package segment

import (
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// shapes is a picture of a disc, a bar and a ground of three colours with noise, and
// which of them each pixel is.
func shapes(w, h int) (*image.RGBA, *Labels) {
	rnd := rand.New(rand.NewPCG(1, 2))
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	of, _ := NewLabels(h, w)
	for y := range h {
		for x := range w {
			c, k := [3]int{90, 120, 200}, int32(0)
			if math.Hypot(float64(x-w/3), float64(y-h/2)) < float64(h)/4 {
				c, k = [3]int{210, 80, 60}, 1
			} else if x > 2*w/3 && x < 2*w/3+w/8 {
				c, k = [3]int{60, 160, 70}, 2
			}
			n := rnd.IntN(21) - 10
			m.SetRGBA(x, y, color.RGBA{uint8(c[0] + n), uint8(c[1] + n), uint8(c[2] + n), 255})
			of.Of[y*w+x] = k
		}
	}
	return m, of
}

// recall is the share of the true borders that have a super-pixel's within 2 pixels.
func recall(truth, super *Labels) float64 {
	border := func(l *Labels, x, y int) bool {
		i := y*l.W + x
		return x+1 < l.W && l.Of[i] != l.Of[i+1] || y+1 < l.H && l.Of[i] != l.Of[i+l.W]
	}
	all, hit := 0, 0
	for y := range truth.H {
		for x := range truth.W {
			if !border(truth, x, y) {
				continue
			}
			all++
			near := false
			for v := max(y-2, 0); v <= min(y+2, truth.H-1); v++ {
				for u := max(x-2, 0); u <= min(x+2, truth.W-1); u++ {
					near = near || border(super, u, v)
				}
			}
			if near {
				hit++
			}
		}
	}
	return float64(hit) / float64(all)
}

// spread is the root mean square distance of pixels from the middle of their part.
func spread(l *Labels) float64 {
	type sum struct{ n, x, y, xx float64 }
	sums := map[int32]sum{}
	for i, k := range l.Of {
		x, y, s := float64(i%l.W), float64(i/l.W), sums[k]
		sums[k] = sum{s.n + 1, s.x + x, s.y + y, s.xx + x*x + y*y}
	}
	total := 0.0
	for _, s := range sums {
		total += s.xx - (s.x*s.x+s.y*s.y)/s.n
	}
	return math.Sqrt(total / float64(len(l.Of)))
}

func TestSLIC(t *testing.T) {
	m, truth := shapes(150, 110)
	super, err := SLIC(m, SLICOptions{Segments: 80})
	if err != nil {
		t.Fatal(err)
	}
	if got := recall(truth, super); got < 0.97 {
		t.Errorf("the boundary recall is %.3f, want 0.97: scikit-image's slic of this kind of picture has 1", got)
	}
	n := int(slices.Max(super.Of)) + 1
	if n < 50 || n > 120 {
		t.Errorf("%d super-pixels were made, want about 80", n)
	}
	// Connected: flooding each pixel's part counts as many parts as there are labels.
	out := make([]int32, len(super.Of))
	for i := range out {
		out[i] = -1
	}
	parts := 0
	for i := range out {
		if out[i] < 0 {
			flood(super, i, out, int32(parts), nil)
			parts++
		}
	}
	if parts != n {
		t.Errorf("%d super-pixels are %d connected parts", n, parts)
	}
	// With little weight on place, noise tears parts off, which join a neighbour.
	torn, err := SLIC(m, SLICOptions{Segments: 80, Compactness: 2})
	if err != nil {
		t.Fatal(err)
	}
	for k, e := range torn.extents() {
		if k != 0 && e.count < 150*110/80/4 {
			t.Errorf("super-pixel %d has %d pixels", k, e.count)
		}
	}
	once, _ := SLIC(m, SLICOptions{Segments: 80, Iterations: 1})
	if a, b := spread(super), spread(once); a > 0.97*b {
		t.Errorf("after ten steps pixels are %.3f from their centres, after one %.3f", a, b)
	}
	again, _ := SLIC(m, SLICOptions{Segments: 80})
	if !slices.Equal(super.Of, again.Of) {
		t.Error("a second run gives other super-pixels")
	}
}

func TestSLICRefuses(t *testing.T) {
	m, _ := shapes(8, 6)
	for _, o := range []SLICOptions{{Segments: -1}, {Segments: 49}, {Compactness: math.NaN()}, {Iterations: 1001}} {
		if _, err := SLIC(m, o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	if _, err := SLIC(image.NewGray(image.Rect(0, 0, 0, 0)), SLICOptions{}); err == nil {
		t.Error("an empty picture was taken")
	}
	if got, err := SLIC(image.NewGray(image.Rect(3, 3, 4, 4)), SLICOptions{Segments: 1}); err != nil || len(got.Of) != 1 || got.Of[0] != 0 {
		t.Errorf("one pixel gives %v (%v)", got, err)
	}
}

// Lab of the primaries, as skimage.color.rgb2lab has it.
func TestLab(t *testing.T) {
	for _, c := range []struct{ rgb, want [3]float64 }{
		{[3]float64{1, 1, 1}, [3]float64{100, 0, 0}},
		{[3]float64{0, 0, 0}, [3]float64{0, 0, 0}},
		{[3]float64{1, 0, 0}, [3]float64{53.24, 80.09, 67.20}},
		{[3]float64{0, 0, 1}, [3]float64{32.30, 79.19, -107.86}},
	} {
		got := lab(c.rgb[0], c.rgb[1], c.rgb[2])
		for i, v := range got {
			if math.Abs(float64(v)-c.want[i]) > 0.02 {
				t.Errorf("Lab of %v is %v, want %v", c.rgb, got, c.want)
			}
		}
	}
}

func TestSmooth(t *testing.T) {
	super := &Labels{1, 6, []int32{4, 4, 4, 9, 9, 9}}
	labels := &Labels{1, 6, []int32{1, 2, 2, 3, 0, 5}} // three of one each
	got, err := SmoothLabels(labels, super)
	if want := []int32{2, 2, 2, 0, 0, 0}; err != nil || !slices.Equal(got.Of, want) {
		t.Errorf("labels become %v (%v), want %v", got, err, want)
	}
	// By the majority of pixels the first part is class 0, by mean probability 1.
	s, err := NewSmoothing(super, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range [][]float64{{.6, .4}, {.6, .4}, {0, 1}, {.5, .5}, {.5, .5}, {.5, .5}} {
		s.Add(i, p)
	}
	class := s.Classes()
	for i, want := range []int32{1, 1, 1, 0, 0, 0} {
		if got := class(i); got != want {
			t.Errorf("pixel %d is of class %d, want %d", i, got, want)
		}
	}
	if _, err := NewSmoothing(super, 0); err == nil {
		t.Error("no class was taken")
	}
	if _, err := SmoothLabels(&Labels{2, 3, make([]int32, 6)}, super); err == nil {
		t.Error("labels of another size were taken")
	}
}

func TestRegionsOfLabels(t *testing.T) {
	rs, err := (&Labels{2, 3, []int32{7, 7, 2, 7, 2, 2}}).Regions()
	if err != nil || len(rs) != 2 || rs[0].ID != "2" || rs[1].ID != "7" {
		t.Fatalf("got %+v (%v), want regions 2 and 7", rs, err)
	}
	r := rs[0]
	if r.Box.X0 != 1 || r.Box.Y0 != 0 || r.Box.X1 != 3 || r.Box.Y1 != 2 || r.Mask.Count() != 3 || !r.Mask.Has(0, 2) || r.Mask.Has(0, 1) {
		t.Errorf("region 2 is %+v with %d pixels", r.Box, r.Mask.Count())
	}
	many := &Labels{2048, 2048, make([]int32, 1<<22)}
	for i := range many.Of {
		many.Of[i] = int32(i >> 8)
	}
	if _, err := many.Regions(); err == nil {
		t.Error("masks of 8 GB were made")
	}
}
