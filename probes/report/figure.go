package report

import (
	"errors"
	"fmt"
	"html"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Figure is a drawing that is ready to be written.
type Figure struct {
	// Name is the stem of its files, Title and Caption say what it shows and what that
	// means, Alt describes it to who cannot see it.
	Name, Title, Caption, Alt string

	width, height vg.Length
	draw          func(draw.Canvas)
	// key and panels are the legend, nil for none, and the charts of a figure of several,
	// which a page lays out in as many columns as it has room for.
	key    *Figure
	panels []*Figure
	// sheet says that a page shows its pictures as a contact sheet instead.
	sheet bool
	// says is in words what a figure of a single bar shows: a page has it instead.
	says string
	// spots are the points behind which are pictures, known once the figure is drawn.
	spots []spot
}

// Says is in words what a figure of a single bar shows, "" of every other.
func (f *Figure) Says() string { return f.says }

// ErrNoData says that there is nothing to draw.
var ErrNoData = errors.New("there are no data to draw")

// Sizes in points. A figure of this width fits a phone with its text readable.
const (
	figureWidth = 350
	textSize    = 12
	smallSize   = 11
)

// PNG writes the figure as a picture on white, at 192 dots an inch.
func (f *Figure) PNG(w io.Writer) error {
	c := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(f.width, f.height), vgimg.UseDPI(192), vgimg.UseBackgroundColor(paper))}
	f.draw(draw.New(c))
	if _, err := c.WriteTo(w); err != nil {
		return fmt.Errorf("writing the figure %s: %w", f.Name, err)
	}
	return nil
}

// SVG writes the figure as an SVG file on white.
func (f *Figure) SVG(w io.Writer) error {
	s, err := f.svg(true)
	if err == nil {
		_, err = io.WriteString(w, s)
	}
	if err != nil {
		return fmt.Errorf("writing the figure %s: %w", f.Name, err)
	}
	return nil
}

// svgText is a text as SVG, with its size and what it says.
var svgText = regexp.MustCompile(`<text ([^>]*font-size:([0-9.]+)px[^>]*)>([^<]*)</text>`)

// fitted gives every text of an SVG the width that it was laid out for, so that it takes
// no more room in the font of whoever looks at it.
func fitted(svg string) string {
	return svgText.ReplaceAllStringFunc(svg, func(text string) string {
		m := svgText.FindStringSubmatch(text)
		size, _ := strconv.ParseFloat(m[2], 64)
		width := style(vg.Length(size)).Width(html.UnescapeString(m[3]))
		return fmt.Sprintf("<text textLength=\"%.2f\" lengthAdjust=\"spacingAndGlyphs\" %s>%s</text>", float64(width), m[1], m[3])
	})
}

// svgFixes name fonts that are at hand, leave pictures unblurred, and name their type right.
var svgFixes = strings.NewReplacer("font-family:Liberation Sans",
	"font-family:Liberation Sans,Arial,Helvetica,sans-serif", "<image ", "<image preserveAspectRatio=\"none\" ",
	"data:image/jpg;", "data:image/png;")

func (f *Figure) svg(background bool) (string, error) {
	c := vgsvg.New(f.width, f.height)
	d := draw.New(c)
	if background {
		d.SetColor(paper)
		d.Fill(d.Rectangle.Path())
	}
	f.draw(d)
	var b strings.Builder
	_, err := c.WriteTo(&b)
	return fitted(svgFixes.Replace(b.String())), err
}

var svgOpening = regexp.MustCompile(`(?s)^.*?<svg[^>]*>`)

// inline is the figure as an element of a page: without a background, and the colours of
// what is not data left to the page's style.
func (f *Figure) inline() (string, error) {
	s, err := f.svg(false)
	if err != nil {
		return "", fmt.Errorf("drawing the figure %s: %w", f.Name, err)
	}
	s = strings.ReplaceAll(svgOpening.ReplaceAllString(s, ""), "xlink:href=", "href=")
	for name, c := range map[string][3]uint8{"ink": {ink.R, ink.G, ink.B}, "muted": {muted.R, muted.G, muted.B},
		"rule": {rule.R, rule.G, rule.B}, "paper": {paper.R, paper.G, paper.B}} {
		for _, property := range []string{"fill", "stroke"} {
			s = strings.ReplaceAll(s, fmt.Sprintf("%s:#%02X%02X%02X", property, c[0], c[1], c[2]), fmt.Sprintf("%s:var(--%s)", property, name))
		}
	}
	opening := fmt.Sprintf("<svg viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"%s\">", float64(f.width), float64(f.height), escape(f.Alt))
	return opening + strings.TrimSpace(s), nil
}

