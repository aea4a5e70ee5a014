package segment

import (
	"image"
	"image/color"
	"math"
	"math/rand/v2"

	"github.com/onnxprobe/onnxprobe/probes/region"
)

// manuscript is a page as if written by hand, drawn from a seed, with the true box of
// each line: the bounding box of its ink. Lengths are pixels unless said otherwise.
//
// What differs from page to page: the script (Bengali, whose letters hang from a
// headline, or Latin, joined or not), the size of the letters and the pen, how far
// lines, words and letters stand apart, how lines climb, sag and waver, margins,
// paragraphs, and what a scanner adds.
type manuscript struct {
	*image.Gray
	boxes []region.Box

	rnd     *rand.Rand
	size    float64 // of a letter without ascender and descender
	pen     float64 // the pen's radius
	slant   float64
	bengali bool
	joined  float64 // the share of letters that are joined to the next one
	reach   float64 // of ascenders and descenders, in sizes

	line     int
	baseline func(x float64) float64
	ink      []bool
}

// between is a number drawn evenly.
func (m *manuscript) between(a, b float64) float64 { return a + (b-a)*m.rnd.Float64() }

func (m *manuscript) chance(p float64) bool { return m.rnd.Float64() < p }

// drawManuscript is the page of a seed: even ones are Bengali.
func drawManuscript(seed uint64) *manuscript {
	m := &manuscript{rnd: rand.New(rand.NewPCG(seed, 57)), bengali: seed%2 == 0}
	w, h := int(m.between(1000, 1500)), int(m.between(1000, 1900))
	m.Gray, m.ink = image.NewGray(image.Rect(0, 0, w, h)), make([]bool, w*h)
	m.size = m.between(16, 38)
	m.pen = max(m.size*m.between(0.03, 0.075), 0.8)
	m.slant = m.between(-0.1, 0.35)
	m.joined = m.between(0.3, 1)
	m.reach = m.between(0.5, 1)
	m.write()
	m.scan()
	return m
}

// write fills the page with paragraphs.
func (m *manuscript) write() {
	w, h := float64(m.Rect.Dx()), float64(m.Rect.Dy())
	pitch := m.size * m.between(2.2, 3.6)
	climb, fan := m.between(-0.08, 0.08), m.between(-0.06, 0.06) // at the middle; from the middle to an edge
	sag, waver := m.between(-0.8, 0.8), m.between(0, 0.25)       // in sizes
	wordGap, letterGap := m.between(0.6, 2.5), m.between(0.05, 0.3)
	jump := m.between(0, 0.25) // of words, in sizes
	left, right := w*m.between(0.04, 0.14), w*(1-m.between(0.03, 0.12))
	drift := m.between(-0.08, 0.08) // of the left margin, per pixel down
	ragged := m.between(0.5, 4) * m.size
	toGo := 0 // lines of the paragraph that are to come
	for y := 2.5*m.size + math.Abs(climb)*w/2; y < h-2*m.size-math.Abs(climb)*w/2; y += pitch * m.between(0.95, 1.08) {
		from, to := left+drift*(y-h/2)+m.between(0, 0.6)*m.size, right-m.between(0, 1)*ragged
		from = max(from, 0.02*w)
		if toGo == 0 {
			toGo = 1 + m.rnd.IntN(8)
			from += m.between(0, 5) * m.size
			if m.chance(0.3) {
				y += pitch * m.between(0.2, 1)
			}
		}
		if toGo--; toGo == 0 {
			to = from + (to-from)*m.between(0.1, 1)
		}
		slope := climb + fan*(y-h/2)/(h/2) + m.between(-0.008, 0.008)
		bend, wave, phase := sag*m.size*m.between(0.6, 1.2), waver*m.size, m.between(0, 6.28)
		m.baseline = func(x float64) float64 {
			t := (x - w/2) / (w / 2)
			return y + slope*(x-w/2) + bend*(1-t*t) + wave*math.Sin(phase+x/(9*m.size))
		}
		m.line = len(m.boxes)
		m.boxes = append(m.boxes, region.Box{X0: w, Y0: h})
		for x := from; x < to-0.5*m.size || x == from; {
			x = m.word(x, to, letterGap, jump)
			gap := wordGap * math.Exp(m.between(-0.5, 0.5))
			if m.chance(0.05) {
				gap += m.between(1, 3)
			}
			x += gap * m.size
		}
		if b := m.boxes[m.line]; b.X1 <= b.X0 {
			m.boxes = m.boxes[:m.line]
		}
	}
}

