package report

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/recorder"
)

// recorded is what a figure draws.
func recorded(f *Figure) []recorder.Action {
	var c recorder.Canvas
	f.draw(draw.NewCanvas(&c, f.width, f.height))
	return c.Actions
}

// A title is in the middle below the data, and takes none of their room, on a logarithmic
// axis too.
func TestTitlesOfAxes(t *testing.T) {
	title := "training step, of which the title is nearly as wide"
	for _, log := range []bool{false, true} {
		f, err := curveChart("f", axisTitles{X: title, Y: "y", LogX: log}, lineSeries{"s", []curvePoint{{1, 1, 1, 1}, {1e6, 2, 2, 2}}})
		if err != nil {
			t.Fatal(err)
		}
		var at vg.Point
		reach := vg.Length(0)
		for _, a := range recorded(f) {
			switch a := a.(type) {
			case *recorder.FillString:
				if a.String == title {
					at = a.Point
				}
			case *recorder.Stroke:
				for _, c := range a.Path {
					reach = max(reach, c.Pos.X)
				}
			}
		}
		if reach < f.width-20 {
			t.Errorf("logarithmic %v: the data reach to %v of %v", log, reach, f.width)
		}
		if end := at.X + style(textSize).Width(title); at.X <= 0 || at.Y <= 0 || end > f.width {
			t.Errorf("logarithmic %v: the title reaches from %v to %v of %v, at %v", log, at.X, end, f.width, at.Y)
		}
	}
}

// A page lays the charts of a figure out for its width: each is an element of its own,
// below one legend. The figure's file has them all.
func TestPanelsOnThePage(t *testing.T) {
	lines := "step,measure,set,site,value\n"
	for _, site := range []string{"a", "b", "c"} {
		for _, step := range []int{1, 10} {
			lines += fmt.Sprintf("%d,complexity,train,%[2]s,%d\n%[1]d,complexity,test,%[2]s,1\n", step, site, step)
		}
	}
	p := collect(t, write(t, filepath.Join(t.TempDir(), "d.csv"), lines))
	page := pageOf(t, *p)
	_, panels, _ := strings.Cut(page, `<div class="panels">`)
	panels, _, _ = strings.Cut(panels, "</div>")
	if n := strings.Count(page, "<svg"); n != 4 || strings.Count(panels, "<svg") != 3 || !strings.Contains(page, `aria-label="Legend: train. test."`) {
		t.Errorf("%d drawings, %d of them panels: want a legend and three panels", n, strings.Count(panels, "<svg"))
	}
	for _, m := range regexp.MustCompile(`viewBox="0 0 (\S+) `).FindAllStringSubmatch(page, -1) {
		if w, err := strconv.ParseFloat(m[1], 64); err != nil || w != figureWidth {
			t.Errorf("a drawing is %s wide, want %d, that of a phone", m[1], figureWidth)
		}
	}
	if whole := string(svgOf(t, p.Sections[0].Figures[0])); strings.Count(whole, ">local complexity (units)<") != 3 {
		t.Error("the figure's file lacks a panel")
	}
}

// Pictures fill the place that is theirs: the key of colours is one row of dots.
func TestPicturesFillTheirPlace(t *testing.T) {
	for name, f := range drawn(t) {
		if s := string(svgOf(t, f)); strings.Count(s, "<image ") != strings.Count(s, `<image preserveAspectRatio="none"`) {
			t.Errorf("%s: a viewer may draw a picture smaller than its place", name)
		}
	}
}

// The chart of phases says what the regimes that it shows mean, and no others; its table
// has what is drawn. Of many curves it says which are left out.
func TestPhasesSayWhatTheyShow(t *testing.T) {
	lines := "size,time,models,redundancy_train,knn_accuracy,regime\n"
	for i := range 8 {
		lines += fmt.Sprintf("10,%d,2,0.5,0.25,%s\n", i+1, []string{"sufficiently-expressive", "under-expressive"}[i%2])
	}
	s := collect(t, write(t, filepath.Join(t.TempDir(), "phases.csv"), lines)).Sections[0]
	chart := s.Figures[0]
	if c := chart.Caption; !strings.Contains(c, "Under-expressive: ") || !strings.Contains(c, "Sufficiently-expressive: ") || strings.Contains(c, "Critically") || strings.Contains(c, "Undecided") {
		t.Errorf("the caption is %q", c)
	}
	if !strings.Contains(chart.Alt, "in 2 groups: under-expressive (4) sufficiently-expressive (4)") {
		t.Errorf("the regimes are not in their order: %q", chart.Alt)
	}
	if len(s.Tables) != 1 || len(s.Tables[0].Rows) != 8 || strings.Join(s.Tables[0].Rows[1], " ") != "10 2 2 0.5 0.25 under-expressive" {
		t.Errorf("the table is %+v", s.Tables)
	}
	if c := s.Figures[1].Caption; c != "One curve for each of 6 of the 8 values of the training time." {
		t.Errorf("the caption of curves is %q", c)
	}
}

// What dynamics measures has titles and units in words.
func TestTitlesOfMeasures(t *testing.T) {
	for measure, want := range map[string]string{
		"dead": "dead bits, dead bits", "regions": "linear regions, linear regions", "cross_entropy": "cross entropy, cross entropy (nats)",
		"knn_accuracy": "K-NN accuracy, K-NN accuracy (share)", "churn_bits": "number of bits that changed, bits changed since the last step", "margin": "margin, margin (units of the logits)",
	} {
		if got := titleOfMeasure(measure) + ", " + unitOf(measure); got != want {
			t.Errorf("%s: %q, want %q", measure, got, want)
		}
	}
}

// The median of an even number of items is between the middle two.
func TestMedianOfComplexity(t *testing.T) {
	for text, want := range map[string]string{"1\n9\n2\n4\n": "3", "5\n1\n7\n": "5", "3\n": "3"} {
		p := collect(t, write(t, filepath.Join(t.TempDir(), "lc.csv"), "complexity\n"+text))
		if len(p.Sections) != 1 {
			t.Fatalf("%q is not shown: %v", text, p.Skipped)
		}
		table := p.Sections[0].Tables[0]
		if got := table.Rows[0][len(table.Head)-2]; got != want {
			t.Errorf("%q: the median is %s, want %s", text, got, want)
		}
	}
}