// refuse is the error of data that cannot be drawn.
func refuse(figure, what string, v float64) error {
	return fmt.Errorf("drawing the figure %s: %s is %v; want a finite number", figure, what, v)
}

func noData(figure string) error { return fmt.Errorf("drawing the figure %s: %w", figure, ErrNoData) }

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// style is text of a size in the colour of the ink.
func style(size vg.Length) text.Style {
	return text.Style{Color: ink, Font: font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}, Handler: plot.DefaultTextHandler}
}

// newPlot is an empty plot with axis titles.
func newPlot(x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	p.Title.TextStyle = style(textSize)
	p.Title.TextStyle.XAlign, p.Title.TextStyle.YAlign = draw.XCenter, draw.YTop
	p.Title.Padding = 4
	p.X.Label.Text, p.Y.Label.Text = x, y
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		label, tick := a.Label.TextStyle, a.Tick.Label
		a.Label.TextStyle, a.Tick.Label = style(textSize), style(smallSize)
		a.Label.TextStyle.XAlign, a.Label.TextStyle.YAlign, a.Label.TextStyle.Rotation = label.XAlign, label.YAlign, label.Rotation
		a.Tick.Label.XAlign, a.Tick.Label.YAlign = tick.XAlign, tick.YAlign
		a.Tick.Label.Color = muted
		a.Label.Padding = 4
		a.Tick.Marker = linear{}
		a.LineStyle.Color, a.Tick.LineStyle.Color = muted, muted
		a.LineStyle.Width, a.Tick.LineStyle.Width = 0.75, 0.75
	}
	return p
}

// paint draws a plot, and the titles of its axes in the middle beside the data. Left to
// itself a title takes the middle of the values, which on a logarithmic axis is near the
// end, and one longer than the data narrows them. at is where the data are.
func paint(p *plot.Plot, c draw.Canvas) (at draw.Canvas) {
	untitled(p, c, func(c draw.Canvas) {
		p.Draw(c)
		at = p.DataCanvas(c)
	})
	s := style(textSize)
	middle := func(title string, from, to, low, high vg.Length) vg.Length {
		half := s.Width(title) / 2
		return max(min((from+to)/2, high-half), low+half)
	}
	s.XAlign, s.YAlign = draw.XCenter, draw.YBottom
	c.FillText(s, vg.Point{X: middle(p.X.Label.Text, at.Min.X, at.Max.X, c.Min.X, c.Max.X), Y: c.Min.Y}, p.X.Label.Text)
	y := middle(p.Y.Label.Text, at.Min.Y, at.Max.Y, c.Min.Y, c.Max.Y)
	s.Rotation, s.YAlign = math.Pi/2, draw.YTop
	c.FillText(s, vg.Point{X: c.Min.X, Y: y}, p.Y.Label.Text)
	return at
}

// untitled calls do with what is left of a canvas beside the titles of a plot's axes, and
// the plot without them.
func untitled(p *plot.Plot, c draw.Canvas, do func(draw.Canvas)) {
	x, y := p.X.Label.Text, p.Y.Label.Text
	var left, below vg.Length
	if x != "" {
		below = textSize + 6
	}
	if y != "" {
		left = textSize + 6
	}
	p.X.Label.Text, p.Y.Label.Text = "", ""
	do(draw.Crop(c, left, 0, below, 0))
	p.X.Label.Text, p.Y.Label.Text = x, y
}

// name makes text of a file fit to be drawn: short, and without what XML cannot hold.
func name(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if r := []rune(s); len(r) > most {
		half := (most - 1) / 2
		return string(r[:most-1-half]) + "…" + string(r[len(r)-half:])
	}
	return s
}
