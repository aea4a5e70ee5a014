package draw

import (
	"image"
	"image/color"
	"image/draw"
	"math"
	"strings"

	scaling "golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"github.com/onnxprobe/onnxprobe/probes/region"
)

// Found and Truth are the colors of regions that were found and of true ones.
var Found, Truth = color.RGBA{230, 30, 160, 255}, color.RGBA{0, 200, 80, 255}

// Regions is a picture with regions on it: their outlines in magenta with their numbers, and
// below them, in green, the outlines of the true regions, which may be nil.
func Regions(m image.Image, found, truth []region.Region) *image.RGBA {
	c := newCanvas(enlarged(rgba(m)))
	for _, r := range truth {
		c.outline(r, Truth)
	}
	for _, r := range found {
		c.outline(r, Found)
	}
	c.number(found)
	return c.RGBA
}

// Boxes is a picture with the boxes of regions in white and their numbers.
func Boxes(m *image.RGBA, rs []region.Region) *image.RGBA {
	c := newCanvas(enlarged(m))
	c.boxes(rs)
	c.number(rs)
	return c.RGBA
}

// Mark draws on a picture the boxes of regions in white and their numbers, where it has the
// room, and in magenta the outline of one of them, nil for none.
func Mark(m *image.RGBA, rs []region.Region, marked *region.Region) {
	c := newCanvas(m, 1)
	roomy := zoomOf(m.Bounds()) == 1
	if roomy {
		c.boxes(rs)
	}
	if marked != nil {
		c.outline(*marked, Found)
	}
	if roomy {
		c.number(rs)
	}
}

// canvas is a picture that regions are drawn on.
type canvas struct {
	*image.RGBA
	zoom   int    // dots for one of the picture's
	pen    int    // dots that a line is wide
	letter int    // dots for one of a letter's
	busy   []bool // where numbers are, in squares of letter dots
	across int    // squares
}

const (
	// least is the dots of an edge that numbers have room on, and most those that a picture is
	// made larger to.
	least, most = 104, 2000
	// On an edge of so many dots lines are two wide, and letters twice as large.
	thin, small = 400, 450
)

// zoomOf is how many times larger a picture has to be for numbers.
func zoomOf(b image.Rectangle) int {
	short, long := max(min(b.Dx(), b.Dy()), 1), max(b.Dx(), b.Dy(), 1)
	return max(min((least+short-1)/short, most/long), 1)
}

// enlarged is a picture so many times larger that numbers have room, and how many.
func enlarged(m *image.RGBA) (*image.RGBA, int) {
	b := m.Bounds()
	zoom := zoomOf(b)
	if zoom == 1 {
		return m, 1
	}
	out := image.NewRGBA(image.Rect(0, 0, b.Dx()*zoom, b.Dy()*zoom))
	scaling.NearestNeighbor.Scale(out, out.Bounds(), m, b, scaling.Src, nil)
	return out, zoom
}

func newCanvas(m *image.RGBA, zoom int) *canvas {
	b := m.Bounds()
	short := min(b.Dx(), b.Dy())
	c := &canvas{RGBA: m, zoom: zoom, pen: 1 + short/thin, letter: 1 + short/small}
	c.across = b.Dx()/c.letter + 1
	c.busy = make([]bool, c.across*(b.Dy()/c.letter+1))
	return c
}

// outline draws the edge of a region: of a mask its own, else the box's.
func (c *canvas) outline(r region.Region, in color.Color) {
	if r.Mask == nil {
		c.frame(r.Box, in)
		return
	}
	ink, z := image.NewUniform(in), c.zoom
	r.Mask.Each(func(y, x int) {
		dot := image.Rect(x*z, y*z, x*z+z, y*z+z)
		for _, edge := range []struct {
			y, x int
			line image.Rectangle
		}{
			{y - 1, x, image.Rect(dot.Min.X, dot.Min.Y, dot.Max.X, dot.Min.Y+c.pen)},
			{y + 1, x, image.Rect(dot.Min.X, dot.Max.Y-c.pen, dot.Max.X, dot.Max.Y)},
			{y, x - 1, image.Rect(dot.Min.X, dot.Min.Y, dot.Min.X+c.pen, dot.Max.Y)},
			{y, x + 1, image.Rect(dot.Max.X-c.pen, dot.Min.Y, dot.Max.X, dot.Max.Y)},
		} {
			if !r.Mask.Has(edge.y, edge.x) {
				draw.Draw(c, edge.line, ink, image.Point{}, draw.Src)
			}
		}
	})
}

// frame draws the edges of a box.
func (c *canvas) frame(b region.Box, in color.Color) {
	r, p := c.dots(b), c.pen
	for _, edge := range []image.Rectangle{
		image.Rect(r.Min.X, r.Min.Y, r.Max.X, r.Min.Y+p), image.Rect(r.Min.X, r.Max.Y-p, r.Max.X, r.Max.Y),
		image.Rect(r.Min.X, r.Min.Y, r.Min.X+p, r.Max.Y), image.Rect(r.Max.X-p, r.Min.Y, r.Max.X, r.Max.Y),
	} {
		draw.Draw(c, edge, image.NewUniform(in), image.Point{}, draw.Src)
	}
}

