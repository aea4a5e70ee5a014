package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var hostile = `<script>alert(1)</script>&"' ` + "\x00\x1b" + strings.Repeat("x", 100)

// drawn are all kinds of figures, with names as a hostile file could have them.
func drawn(t *testing.T) map[string]*Figure {
	t.Helper()
	wave := lineSeries{Name: "train"}
	other := lineSeries{Name: hostile}
	for i := range 12 {
		x := math.Round(math.Pow(10, float64(i)/3)) - 1
		wave.Points = append(wave.Points, curvePoint{x, 50 + 10*math.Sin(x), 45 + 10*math.Sin(x), 60})
		other.Points = append(other.Points, curvePoint{x, 20 + float64(i), 20 + float64(i), 20 + float64(i)})
	}
	picture := image.NewGray(image.Rect(0, 0, 28, 28))
	for i := range picture.Pix {
		picture.Pix[i] = uint8(i)
	}
	axes := axisTitles{X: "training step (logarithmic)", Y: "local complexity (units)", LogX: true}
	figures := map[string]*Figure{}
	for name, make := range map[string]func() (*Figure, error){
		"curves": func() (*Figure, error) { return curveChart("curves", axes, wave, other) },
		"panels": func() (*Figure, error) {
			return panelChart("panels", axes, panel{"relu", []lineSeries{wave}}, panel{hostile, []lineSeries{wave, other}}, panel{"layer3.0.relu", []lineSeries{other}})
		},
		"histogram": func() (*Figure, error) {
			return histogram("histogram", "Hamming distance (of 64 bits)", binned{"within", []float64{1, 2, 2, 3}}, binned{hostile, []float64{9, 10, 30}})
		},
		"bars": func() (*Figure, error) {
			return barChart("bars", "bits (%)", []string{"relu", hostile}, barSeries{"dead", []float64{3, 0}}, barSeries{"saturated", []float64{1, 2}})
		},
		"map": func() (*Figure, error) {
			return placeMap("map", []marked{{X: 0, Y: 1, Group: "7"}, {X: 1, Group: hostile}, {X: -1, Y: -1, Group: "7"}})
		},
		"phases": func() (*Figure, error) {
			return phaseChart("phases", axisTitles{X: "width (units)", Y: "training step", LogX: true}, true, []marked{{X: 10, Group: "under-expressive"}, {X: 40, Y: 100, Group: "critically-expressive"}})
		},
		"dots": func() (*Figure, error) {
			return dotChart("dots", axisTitles{X: "distance", LogX: true}, []string{"relu", hostile}, dotSeries{Name: "ahead", Values: []span{{0, 0, 0}, {0.01, 0.001, 0.1}}}, dotSeries{Name: hostile, Values: []span{{math.NaN(), 0, 0}, {3, 3, 3}}}, dotSeries{Name: "network", Values: []span{{1, 1, 1}}, Across: true})
		},
		"pictures": func() (*Figure, error) {
			return pictureChart("pictures", "units that change", []tile{{hostile, picture, 0.25}, {"b", picture, math.NaN()}})
		},
	} {
		f, err := make()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		figures[name] = f
	}
	return figures
}

func pictureChart(stem, unit string, tiles []tile) (*Figure, error) {
	return pictures(stem, ownScale(unit), tiles, func(i int) string { return share(tiles[i].Largest) })
}

