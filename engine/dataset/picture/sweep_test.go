package picture

import (
	"archive/zip"
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// pillowShows is what Pillow makes of a file: a picture, the start of the SHA-256 of its
// bytes in RGB, or an error.
type pillowShows struct {
	W, H       int
	RGB, Error string
}

// sweepPicture is a line of the index that testdata/export/pictures.py writes.
type sweepPicture struct {
	File, Format string
	Features     []string
	Of           []string // of a damaged file the features of the sound one
	pillowShows
	Exif  *pillowShows // after exif_transpose, where that differs
	Named *pillowShows // when Pillow opens the file by its name, where that differs
	Clips float64      // share of pixels that the conversion to RGB clips
	Dark  bool         // its pixels are numbers of 0 to 1, which become black
}

func (s *sweepPicture) damaged() bool { return s.Of != nil || slices.Contains(s.Features, "damaged") }

// What can come of a picture. Those from silent on are failures.
const (
	equal = iota
	warnedEqual
	warnedDifferent
	refused
	neither // reads it
	alone   // is it read here: Pillow does not
	silent
	alarmed
	unwarned
	broken
	slow
	outcomes
)

var outcomeNames = [outcomes]string{"equal", "warned, equal", "warned, different", "refused", "neither reads it", "read here alone",
	"SILENTLY DIFFERENT", "WARNED WITHOUT REASON", "CLIPPED WITHOUT A WARNING", "REFUSED AS BROKEN", "SLOW"}

// ofBroken are words of a message that calls a file damaged.
var ofBroken = regexp.MustCompile(`(?i)invalid|malformed|corrupt|unexpected|broken|truncat|damaged|EOF|checksum`)

// sweepResult is what came of one picture, and in which words.
type sweepResult struct {
	outcome int
	words   string
	pixels  *Picture
}

// judge holds what Decode makes of a file, turned upright or not, against Pillow.
func (s *sweepPicture) judge(b []byte, upright bool) sweepResult {
	want := s.pillowShows
	if upright && s.Exif != nil {
		want = *s.Exif
	}
	start := time.Now()
	p, err := Decode(b, 0, nil)
	if took := time.Since(start); took > 5*time.Second {
		return sweepResult{outcome: slow, words: took.String()}
	}
	if err != nil {
		return s.refusal(err, want)
	}
	warning := p.Warning
	if p = p.Channels(3); upright {
		turn, err := Orientation(b)
		if err != nil {
			return s.refusal(err, want)
		}
		p = p.Upright(turn)
	}
	sum := sha256.Sum256(p.Pix)
	shows := pillowShows{W: p.W, H: p.H, RGB: hex.EncodeToString(sum[:16])}
	same := shows == want || !upright && s.Named != nil && shows == *s.Named
	r := sweepResult{words: warning, pixels: p}
	switch reason := s.damaged() || s.Clips > 0.01 || s.Dark || s.Named != nil; {
	case want.Error != "":
		r.outcome, r.words = alone, want.Error
	case warning != "" && !reason:
		r.outcome = alarmed
	case warning == "" && s.Clips > 0.01 && !s.damaged():
		r.outcome = unwarned
	case warning != "" && same:
		r.outcome = warnedEqual
	case warning != "":
		r.outcome = warnedDifferent
	case !same:
		r.outcome, r.words = silent, fmt.Sprintf("got %d x %d, want %d x %d", p.W, p.H, want.W, want.H)
	}
	return r
}

// refusal is of a file that is not read.
func (s *sweepPicture) refusal(err error, want pillowShows) sweepResult {
	r := sweepResult{outcome: refused, words: err.Error()}
	switch {
	case want.Error != "":
		r.outcome = neither
	case !s.damaged() && ofBroken.MatchString(r.words):
		r.outcome = broken
	}
	return r
}

// sweepTable counts outcomes by a name.
type sweepTable map[string]*[outcomes]int

func (t sweepTable) add(name string, outcome int) {
	if t[name] == nil {
		t[name] = new([outcomes]int)
	}
	t[name][outcome]++
}

// String is a table in Markdown, with the columns that are not empty.
func (t sweepTable) String() string {
	var used [outcomes]bool
	for _, row := range t {
		for o, n := range row {
			used[o] = used[o] || n > 0
		}
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 1, ' ', tabwriter.Debug)
	line := func(first, files string, cell func(o int) string) {
		fmt.Fprintf(w, "| %s\t %s", first, files)
		for o := range outcomes {
			if used[o] {
				fmt.Fprintf(w, "\t %s", cell(o))
			}
		}
		fmt.Fprintln(w, "\t")
	}
	line("format", "files", func(o int) string { return outcomeNames[o] })
	line("---", "---", func(int) string { return "---" })
	for _, name := range slices.Sorted(maps.Keys(t)) {
		files := 0
		for _, n := range t[name] {
			files += n
		}
		line(name, fmt.Sprint(files), func(o int) string { return fmt.Sprint(t[name][o]) })
	}
	w.Flush()
	return b.String()
}

// list says of each name what came of its files, where some are neither equal nor read by neither.
func (t sweepTable) list() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(t)) {
		var said []string
		for o, n := range t[name] {
			if n > 0 {
				said = append(said, fmt.Sprintf("%s %d", outcomeNames[o], n))
			}
		}
		if row := *t[name]; row != [outcomes]int{equal: row[equal], neither: row[neither]} {
			fmt.Fprintf(&b, "  %s: %s\n", name, strings.Join(said, ", "))
		}
	}
	return b.String()
}