// boxes draws those of regions.
func (c *canvas) boxes(rs []region.Region) {
	for _, r := range rs {
		c.frame(r.Bounds(), color.White)
	}
}

// dots are those of a box within the canvas.
func (c *canvas) dots(b region.Box) image.Rectangle {
	in, z := c.Bounds(), float64(c.zoom)
	at := func(v float64, most int) int { return int(math.Min(math.Max(v*z, 0), float64(most))) }
	return image.Rect(at(b.X0, in.Dx()-1), at(b.Y0, in.Dy()-1), at(math.Ceil(b.X1), in.Dx()), at(math.Ceil(b.Y1), in.Dy()))
}

// number writes at each region its ID, as rows have it, and its label where that fits in.
func (c *canvas) number(rs []region.Region) {
	for _, r := range rs {
		box := c.dots(r.Bounds())
		if box.Empty() {
			continue
		}
		text := c.fitting(r, box.Dx())
		if text == "" {
			continue
		}
		label := caption(text)
		size := label.Bounds().Size().Mul(c.letter)
		at := c.place(r, box, size)
		c.take(at)
		scaling.NearestNeighbor.Scale(c, at, label, label.Bounds(), scaling.Over, nil)
	}
}

var face = basicfont.Face7x13

// fitting is what is written of a region whose box is so many dots wide.
func (c *canvas) fitting(r region.Region, width int) string {
	plain := func(s string) bool { return !strings.ContainsFunc(s, func(v rune) bool { return v < ' ' || v > '~' }) }
	letters := func(dots int) int { return (dots/c.letter - 4) / face.Advance }
	both := strings.TrimSpace(r.ID + " " + r.Label)
	if r.ID == "" || plain(both) && len(both) <= letters(width) {
		return both
	}
	id := []rune(r.ID)
	return string(id[:min(len(id), max(letters(c.Bounds().Dx()), 1))])
}

// caption is a text in white on half black.
func caption(text string) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, font.MeasureString(face, text).Ceil()+4, face.Height))
	draw.Draw(m, m.Bounds(), image.NewUniform(color.RGBA{0, 0, 0, 160}), image.Point{}, draw.Src)
	d := font.Drawer{Dst: m, Src: image.NewUniform(color.White), Face: face, Dot: fixed.P(2, face.Ascent)}
	d.DrawString(text)
	return m
}

// place is where a caption hides others least: in the middle of a mask, in a corner of a box
// that holds it, or beside.
func (c *canvas) place(r region.Region, box image.Rectangle, size image.Point) (best image.Rectangle) {
	var corners []image.Point
	if r.Mask != nil {
		corners = append(corners, c.middle(r.Mask).Sub(size.Div(2)))
	}
	x0, y0, x1, y1 := box.Min.X, box.Min.Y, box.Max.X, box.Max.Y
	if size.X <= box.Dx() && size.Y <= box.Dy() {
		corners = append(corners, box.Min, image.Pt(x1-size.X, y0), image.Pt(x0, y1-size.Y), box.Max.Sub(size))
	}
	corners = append(corners, image.Pt(x0, y0-size.Y), image.Pt(x0, y1), image.Pt(x1, y0), image.Pt(x0-size.X, y0))
	hidden := math.MaxInt
	for _, p := range corners {
		end := c.Bounds().Max.Sub(size)
		p = image.Pt(max(min(p.X, end.X), 0), max(min(p.Y, end.Y), 0))
		at := image.Rectangle{p, p.Add(size)}
		if n := c.taken(at); n < hidden {
			best, hidden = at, n
		}
	}
	return best
}

// middle is the dot in the middle of the longest run of a mask's middle row.
func (c *canvas) middle(m *region.Mask) image.Point {
	rows, n := 0, 0
	m.Each(func(y, _ int) { rows, n = rows+y, n+1 })
	row := rows / max(n, 1)
	for !anyIn(m, row) && row < m.H {
		row++
	}
	from, to := 0, 0
	for x := 0; x < m.W; x++ {
		start := x
		for x < m.W && m.Has(row, x) {
			x++
		}
		if x-start > to-from {
			from, to = start, x
		}
	}
	return image.Pt((from+to)*c.zoom/2, row*c.zoom+c.zoom/2)
}

func anyIn(m *region.Mask, row int) bool {
	for x := range m.W {
		if m.Has(row, x) {
			return true
		}
	}
	return false
}

// squares calls use with those that a rectangle of the canvas meets.
func (c *canvas) squares(r image.Rectangle, use func(busy *bool)) {
	r = r.Intersect(c.Bounds())
	for y := r.Min.Y / c.letter; y*c.letter < r.Max.Y; y++ {
		for x := r.Min.X / c.letter; x*c.letter < r.Max.X; x++ {
			use(&c.busy[y*c.across+x])
		}
	}
}

func (c *canvas) take(r image.Rectangle) { c.squares(r, func(busy *bool) { *busy = true }) }

// taken is how many squares of a rectangle have a caption.
func (c *canvas) taken(r image.Rectangle) (n int) {
	c.squares(r, func(busy *bool) {
		if *busy {
			n++
		}
	})
	return n
}
