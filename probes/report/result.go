package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes/result"
)

// show makes a section of a result.
type show func(c *collector, r *shown) error

// shown is a file or folder that is being shown, or what a verb has just printed.
type shown struct {
	Section
	manifest manifest
	path     string
	columns  []string // of a table
}

func (c *collector) add(path string, how show) error {
	if c.Say != nil {
		c.Say(path)
	}
	r := &shown{path: path, Section: Section{Path: path}}
	err := r.readManifest()
	if err == nil {
		err = how(c, r)
	}
	if c.ctx.Err() != nil {
		return c.ctx.Err()
	}
	if err != nil {
		c.skip(path, err)
		return nil
	}
	if len(r.Figures) == 0 && len(r.Tables) == 0 {
		c.skip(path, ErrNoData)
		return nil
	}
	c.page.Sections = append(c.page.Sections, r.Section)
	return nil
}

// file shows a file by what is in it.
func (c *collector) file(path string) error {
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".parquet", ".jsonl", ".ndjson", ".csv", ".tsv":
		return c.add(path, tabular)
	case ".npy":
		return c.add(path, array)
	case ".npz":
		return c.add(path, affineFile)
	case ".json":
		return c.add(path, document)
	default:
		c.skip(path, fmt.Errorf("its extension, %q, is of no result", ext))
		return nil
	}
}

// kinds are the tables that can be shown, by the columns that all of them have.
var kinds = []struct {
	columns []string
	show    show
}{
	{[]string{"measure", "value", "step"}, long},
	{[]string{"regime"}, phases},
	{[]string{"site", "bits", "flips", "margin"}, comparisonTable},
	{[]string{"map", "largest"}, maps},
	{[]string{"query", "rank", "distance"}, search},
	{[]string{"group", "size", "keep"}, dedup},
	{[]string{"digest"}, codes},
	{[]string{"code"}, codes},
	{[]string{"sketch"}, codes},
	{[]string{"complexity"}, complexity},
}

func tabular(c *collector, r *shown) error {
	head, err := readTable(r.path, func(string) bool { return true }, 1)
	if err != nil {
		return err
	}
	r.columns = head.order
	has := func(name string) bool {
		return slices.ContainsFunc(head.order, func(n string) bool { return n == name || strings.HasPrefix(n, name+".") })
	}
	for _, k := range kinds {
		if !slices.ContainsFunc(k.columns, func(n string) bool { return !has(n) }) {
			return k.show(c, r)
		}
	}
	if head.rows == 0 {
		return ErrNoData
	}
	return fmt.Errorf("its columns are those of no result that can be shown: %s", name(strings.Join(head.order, ", "), 200))
}

// array shows a .npy file by its manifest: codes, or local complexity, whose numbers
// stand beside it too.
func array(c *collector, r *shown) error {
	switch r.manifest.Verb {
	case "complexity":
		r.path = result.ItemsPath(r.path)
		return tabular(c, r)
	case "affine":
		return affineFile(c, r)
	}
	return codes(c, r)
}

// document shows a JSON file.
func document(c *collector, r *shown) error {
	b, err := readSmall(r.path)
	if err != nil {
		return err
	}
	return jsonOf(c, r, b)
}

// jsonOf shows what a verb prints with --json, by its keys.
func jsonOf(c *collector, r *shown, b []byte) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(b, &keys); err != nil {
		return fmt.Errorf("reading it as JSON: %w", err)
	}
	has := func(names ...string) bool {
		return !slices.ContainsFunc(names, func(n string) bool { return keys[n] == nil })
	}
	switch {
	case has("redundancy", "units"):
		return evaluation(r, b)
	case has("sites", "along", "norm"):
		return affine(r, b)
	case has("results", "code_bytes"):
		return benchmark(r, b)
	case has("sites", "regions", "outputs"):
		return comparison(r, b)
	}
	return errors.New("its keys are those of no result that can be shown")
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

// manifest is what of a manifest is shown.
type manifest struct {
	Verb     string          `json:"verb"`
	Model    string          `json:"model"`
	Backend  string          `json:"backend"`
	Summary  json.RawMessage `json:"summary"`
	Settings struct {
		A          string          `json:"a"`
		B          string          `json:"b"`
		Map        json.RawMessage `json:"map"`
		Radius     []float64       `json:"radius"`
		Complexity *struct {
			Radii []float64 `json:"radii"`
		} `json:"complexity"`
	} `json:"settings"`
	Dataset struct {
		Classes []string `json:"classes"`
	} `json:"dataset"`
}

// radii are those of local complexity.
func (m *manifest) radii() []float64 {
	if x := m.Settings.Complexity; x != nil {
		return x.Radii
	}
	return m.Settings.Radius
}

// readManifest reads the manifest beside a file, or the one in a folder.
func (r *shown) readManifest() error {
	for _, path := range []string{result.ManifestPath(r.path), filepath.Join(r.path, "manifest.json")} {
		b, err := readSmall(path)
		if err != nil {
			continue
		}
		if err := json.Unmarshal(b, &r.manifest); err != nil {
			var wrong *json.UnmarshalTypeError
			if !errors.As(err, &wrong) {
				return fmt.Errorf("reading the manifest %s: %w", path, err)
			}
		}
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
	m := r.manifest
	if r.Kind = m.Verb; m.Verb != "" && m.Model != "" {
		said := "Model " + filepath.Base(m.Model)
		if m.Backend != "" {
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

// figure adds one that could be drawn; of one without data nothing is said.
func (r *shown) figure(title, caption string, f *Figure, err error) error {
	if errors.Is(err, ErrNoData) {
		return nil
	}
	if err != nil {
		return err
	}
	f.Title, f.Caption = title, caption
	f.Alt = title + ". " + f.Alt
	r.Figures = append(r.Figures, f)
	return nil
}