var numbers = regexp.MustCompile(`\d+|"[^"]*"`)

// sweep judges all pictures of a corpus, and says what came of them.
func sweep(t *testing.T, corpus fs.FS) {
	f, err := corpus.Open("index.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	formats, features, messages := sweepTable{}, sweepTable{}, map[int]map[string][]string{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var s sweepPicture
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		b, err := fs.ReadFile(corpus, s.File)
		if err != nil {
			t.Fatal(err)
		}
		lying := s.judge(b, false)
		for _, upright := range []bool{false, true} {
			r, format, name := lying, s.Format, s.File
			if upright {
				r, format, name = s.judge(b, true), s.Format+", upright", s.File+" upright"
				if s.Exif == nil && (r.outcome < silent || lying.outcome >= silent) {
					continue
				}
			}
			formats.add(format, r.outcome)
			formats.add("all", r.outcome)
			for _, word := range slices.Concat(s.Features, s.Of) {
				features.add(s.Format+" "+word, r.outcome)
			}
			if r.outcome == equal {
				continue
			}
			words := numbers.ReplaceAllString(r.words, "#")
			if messages[r.outcome] == nil {
				messages[r.outcome] = map[string][]string{}
			}
			messages[r.outcome][words] = append(messages[r.outcome][words], fmt.Sprintf("%s %v", name, slices.Concat(s.Features, s.Of)))
			if r.outcome >= silent {
				t.Errorf("%s %s: %s; %q, of %q", outcomeNames[r.outcome], name, r.words, s.Features, s.Of)
				keep(t, name, r.pixels)
			}
		}
	}
	if lines.Err() != nil || len(formats) == 0 {
		t.Fatalf("the index has %d formats: %v", len(formats), lines.Err())
	}
	t.Logf("\n%s\nby feature:\n%s", formats, features.list())
	for _, outcome := range slices.Sorted(maps.Keys(messages)) {
		t.Logf("%s:\n%s", outcomeNames[outcome], byCount(messages[outcome]))
	}
}

// byCount lists messages, the most frequent first, each with a file that it is of.
func byCount(messages map[string][]string) string {
	const most = 60
	var b strings.Builder
	words := slices.SortedFunc(maps.Keys(messages), func(v, w string) int {
		return cmp.Or(len(messages[w])-len(messages[v]), strings.Compare(v, w))
	})
	for i, w := range words {
		if i == most {
			fmt.Fprintf(&b, "  and %d more\n", len(words)-most)
			break
		}
		fmt.Fprintf(&b, "%6d %s (%s)\n", len(messages[w]), w, messages[w][0])
	}
	return b.String()
}

// keep writes pixels that are wrong where go test -artifacts finds them.
func keep(t *testing.T, name string, p *Picture) {
	if p == nil {
		return
	}
	head := fmt.Sprintf("P6 %d %d 255\n", p.W, p.H)
	path := filepath.Join(t.ArtifactDir(), strings.NewReplacer("/", "_", " ", "_").Replace(name)+".ppm")
	if err := os.WriteFile(path, append([]byte(head), p.Pix...), 0o644); err != nil {
		t.Error(err)
	}
}

// The smallest pictures that show every feature of their formats, as far as these take 8 kB.
func TestPicturesOfEveryKind(t *testing.T) {
	z, err := zip.OpenReader("../../../testdata/golden/pictures/pictures.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	sweep(t, z)
}

// Pictures of every kind, sound and damaged, are Pillow's, or refused, or come with a
// warning where there is a reason. benchmarks/pictures.sh makes such folders and records
// what this prints.
func TestSweepPictures(t *testing.T) {
	dirs := filepath.SplitList(os.Getenv("ONNXPROBE_PICTURES"))
	if len(dirs) == 0 {
		t.Skip("ONNXPROBE_PICTURES is not set: folders that testdata/export/pictures.py made")
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) { sweep(t, os.DirFS(dir)) })
	}
}
