package report

import (
	"fmt"
	"html/template"
	"strings"

	"gonum.org/v1/plot/vg"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
)

// spot is a point of a figure, from its upper left corner, with the picture behind it.
type spot struct {
	x, y    vg.Length
	picture encoding.Picture
}

const (
	// mostBehind is how many points of a figure have a picture behind them, mostSpots of a
	// page, and behindEdge the edge of these.
	mostBehind = 500
	mostSpots  = 2000
	behindEdge = 144
)

// svg is a figure as an element of a page. A point behind which is a picture shows it under
// the pointer, and after a click, which needs no script.
func (t *thumbnails) svg(f *Figure) (template.HTML, error) {
	s, err := f.inline() // ours: texts of files in it are escaped
	if err != nil || len(f.spots) == 0 {
		return template.HTML(s), err
	}
	var b strings.Builder
	shown := 0
	for _, at := range f.spots {
		p := t.of(at.picture, behindEdge)
		if p.number == 0 {
			continue
		}
		shown++
		t.spots++
		t.peek(&b, f, at, p)
	}
	if shown == 0 {
		return template.HTML(s), nil
	}
	hint := fmt.Sprintf("A point shows its picture under the pointer, and keeps it after a click: %d of them do.", shown)
	s = strings.Replace(s, `role="img"`, `role="group"`, 1) // an image has no links in it
	return template.HTML(strings.TrimSuffix(s, "</svg>") + b.String() + "</svg>\n<p class=\"note\">" + hint + "</p>"), nil
}

// peek writes a point that shows its picture in the corner that is farthest from it.
func (t *thumbnails) peek(b *strings.Builder, f *Figure, at spot, p thumbnail) {
	const side, edge, below = 128.0, 4.0, 16.0
	k := side / float64(max(p.w, p.h))
	w, h := k*float64(p.w), k*float64(p.h)
	x, y := edge+44, edge+24
	if at.y < f.height/2 {
		y = float64(f.height) - h - below - 48
	}
	label, said := style(10), tail(at.picture.ID, 24)
	width := max(w, float64(label.Width(said)))
	if at.x < f.width/2 {
		x = float64(f.width) - width - 3*edge
	}
	fmt.Fprintf(b, `<a class="spot" id="spot-%d" href="#spot-%[1]d" tabindex="-1"><circle cx="%.1f" cy="%.1f" r="5"/><title>%s</title>`,
		t.spots, float64(at.x), float64(at.y), escape(at.picture.ID))
	fmt.Fprintf(b, `<g class="peek"><rect x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, x-edge, y-edge, width+2*edge, h+below+2*edge)
	fmt.Fprintf(b, `<svg x="%.1f" y="%.1f" width="%.1f" height="%.1f" viewBox="0 0 %d %d"><use href="#picture-%d"/></svg>`, x, y, w, h, p.w, p.h, p.number)
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" textLength="%.2f" lengthAdjust="spacingAndGlyphs">%s</text></g></a>`+"\n",
		x, y+h+below-3, float64(label.Width(said)), escape(said))
}
