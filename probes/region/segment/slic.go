package segment

import (
	"fmt"
	"image"
	"math"
)

// SLICOptions say how SLIC divides a picture. The zero value of a field is its default.
type SLICOptions struct {
	// Segments is about how many super-pixels there shall be; 0 is 100.
	Segments int `json:"segments"`
	// Compactness weighs distance in the picture against that of colours (in CIELAB);
	// 0 is 10, as the paper has it.
	Compactness float64 `json:"compactness"`
	// Iterations is how often centres move; 0 is 10.
	Iterations int `json:"iterations"`
}

// maxSLIC bounds a picture's pixels: 20 bytes are taken for each.
const maxSLIC = 1 << 26

func (o SLICOptions) withDefaults(h, w int) (SLICOptions, error) {
	if o.Segments == 0 {
		o.Segments = 100
	}
	if o.Compactness == 0 {
		o.Compactness = 10
	}
	if o.Iterations == 0 {
		o.Iterations = 10
	}
	if h < 1 || w < 1 || h > maxSLIC/w {
		return o, fmt.Errorf("super-pixels of a picture of %d x %d (height x width): want positive edges and at most %d pixels", h, w, maxSLIC)
	}
	if o.Segments < 1 || o.Segments > h*w || !(o.Compactness > 0 && o.Compactness <= 1e6) || o.Iterations < 1 || o.Iterations > 1000 {
		return o, fmt.Errorf("super-pixels: got %d segments, compactness %g and %d iterations; want 1 to %d, more "+
			"than 0, and 1 to 1000", o.Segments, o.Compactness, o.Iterations, h*w)
	}
	return o, nil
}

// centre is the mean colour and place of a super-pixel.
type centre struct{ l, a, b, x, y float64 }

// SLIC divides a picture into connected super-pixels of similar colour, numbered from 0
// in the order of their first pixels (Achanta et al., SLIC Superpixels Compared to
// State-of-the-art Superpixel Methods, TPAMI 2012): k-means in CIELAB and place, each
// centre looking at the pixels within one grid step; then parts that are not connected
// and are smaller than a quarter of a grid cell join a neighbour. Centres start on a
// regular grid and are not moved off edges.
func SLIC(m image.Image, o SLICOptions) (*Labels, error) {
	b := m.Bounds()
	o, err := o.withDefaults(b.Dy(), b.Dx())
	if err != nil {
		return nil, err
	}
	labels, err := NewLabels(b.Dy(), b.Dx())
	if err != nil {
		return nil, err
	}
	s := &slic{Labels: labels, lab: labOf(m), near: make([]float32, len(labels.Of))}
	s.grid(o.Segments)
	for range o.Iterations {
		s.assign(o.Compactness)
		s.move()
	}
	return s.connect(int(s.step * s.step / 4)), nil
}

type slic struct {
	*Labels
	lab     [][3]float32
	near    []float32 // distance to the centre that a pixel belongs to
	step    float64
	centres []centre
}

func (s *slic) grid(n int) {
	s.step = math.Sqrt(float64(s.H) * float64(s.W) / float64(n))
	rows, cols := max(int(math.Round(float64(s.H)/s.step)), 1), max(int(math.Round(float64(s.W)/s.step)), 1)
	for r := range rows {
		for c := range cols {
			x, y := (float64(c)+.5)*float64(s.W)/float64(cols), (float64(r)+.5)*float64(s.H)/float64(rows)
			p := s.lab[int(y)*s.W+int(x)]
			s.centres = append(s.centres, centre{float64(p[0]), float64(p[1]), float64(p[2]), x, y})
		}
	}
}

// assign gives each pixel the nearest centre among those within a step.
func (s *slic) assign(compactness float64) {
	for i := range s.near {
		s.near[i] = math.MaxFloat32
	}
	spread := compactness * compactness / (s.step * s.step)
	reach := math.Ceil(s.step * 1.25) // cells of a grid that does not divide the picture are longer
	for k, c := range s.centres {
		for y := max(int(c.y-reach), 0); y < min(int(c.y+reach)+1, s.H); y++ {
			for x := max(int(c.x-reach), 0); x < min(int(c.x+reach)+1, s.W); x++ {
				i := y*s.W + x
				p := s.lab[i]
				dl, da, db := float64(p[0])-c.l, float64(p[1])-c.a, float64(p[2])-c.b
				dx, dy := float64(x)+.5-c.x, float64(y)+.5-c.y
				if d := float32(dl*dl + da*da + db*db + spread*(dx*dx+dy*dy)); d < s.near[i] {
					s.near[i], s.Of[i] = d, int32(k)
				}
			}
		}
	}
}

func (s *slic) move() {
	sums, counts := make([]centre, len(s.centres)), make([]float64, len(s.centres))
	for i, k := range s.Of {
		p, c := s.lab[i], &sums[k]
		c.l, c.a, c.b = c.l+float64(p[0]), c.a+float64(p[1]), c.b+float64(p[2])
		c.x, c.y = c.x+float64(i%s.W)+.5, c.y+float64(i/s.W)+.5
		counts[k]++
	}
	for k, c := range sums {
		if n := counts[k]; n > 0 {
			s.centres[k] = centre{c.l / n, c.a / n, c.b / n, c.x / n, c.y / n}
		}
	}
}

// connect numbers the connected parts of the labels anew; one of fewer than least
// pixels joins the part to the left of or above its first pixel.
func (s *slic) connect(least int) *Labels {
	out := &Labels{s.H, s.W, make([]int32, len(s.Of))}
	for i := range out.Of {
		out.Of[i] = -1
	}
	next := int32(0)
	var part []int
	for i := range s.Of {
		if out.Of[i] >= 0 {
			continue
		}
		part = flood(s.Labels, i, out.Of, next, part[:0])
		if join := before(out, i); len(part) < least && join >= 0 {
			for _, j := range part {
				out.Of[j] = join
			}
			continue
		}
		next++
	}
	return out
}

// before is the number of the part to the left of a pixel or above it, -1 for none.
func before(l *Labels, i int) int32 {
	if i%l.W > 0 {
		return l.Of[i-1]
	}
	if i >= l.W {
		return l.Of[i-l.W]
	}
	return -1
}

// flood numbers the pixels that are connected to one (4 neighbours) and have its label.
func flood(l *Labels, from int, out []int32, number int32, part []int) []int {
	out[from] = number
	part = append(part, from)
	for at := 0; at < len(part); at++ {
		i := part[at]
		x, y := i%l.W, i/l.W
		visit := func(j int) {
			if out[j] < 0 && l.Of[j] == l.Of[from] {
				out[j] = number
				part = append(part, j)
			}
		}
		if x > 0 {
			visit(i - 1)
		}
		if x+1 < l.W {
			visit(i + 1)
		}
		if y > 0 {
			visit(i - l.W)
		}
		if y+1 < l.H {
			visit(i + l.W)
		}
	}
	return part
}
