package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/bench"
	"github.com/onnxprobe/onnxprobe/probes/encoding"
	"github.com/onnxprobe/onnxprobe/probes/partition"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// shown is a file or folder that is being shown, or what a verb has just printed.
type shown struct {
	Section
	manifest *result.Manifest // an empty one where there is none
	settings settingsOf
	path     string
	used     map[string]bool // columns that figures show
	failed   error           // of the first figure that could not be drawn
	failures int             // how many items are said to have failed
}

// settingsOf are those of a manifest that figures need.
type settingsOf struct {
	A          string          `json:"a"`
	B          string          `json:"b"`
	Map        json.RawMessage `json:"map"`
	Radius     []float64       `json:"radius"`
	Fragile    float64         `json:"fragile"` // the distance from a knot
	Complexity *struct {
		Radii []float64 `json:"radii"`
	} `json:"complexity"`
}

// know takes what a manifest says.
func (r *shown) know(m *result.Manifest) {
	r.manifest, r.Kind = m, m.Kind
	_ = m.Setting(&r.settings) // what is of another type is none of these
}

// read reads columns of the table by name.
func (r *shown) read(names ...string) (*columns, error) {
	r.use(names...)
	return readTable(r.path, func(name string) bool { return slices.Contains(names, name) })
}

// use says that columns are shown.
func (r *shown) use(names ...string) {
	for _, n := range names {
		r.used[n] = true
	}
}

// add makes a section of a result.
func (c *collector) add(path string, how func(c *collector, r *shown) error) error {
	if c.Say != nil {
		c.Say(path)
	}
	r := newShown(path)
	err := r.readManifest()
	if err == nil {
		err = cmp.Or(how(c, r), r.failed)
	}
	if c.ctx.Err() != nil {
		return c.ctx.Err()
	}
	if err != nil {
		return c.skip(path, err)
	}
	other := r.Attention
	r.Attention = nil
	r.manifested() // first
	r.Attention = append(r.Attention, other...)
	if len(r.Figures) == 0 && len(r.Tables) == 0 {
		return c.skip(path, ErrNoData)
	}
	c.page.Sections = append(c.page.Sections, r.Section)
	return nil
}

// file shows a file by what is in it.
func (c *collector) file(path string) error {
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".parquet", ".npy", ".jsonl", ".ndjson", ".csv", ".tsv", ".faiss", ".index":
		return c.add(path, tabular)
	case ".npz":
		return c.add(path, affineFile)
	case ".json":
		return c.add(path, document)
	default:
		return c.skip(path, fmt.Errorf("its extension, %q, is of no result", ext))
	}
}

// kinds are the tables that can be shown: those of the verbs whose manifest is with them,
// or by their columns alone, all of which there are, where there is none.
var kinds = []struct {
	verbs, columns []string
	show           func(c *collector, r *shown) error
}{
	{[]string{"dynamics"}, []string{"measure", "value", "step"}, long},
	{[]string{"phases"}, []string{"regime"}, phases},
	{[]string{"compare"}, []string{"site", "bits", "flips", "margin"}, comparisonTable},
	{[]string{"complexity", "codes"}, []string{"map", "largest"}, maps},
	{[]string{"search"}, []string{"query", "rank", "distance"}, search},
	{[]string{"dedup"}, []string{"group", "size", "keep"}, dedup},
	{[]string{"codes", "hash"}, []string{"digest"}, codes},
	{[]string{"codes", "hash"}, []string{"code"}, codes},
	{[]string{"codes", "hash"}, []string{"sketch"}, codes},
	{[]string{"codes", "hash"}, []string{"channels"}, codes},
	{[]string{"codes", "hash"}, []string{result.ArrayColumn}, codes},
	{[]string{"complexity", "hash"}, []string{"complexity"}, complexity},
}

// tabular shows a table by its kind, and what its figures leave out.
func tabular(c *collector, r *shown) error {
	t, err := result.Open(r.path)
	if err != nil {
		return err
	}
	defer t.Close()
	if r.manifest.Kind == "" { // beside it there is none
		if m, err := t.Manifest(); m != nil {
			r.knowPart(m, err)
		} else if err != nil {
			return err
		}
	}
	kind := r.manifest.Kind
	if kind == "affine" {
		return affineFile(c, r)
	}
	has := func(name string) bool {
		return slices.ContainsFunc(t.Columns(), func(c result.Column) bool {
			return c.Name == name || strings.HasPrefix(c.Name, name+".")
		})
	}
	for _, k := range kinds {
		lacks := slices.ContainsFunc(k.columns, func(n string) bool { return !has(n) })
		if lacks || kind != "" && !slices.Contains(k.verbs, kind) {
			continue
		}
		if err := k.show(c, r); err != nil {
			return err
		}
		return r.restOf(t)
	}
	switch {
	case t.Rows() == 0 || len(t.Columns()) == 0:
		return ErrNoData
	case kind == "":
		var names []string
		for _, c := range t.Columns() {
			names = append(names, c.Name)
		}
		return fmt.Errorf("its columns are those of no result that can be shown: %s", name(strings.Join(names, ", "), 200))
	}
	return r.restOf(t)
}