func svgOf(t *testing.T, f *Figure) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f.SVG(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func pngOf(t *testing.T, f *Figure) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f.PNG(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func wellFormed(t *testing.T, name string, b []byte) {
	t.Helper()
	if bytes.Contains(b, []byte("NaN")) {
		t.Errorf("%s has coordinates that are no numbers", name)
	}
	for d := xml.NewDecoder(bytes.NewReader(b)); ; {
		_, err := d.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatalf("%s is not well-formed: %v", name, err)
		}
	}
}

func TestFiguresAreTheSameBytes(t *testing.T) {
	first, second := drawn(t), drawn(t)
	for name, f := range first {
		once, again := svgOf(t, f), svgOf(t, second[name])
		if !bytes.Equal(once, again) || !bytes.Equal(once, svgOf(t, f)) {
			t.Errorf("%s: two SVGs of the same numbers differ", name)
		}
		wellFormed(t, name, once)
		inner, err := f.inline()
		if err != nil {
			t.Fatal(err)
		}
		wellFormed(t, name, []byte(inner))
		if strings.Contains(inner, "xlink") || strings.Contains(inner, "#1B1F24") || strings.Contains(inner, "script") && !strings.Contains(inner, "&lt;script") {
			t.Errorf("%s: the ink does not follow the page, or an attribute has no namespace, or a name is not escaped", name)
		}
	}
	for _, name := range []string{"curves", "pictures"} {
		a := pngOf(t, first[name])
		if !bytes.Equal(a, pngOf(t, second[name])) {
			t.Errorf("%s: two PNGs of the same numbers differ", name)
		}
		m, err := png.Decode(bytes.NewReader(a))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if r, g, b, _ := m.At(0, 0).RGBA(); r != 0xffff || g != 0xffff || b != 0xffff {
			t.Errorf("%s: a PNG is on white paper, and its corner is %v", name, m.At(0, 0))
		}
	}
}

// Every text has the width that it was laid out for, in whatever font it is shown: that of
// golang.org/x/image, whose Liberation Sans has Arial's widths.
func TestTextNeedsNoFont(t *testing.T) {
	text := regexp.MustCompile(`<text[^>]*>[^<]*`)
	fit := regexp.MustCompile(`textLength="([0-9.]+)" lengthAdjust="spacingAndGlyphs"[^>]*font-size:([0-9.]+)px[^>]*>([^<]*)`)
	arial := map[rune]float64{'d': 556, 'i': 222, 's': 500, 't': 278, 'a': 556, 'n': 556, 'c': 500, 'e': 556} // of 1000, from its metrics
	for name, f := range drawn(t) {
		inner, err := f.inline()
		if err != nil {
			t.Fatal(err)
		}
		for _, svg := range []string{inner, string(svgOf(t, f))} {
			all := text.FindAllString(svg, -1)
			if len(all) == 0 || len(all) != strings.Count(svg, "<text") {
				t.Fatalf("%s: %d texts", name, len(all))
			}
			for _, s := range all {
				m := fit.FindStringSubmatch(s)
				if m == nil {
					t.Fatalf("%s: a text has no width: %s", name, s)
				}
				width, _ := strconv.ParseFloat(m[1], 64)
				size, _ := strconv.ParseFloat(m[2], 64)
				if m[3] == "distance" {
					want := 0.0
					for _, r := range m[3] {
						want += arial[r] / 1000 * size
					}
					if math.Abs(width-want) > 0.5 {
						t.Errorf("%s: %q is %g wide, in Arial %g", name, m[3], width, want)
					}
				}
				if !(width > 0) {
					t.Errorf("%s: %q is %g wide", name, m[3], width)
				}
			}
		}
	}
}

func TestFiguresRefuse(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	axes := axisTitles{X: "x", Y: "y", LogX: true}
	point := func(x, y, low, high float64) []lineSeries {
		return []lineSeries{{"s", []curvePoint{{x, y, low, high}}}}
	}
	for name, c := range map[string]struct {
		make func() (*Figure, error)
		want string
		none bool
	}{
		"no series":            {func() (*Figure, error) { return curveChart("f", axes) }, "no data", true},
		"no points":            {func() (*Figure, error) { return curveChart("f", axes, lineSeries{Name: "s"}) }, `"s" has no points`, true},
		"NaN in a curve":       {func() (*Figure, error) { return curveChart("f", axes, point(1, nan, 0, 1)...) }, "is NaN", false},
		"infinite x":           {func() (*Figure, error) { return curveChart("f", axes, point(inf, 1, 0, 1)...) }, "is +Inf", false},
		"NaN in a band":        {func() (*Figure, error) { return curveChart("f", axes, point(1, 1, nan, 1)...) }, "is NaN", false},
		"a band beside":        {func() (*Figure, error) { return curveChart("f", axes, point(1, 1, 2, 3)...) }, "does not hold", false},
		"a logarithm of less":  {func() (*Figure, error) { return curveChart("f", axes, point(-1, 1, 1, 1)...) }, "begins at 0", false},
		"no panels":            {func() (*Figure, error) { return panelChart("f", axes) }, "0 panels", true},
		"no groups":            {func() (*Figure, error) { return histogram("f", "x") }, "no data", true},
		"an empty group":       {func() (*Figure, error) { return histogram("f", "x", binned{Name: "g"}) }, `"g" is empty`, true},
		"NaN in a group":       {func() (*Figure, error) { return histogram("f", "x", binned{"g", []float64{nan}}) }, "is NaN", false},
		"no sites":             {func() (*Figure, error) { return barChart("f", "x", nil) }, "no data", true},
		"too few values":       {func() (*Figure, error) { return barChart("f", "x", []string{"a", "b"}, barSeries{"m", []float64{1}}) }, "1 values for 2 sites", false},
		"NaN in a bar":         {func() (*Figure, error) { return barChart("f", "x", []string{"a"}, barSeries{"m", []float64{nan}}) }, "is NaN", false},
		"no places":            {func() (*Figure, error) { return placeMap("f", nil) }, "no data", true},
		"a place nowhere":      {func() (*Figure, error) { return placeMap("f", []marked{{X: nan, Group: "g"}}) }, "is NaN", false},
		"a setting below zero": {func() (*Figure, error) { return phaseChart("f", axes, true, []marked{{X: 1, Y: -1, Group: "g"}}) }, "begins at 0", false},
		"no dots":              {func() (*Figure, error) { return dotChart("f", axes, []string{"a"}) }, "no data", true},
		"dots of nothing": {func() (*Figure, error) {
			return dotChart("f", axes, []string{"a"}, dotSeries{Values: []span{{Value: nan}}})
		}, "no data", true},
		"too few dots": {func() (*Figure, error) {
			return dotChart("f", axes, []string{"a", "b"}, dotSeries{Name: "m", Values: []span{{1, 1, 1}}})
		}, "1 values for 2 rows", false},
		"a dot below zero": {func() (*Figure, error) {
			return dotChart("f", axes, []string{"a"}, dotSeries{Values: []span{{-1, -1, -1}}})
		}, "begins at 0", false},
		"an infinite range": {func() (*Figure, error) {
			return dotChart("f", axes, []string{"a"}, dotSeries{Values: []span{{1, 1, inf}}})
		}, "is +Inf", false},
		"no pictures": {func() (*Figure, error) { return pictureChart("f", "u", nil) }, "no data", true},
		"an empty picture": {func() (*Figure, error) {
			return pictureChart("f", "u", []tile{{"a", image.NewGray(image.Rectangle{}), 1}})
		}, "is empty", false},
	} {
		f, err := c.make()
		switch {
		case err == nil || f != nil:
			t.Errorf("%s: a figure was made", name)
		case !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrNoData) != c.none:
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}

// One value, equal values and very large ones have scales too.
func TestFiguresOfExtremes(t *testing.T) {
	for _, v := range []float64{0, 1, -3, 1e-300, 1e300, math.MaxFloat64 / 4, 123456789012} {
		f, err := curveChart("f", axisTitles{X: "x", Y: "y"}, lineSeries{"s", []curvePoint{{1, v, v, v}, {2, v, v, v}}})
		if err != nil {
			t.Fatal(err)
		}
		wellFormed(t, "curve", svgOf(t, f))
		if f, err = histogram("f", "x", binned{"g", []float64{v, v}}); err != nil {
			t.Fatal(err)
		}
		wellFormed(t, "histogram", svgOf(t, f))
		if f, err = placeMap("f", []marked{{X: v, Y: v, Group: "a"}}); err != nil {
			t.Fatal(err)
		}
		wellFormed(t, "map of one place", svgOf(t, f))
		if f, err = barChart("f", "x", []string{"a"}, barSeries{"m", []float64{v}}); err != nil {
			t.Fatal(err)
		}
		wellFormed(t, "bars", svgOf(t, f))
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		want      string
	}{{0, 1, "0 0.2 0.4 0.6 0.8 1"}, {0, 88, "0 20 40 60 80"}, {-14, 15, "-10 -5 0 5 10 15"}, {0.1, 0.32, "0.1 0.15 0.2 0.25 0.3"}} {
		var got []string
		for _, k := range (linear{}).Ticks(c.low, c.high) {
			got = append(got, k.Label)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%g to %g: %s, want %s", c.low, c.high, s, c.want)
		}
	}
	for _, c := range []struct {
		low, high float64
		want      string
	}{{0, 1e7, "0 1  100  10,000  1e6 "}, {0, 1000, "0 1 10 100 1,000"}, {3, 100, "5 10 20 50 100"}, {2, 2.5, "2"}, {0.01, 0.2, "0.01 0.02 0.05 0.1 0.2"}} {
		var got []string
		for _, k := range logTicks(c.low, c.high) {
			got = append(got, k.Label)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%g to %g, logarithmic: %s, want %s", c.low, c.high, s, c.want)
		}
	}
}

// lab is a colour's place in CIE L*a*b* (D65), where distances are those that are seen.
func lab(r, g, b float64) [3]float64 {
	x := (0.4124*r + 0.3576*g + 0.1805*b) / 0.9505
	y := 0.2126*r + 0.7152*g + 0.0722*b
	z := (0.0193*r + 0.1192*g + 0.9505*b) / 1.089
	f := func(t float64) float64 {
		if t > 0.008856 {
			return math.Cbrt(t)
		}
		return 7.787*t + 16.0/116
	}
	return [3]float64{116*f(y) - 16, 500 * (f(x) - f(y)), 200 * (f(y) - f(z))}
}

func straight(v uint8) float64 {
	c := float64(v) / 255
	if c <= 0.04045 {
		return c / 12.92
	}
	return math.Pow((c+0.055)/1.055, 2.4)
}

// deuteranopia is how a colour looks without the middle cones, after Machado, Oliveira and
// Fernandes (2009), at severity 1.
func deuteranopia(c color.NRGBA) [3]float64 {
	r, g, b := straight(c.R), straight(c.G), straight(c.B)
	clip := func(v float64) float64 { return min(max(v, 0), 1) }
	return lab(clip(0.367322*r+0.860646*g-0.227968*b), clip(0.280085*r+0.672501*g+0.047413*b), clip(-0.011820*r+0.042940*g+0.968881*b))
}

func apart(a, b [3]float64) float64 {
	return math.Sqrt((a[0]-b[0])*(a[0]-b[0]) + (a[1]-b[1])*(a[1]-b[1]) + (a[2]-b[2])*(a[2]-b[2]))
}

func TestColoursWithoutMiddleCones(t *testing.T) {
	const least = 15 // about 2.3 is just seen side by side
	for i, a := range categories {
		for _, b := range categories[i+1:] {
			if d := apart(deuteranopia(a), deuteranopia(b)); d < least {
				t.Errorf("%v and %v are %.1f apart, want %d", a, b, d, least)
			}
		}
	}
	if red, green := (color.NRGBA{0xd6, 0x27, 0x28, 255}), (color.NRGBA{0x8a, 0x6d, 0x1b, 255}); apart(deuteranopia(red), deuteranopia(green)) > 25 {
		t.Error("the simulation keeps red and brownish green apart, which deuteranopes do not")
	}
}
