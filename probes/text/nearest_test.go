package text

import (
	"slices"
	"testing"
)

func TestNearest(t *testing.T) {
	verbs := []string{"codes", "code-sites", "complexity", "compare", "dedup", "demo", "dynamics", "hash", "inspect", "run", "runtime"}
	for _, c := range []struct {
		name string
		want []string
	}{
		{"code", []string{"codes"}},
		{"cdoes", []string{"codes"}},
		{"Codes", []string{"codes"}},
		{"compexity", []string{"complexity"}},
		{"dedupe", []string{"dedup"}},
		{"insp", []string{"inspect"}},
		{"inpsect", []string{"inspect"}},
		{"rn", []string{"run"}},
		{"rnu", []string{"run"}},
		{"photos.jpg", nil},
		{"xyzzy", nil},
		{"", nil},
	} {
		if got := Nearest(c.name, verbs); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.name, got, c.want)
		}
	}
	if got, want := DidYouMean("q", "the choices are", []string{"abc", "def"}), "the choices are abc, def"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := DidYouMean("abd", "the choices are", []string{"abc", "def"}), "did you mean abc?"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The distance is what hand-worked cases and its own laws say.
func TestEdits(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"kitten", "sitting", 3}, {"ab", "ba", 1}, {"imagnet", "imagenet", 1}, {"nhcw", "nhwc", 1}, {"abc", "xyz", 3}} {
		if got, back := edits(c.a, c.b), edits(c.b, c.a); got != c.want || back != c.want {
			t.Errorf("%q, %q: %d and %d, want %d", c.a, c.b, got, back, c.want)
		}
	}
}