// document shows a JSON file.
func document(c *collector, r *shown) error {
	b, err := readSmall(r.path)
	if err != nil {
		return err
	}
	return jsonOf(r, b, nil)
}

// printed are the results that are JSON, with what shows them.
var printed = []struct {
	kind string
	of   any
	show func(r *shown, b []byte) error
}{
	{"evaluate", encoding.Evaluated{}, evaluation},
	{"affine", partition.Printed{}, affine},
	{"bench", bench.Report{}, benchmark},
	{"compare", probes.Diff{}, comparison},
}

// jsonOf shows a result that is JSON: by its type where that is known, by the kind that its
// manifest says, or as the type that has most of its names.
func jsonOf(r *shown, b []byte, of reflect.Type) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(b, &keys); err != nil {
		return fmt.Errorf("reading it as JSON: %w", err)
	}
	best, most := -1, max(1, len(keys)/2)
	for i, d := range printed {
		if of == reflect.TypeOf(d.of) || r.manifest.Kind == d.kind {
			return d.show(r, b)
		}
		known := 0
		for _, n := range namesOf(reflect.TypeOf(d.of)) {
			if keys[n] != nil {
				known++
			}
		}
		if known > most {
			best, most = i, known
		}
	}
	if best < 0 {
		return errors.New("its keys are those of no result that can be shown")
	}
	return printed[best].show(r, b)
}

// namesOf are the names that a struct has in JSON.
func namesOf(t reflect.Type) (names []string) {
	for _, f := range reflect.VisibleFields(t) {
		if n, _, _ := strings.Cut(f.Tag.Get("json"), ","); n != "" && n != "-" {
			names = append(names, n)
		}
	}
	return names
}

const maxDocument = 64 << 20

func readSmall(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	if st.Size() > maxDocument {
		return nil, fmt.Errorf("it has %d bytes, more than the %d that are read", st.Size(), maxDocument)
	}
	return os.ReadFile(path)
}

// radii are those of local complexity.
func (r *shown) radii() []float64 {
	if x := r.settings.Complexity; x != nil {
		return x.Radii
	}
	return r.settings.Radius
}

func newShown(path string) *shown {
	return &shown{path: path, Section: Section{Path: path}, manifest: &result.Manifest{}, used: map[string]bool{}}
}

// knowPart is know of a manifest, of which err says what could not be read.
func (r *shown) knowPart(m *result.Manifest, err error) {
	if r.know(m); err != nil {
		r.note("not all of the manifest is known: %v", err)
	}
}

// readManifest reads the manifest beside a file, or the one in a folder.
func (r *shown) readManifest() error {
	for _, path := range []string{result.ManifestPath(r.path), filepath.Join(r.path, "manifest.json")} {
		b, err := readSmall(path)
		if err != nil {
			continue
		}
		m, err := result.ReadManifest(path)
		if m == nil {
			return err
		}
		r.knowPart(m, err)
		var out bytes.Buffer
		if json.Indent(&out, b, "", "  ") == nil {
			b = out.Bytes()
		}
		const most = 100_000
		if r.Manifest = string(b); len(b) > most {
			r.Manifest = strings.ToValidUTF8(string(b[:most]), "") + "\n… cut off; the whole is " + path
		}
		break
	}
	if m := r.manifest; m.Kind != "" && m.Model != "" {
		said := "Model " + filepath.Base(m.Model)
		if m.Run != nil && m.Backend != "" {
			said += ", engine " + m.Backend
		}
		r.Notes = append(r.Notes, said+".")
	}
	return nil
}

var unsafe = regexp.MustCompile(`[^A-Za-z0-9]+`)

// stem makes of a name one of a file.
func stem(parts ...string) string {
	s := strings.Trim(unsafe.ReplaceAllString(strings.ToLower(strings.Join(parts, "-")), "-"), "-")
	return cmp.Or(s[:min(len(s), 80)], "figure")
}

// figure adds one that could be drawn; of one without data nothing is said, and of errors
// the first is kept.
func (r *shown) figure(title, caption string) func(*Figure, error) {
	return func(f *Figure, err error) {
		switch {
		case err == nil:
			f.Title, f.Caption, f.Alt = title, caption, title+". "+f.Alt
			r.Figures = append(r.Figures, f)
		case !errors.Is(err, ErrNoData):
			r.failed = cmp.Or(r.failed, err)
		}
	}
}

// table adds a table.
func (r *shown) table(caption string, head []string, rows ...[]string) {
	r.Tables = append(r.Tables, Table{caption, head, rows})
}

// note adds what is to be known of the result.
func (r *shown) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// cells are the texts of values, whole numbers with their digits parted.
func cells(values ...any) (texts []string) {
	for _, v := range values {
		switch v := v.(type) {
		case int:
			texts = append(texts, text.Grouped(v))
		case int64:
			texts = append(texts, text.Grouped(v))
		default:
			texts = append(texts, fmt.Sprint(v))
		}
	}
	return texts
}