// word writes letters, perhaps with a mark of punctuation, and returns where it ends.
func (m *manuscript) word(x, to, letterGap, jump float64) float64 {
	from, level := x, m.baseline
	defer func() { m.baseline = level }()
	offset, tilt := m.between(-jump, jump)*m.size, m.between(-0.05, 0.05)
	m.baseline = func(x float64) float64 { return level(x) + offset + tilt*(x-from) }
	for k := 1 + m.rnd.IntN(8); k > 0 && (x < to || x == from); k-- {
		wide := m.size * m.between(0.55, 1.1)
		tall := m.between(0.85, 1.1)
		join := k > 1 && m.chance(m.joined)
		if m.bengali {
			m.bengaliLetter(x, wide, tall, join, letterGap)
		} else {
			m.latinLetter(x, wide, tall, join, letterGap)
		}
		x += wide + letterGap*m.size
	}
	switch m.rnd.IntN(12) {
	case 0: // a comma
		m.stroke(x, 0.05, x+0.05*m.size, -0.1, x-0.1*m.size, -0.3)
	case 1: // a full stop
		x += 0.3 * m.size
		if m.bengali {
			m.stroke(x, 0.05, x, 0.5, x, 1)
		} else {
			m.stroke(x, 0, x, 0.05, x+1, 0)
		}
	case 2: // a dash
		x += m.size * 0.4
		m.stroke(x, 0.5, x+0.4*m.size, 0.55, x+0.8*m.size, 0.5)
		x += m.size * 0.8
	case 3: // a word struck out
		if m.chance(0.2) {
			for range 3 {
				m.stroke(from, m.between(0.2, 0.8), (from+x)/2, m.between(0, 1), x, m.between(0.2, 0.8))
			}
		}
	}
	return x
}

// latinLetter is a path up and down between the base line and the letter's height, with
// an ascender, a descender or a dot now and then.
func (m *manuscript) latinLetter(x, wide, tall float64, join bool, gap float64) {
	n := 2 + m.rnd.IntN(3)
	px, py := x, m.between(0.5, 1)*tall
	for k := 1; k <= n; k++ {
		qx, qy := x+wide*float64(k)/float64(n)+m.between(-0.2, 0.2)*m.size, m.between(-0.05, 0.1)
		if k%2 == 0 {
			qy = tall * m.between(0.8, 1)
		}
		m.stroke(px, py, (px+qx)/2+m.between(-0.3, 0.3)*m.size, (py+qy)/2, qx, qy)
		px, py = qx, qy
	}
	if join {
		m.stroke(px, py, x+wide, 0, x+wide+gap*m.size, 0.4)
	}
	switch m.rnd.IntN(9) {
	case 0, 1: // b, d, l, with a bar as in t sometimes
		top := 1 + m.reach*m.between(0.6, 1)
		m.stroke(x, 0, x-0.1*m.size, top/2, x+0.1*m.size, top)
		if m.chance(0.4) {
			m.stroke(x-0.3*m.size, 1.2, x, 1.25, x+0.5*m.size, 1.2)
		}
	case 2: // g, p, y
		bottom := -m.reach * m.between(0.5, 1)
		m.stroke(x+wide, 0.9, x+wide, bottom, x+wide*m.between(0, 0.6), bottom)
	case 3: // i
		m.stroke(x+wide/2, 1.4, x+wide/2, 1.45, x+wide/2+1, 1.45)
	}
}

// bengaliLetter hangs from its piece of the headline, often by a stem, with vowel signs
// above and below now and then.
func (m *manuscript) bengaliLetter(x, wide, tall float64, join bool, gap float64) {
	end := x + wide
	if join {
		end += gap * m.size
	}
	if join || m.chance(0.8) {
		m.stroke(x-0.1*m.size, 1+m.between(-0.04, 0.04), (x+end)/2, 1+m.between(-0.06, 0.06), end, 1+m.between(-0.04, 0.04))
	}
	if m.chance(0.7) {
		m.stroke(x+wide, 1, x+wide+m.between(-0.05, 0.05)*m.size, 0.5, x+wide, 1-tall)
	}
	px, py := x+m.between(0.1, 0.5)*wide, m.between(0.8, 1)
	for range 2 + m.rnd.IntN(3) {
		qx, qy := x+m.between(0, 1)*wide, m.between(0, 0.9)
		m.stroke(px, py, x+m.between(0, 1)*wide, m.between(0.1, 0.8), qx, qy)
		px, py = qx, qy
	}
	switch m.rnd.IntN(14) {
	case 0, 1: // an arc from the headline over one letter or two
		top := 1 + 2*m.reach*m.between(0.6, 1.5)
		far := x + m.size*m.between(0.8, 2)
		m.stroke(x, m.between(0, 1), x, 1.2, x, 1)
		m.stroke(x, 1, (x+far)/2, top, far, 1.05)
	case 2: // a stroke above
		m.stroke(x+wide/2, 1.15, x+wide*0.7, 1.3, x+wide, 1.2+0.6*m.reach)
	case 3: // a cup with a dot
		v := 1.25 + 0.3*m.reach
		m.stroke(x, v, x+wide/2, v-0.3, x+wide, v)
		m.stroke(x+wide/2, v+0.2, x+wide/2, v+0.2, x+wide/2+1, v+0.2)
	case 4, 5: // a hook below
		m.stroke(x+wide, 0.1, x+wide*0.2, -0.8*m.reach, x+wide*1.1, -0.7*m.reach)
	case 6: // a dot below
		m.stroke(x+wide/2, -0.25, x+wide/2, -0.25, x+wide/2+1, -0.25)
	}
}

