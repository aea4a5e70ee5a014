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
