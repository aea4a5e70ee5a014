package text_test

import (
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/probes/text"
)

func TestTable(t *testing.T) {
	var b strings.Builder
	text.Table(&b, [][]string{{"A", "BC"}, {"größer", ""}, {"x", "y", "z"}})
	if want := "A       BC\ngrößer\nx       y   z\n"; b.String() != want {
		t.Errorf("got\n%q, want\n%q", b.String(), want)
	}
}

func TestNumbers(t *testing.T) {
	for got, want := range map[string]string{
		text.Count(1, "site"): "1 site", text.Count(2048, "site"): "2,048 sites",
		text.Count(int64(3), "query"): "3 queries", text.Grouped(-9608704): "-9,608,704", text.Grouped(-100): "-100",
		text.Size(999): "999 bytes", text.Size(1_500_000): "1.5 MB",
		text.Are(1): "is", text.Are(0): "are",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestMessageIsBounded(t *testing.T) {
	long := "begin " + strings.Repeat("ä", 100_000) + " end"
	got := text.Message("first\n" + long + "\nlast")
	for _, want := range []string{"first\nbegin ä", "ä … (98,010 more characters) … ä", "ä end\nlast"} {
		if !strings.Contains(got, want) || len(got) > 5000 {
			t.Errorf("%d bytes, want %q in %.100s", len(got), want, got)
		}
	}
	if whole := strings.Repeat("x", 2000); text.Message(whole) != whole {
		t.Error("a line of 2,000 characters is cut")
	}
}

// One long name does not widen the rows of all others.
func TestTableIsBounded(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	rows := [][]string{{"NAME", "N"}, {long, "0"}}
	for range 1000 {
		rows = append(rows, []string{"x", "1"})
	}
	var b strings.Builder
	text.Table(&b, rows)
	if n := b.Len(); n > 250_000 || !strings.Contains(b.String(), long+"  0\nx   ") {
		t.Errorf("a table of %d bytes", n)
	}
}
