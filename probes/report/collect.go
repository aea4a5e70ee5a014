package report

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes/sink"
)

// Options say how results are shown.
type Options struct {
	// Sample is the most items whose distances are drawn, 1000 when 0 and MaxItems at the
	// most; Seed draws them.
	Sample int
	Seed   uint64
	// MaxBytes bounds the memory that codes take; 0 is no bound.
	MaxBytes int64
	// Threads is how many goroutines work; 0 takes one for each core.
	Threads int
	// Say is told what is being read.
	Say func(path string)
}

// Collect reads the results in files and folders, and in the folders below them, and
// makes a section of each. What cannot be shown is listed with the reason, and is no error;
// a path that there is not is one.
func Collect(ctx context.Context, paths []string, o Options) (*Page, error) {
	if o.Sample == 0 {
		o.Sample = 1000
	}
	if o.Sample < 2 || o.Sample > MaxItems {
		return nil, fmt.Errorf("a sample of %d items; want 2 to %d", o.Sample, MaxItems)
	}
	c := &collector{Options: o, ctx: ctx, seen: map[string]bool{}}
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("reading results: %w", err)
		}
		if err := c.path(path, 0); err != nil {
			return nil, err
		}
	}
	for i := range c.page.Sections {
		for _, f := range c.page.Sections[i].Figures {
			f.Name = fmt.Sprintf("%02d-%s", i+1, f.Name)
		}
	}
	return &c.page, nil
}

type collector struct {
	Options
	ctx  context.Context
	page Page
	seen map[string]bool
}

// maxDepth is how far folders are followed, maxSections how many results a page shows.
const (
	maxDepth    = 4
	maxSections = 200
)

func (c *collector) path(path string, depth int) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	path = filepath.Clean(path)
	if c.seen[path] {
		return nil
	}
	c.seen[path] = true
	st, err := os.Stat(path)
	switch {
	case err != nil:
		c.skip(path, err)
		return nil
	case !st.IsDir() && !st.Mode().IsRegular():
		c.skip(path, errors.New("it is neither a file nor a folder"))
		return nil
	case len(c.page.Sections) >= maxSections:
		c.skip(path, fmt.Errorf("a page shows %d results", maxSections))
		return nil
	case !st.IsDir():
		return c.file(path)
	}
	if isJob(path) {
		return c.add(path, job)
	}
	if depth == maxDepth {
		c.skip(path, fmt.Errorf("folders are followed %d deep", maxDepth))
		return nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		c.skip(path, err)
		return nil
	}
	study := isStudy(path)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !companion(path, e.Name()) && !(study && record.MatchString(e.Name())) {
			if err := c.path(filepath.Join(path, e.Name()), depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// companion says of a file that it belongs to another, which shows it.
func companion(dir, name string) bool {
	for _, end := range []string{".manifest.json", ".items.jsonl"} {
		if of, ok := strings.CutSuffix(name, end); ok {
			if _, err := os.Stat(filepath.Join(dir, of)); err == nil {
				return true
			}
		}
	}
	return false
}

// record is the name of a file in the folder of a study that its table holds too.
var record = regexp.MustCompile(`^(plan\.json|step-[0-9]+\.json|model-[0-9a-f]+\.json|frame\.npy|models\.(parquet|jsonl|csv))$`)

// isStudy says of a folder that dynamics or phases work in it.
func isStudy(dir string) bool {
	b, err := readSmall(filepath.Join(dir, "plan.json"))
	var p struct {
		Verb        string `json:"verb"`
		Fingerprint string `json:"fingerprint"`
	}
	return err == nil && json.Unmarshal(b, &p) == nil && p.Verb != "" && p.Fingerprint != ""
}

func (c *collector) skip(path string, err error) {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	c.page.Skipped = append(c.page.Skipped, Skipped{path, err.Error()})
}

// show makes a section of a result.
type show func(c *collector, r *result) error

// result is a file or folder that is being shown.
type result struct {
	Section
	manifest manifest
	path     string
	columns  []string // of a table
}

func (c *collector) add(path string, how show) error {
	if c.Say != nil {
		c.Say(path)
	}
	r := &result{path: path, Section: Section{Path: path, Title: filepath.Base(path)}}
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
	{[]string{"query", "rank", "distance"}, search},
	{[]string{"group", "size", "keep"}, dedup},
	{[]string{"digest"}, codes},
	{[]string{"code"}, codes},
	{[]string{"sketch"}, codes},
	{[]string{"complexity"}, complexity},
}

func tabular(c *collector, r *result) error {
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
func array(c *collector, r *result) error {
	if r.manifest.Verb == "complexity" {
		r.path = sink.ItemsPath(r.path)
		return tabular(c, r)
	}
	return codes(c, r)
}

// document shows a JSON file by its keys.
func document(c *collector, r *result) error {
	b, err := readSmall(r.path)
	if err != nil {
		return err
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(b, &keys); err != nil {
		return fmt.Errorf("reading it as JSON: %w", err)
	}
	switch {
	case keys["redundancy"] != nil && keys["units"] != nil:
		return evaluation(r, b)
	case keys["sites"] != nil && keys["flipped_regions"] != nil || bytes.Contains(keys["sites"], []byte(`"flips"`)):
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
	if st.Size() > maxDocument {
		return nil, fmt.Errorf("it has %d bytes, more than the %d that are read", st.Size(), maxDocument)
	}
	return os.ReadFile(path)
}

// manifest is what of a manifest is shown.
type manifest struct {
	Verb     string `json:"verb"`
	Model    string `json:"model"`
	Backend  string `json:"backend"`
	Settings struct {
		Radius     []float64 `json:"radius"`
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
func (r *result) readManifest() error {
	for _, path := range []string{sink.ManifestPath(r.path), filepath.Join(r.path, "manifest.json")} {
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
	if m := r.manifest; m.Verb != "" {
		r.Title = fmt.Sprintf("%s: %s", m.Verb, filepath.Base(r.path))
		if m.Model != "" {
			r.Notes = append(r.Notes, fmt.Sprintf("Model %s%s.", filepath.Base(m.Model), cmp.Or(map[bool]string{true: ", engine " + m.Backend}[m.Backend != ""], "")))
		}
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
func (r *result) figure(title, caption string, f *Figure, err error) error {
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