// stroke draws a curve of the pen from one place to another, drawn to a third between
// them; x is across the page, v is above the base line in sizes.
func (m *manuscript) stroke(x0, v0, xc, vc, x1, v1 float64) {
	length := math.Hypot(xc-x0, (vc-v0)*m.size) + math.Hypot(x1-xc, (v1-vc)*m.size)
	n := int(length/max(m.pen, 1)*2) + 1
	radius := m.pen * m.between(0.85, 1.15)
	for k := range n + 1 {
		t := float64(k) / float64(n)
		a, b, c := (1-t)*(1-t), 2*t*(1-t), t*t
		x, v := a*x0+b*xc+c*x1, a*v0+b*vc+c*v1
		m.dot(x+m.slant*v*m.size, m.baseline(x)-v*m.size, radius)
	}
}

func (m *manuscript) dot(x, y, r float64) {
	box := &m.boxes[m.line]
	for py := int(y - r); py <= int(y+r); py++ {
		for px := int(x - r); px <= int(x+r); px++ {
			if math.Hypot(float64(px)+.5-x, float64(py)+.5-y) <= r && (image.Point{X: px, Y: py}).In(m.Rect) {
				m.ink[py*m.Rect.Dx()+px] = true
				*box = region.Box{X0: min(box.X0, float64(px)), Y0: min(box.Y0, float64(py)), X1: max(box.X1, float64(px+1)), Y1: max(box.Y1, float64(py+1))}
			}
		}
	}
}

// scan makes the picture: ink on a ground that is lit unevenly, noise, specks, and on
// some pages a margin's line, faint rules, a smudge, or the edge of what lay beside.
func (m *manuscript) scan() {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	paper, across, down := m.between(215, 250), m.between(-25, 25), m.between(-25, 25)
	dark, noise := m.between(0.1, 0.4), m.between(0, 6)
	shade := make([]float64, w*h)
	for i := range shade {
		if shade[i] = 1; m.ink[i] {
			shade[i] = dark
		}
	}
	fill := func(x0, y0, x1, y1 int, v float64) {
		for y := max(y0, 0); y < min(y1, h); y++ {
			for x := max(x0, 0); x < min(x1, w); x++ {
				shade[y*w+x] = min(shade[y*w+x], v)
			}
		}
	}
	for range m.rnd.IntN(250) { // specks
		x, y, r := m.rnd.IntN(w), m.rnd.IntN(h), 1+m.rnd.IntN(3)
		fill(x, y, x+r, y+r, dark)
	}
	if m.chance(0.1) { // a smudge
		x, y := m.rnd.IntN(w), m.rnd.IntN(h)
		for range 150 {
			u, v := x+int(m.rnd.NormFloat64()*m.size/2), y+int(m.rnd.NormFloat64()*m.size/2)
			fill(u, v, u+2, v+2, 0.6)
		}
	}
	if m.chance(0.15) { // a margin's line
		x := int(0.03 * float64(w))
		fill(x, 0, x+2, h, m.between(0.3, 0.7))
	}
	if m.chance(0.1) { // rules
		for y := 3 * m.size; y < float64(h); y += 2.7 * m.size {
			fill(0, int(y), w, int(y)+2, 0.8)
		}
	}
	if m.chance(0.15) { // an edge
		x := w - 3 - m.rnd.IntN(12)
		fill(x, int(m.between(0, 0.5)*float64(h)), w, int(m.between(0.5, 1)*float64(h)), dark)
	}
	for i, v := range shade {
		x, y := float64(i%w)/float64(w)-.5, float64(i/w)/float64(h)-.5
		lit := paper + across*x + down*y - 20*(x*x+y*y)
		m.SetGray(i%w, i/w, color.Gray{Y: uint8(min(max(lit*v+noise*m.rnd.NormFloat64(), 0), 255))})
	}
}
