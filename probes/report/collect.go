package report

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
)

// Options say how results are shown.
type Options struct {
	// Sample is the most items whose distances are drawn, 1000 when 0 and MaxItems at the
	// most; Seed draws them.
	Sample int
	Seed   uint64
	// MaxBytes bounds the memory that codes take; 0 is no bound.
	MaxBytes int64
	// Pictures is the most queries of a search, or groups of duplicates, that are shown with
	// the pictures of their items, 50 when 0.
	Pictures int
	// Threads is how many goroutines work; 0 takes one for each core.
	Threads int
	// Say is told what is being read.
	Say func(path string)
}

// Collect reads the results in files and folders, and in the folders below them, and
// makes a section of each. What cannot be shown is listed with the reason, and is no error;
// a path that there is not is one.
func Collect(ctx context.Context, paths []string, o Options) (*Page, error) {
	c, err := newCollector(ctx, o)
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("reading results: %w", err)
		}
		if err := c.path(path, 0); err != nil {
			return nil, err
		}
	}
	return c.done(), nil
}

// Document makes a page of what a verb prints as JSON, called name: the same section that
// Collect makes of a file with it, or of a file of *encoding.Matches or *encoding.Groups.
func Document(ctx context.Context, name string, printed any, o Options) (*Page, error) {
	c, err := newCollector(ctx, o)
	if err != nil {
		return nil, err
	}
	r, of := newShown(name), reflect.TypeOf(printed)
	if !c.found(r, printed) {
		if of != nil && of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		var b []byte
		if b, err = json.Marshal(printed); err == nil {
			err = jsonOf(r, b, of)
		}
	}
	if err = cmp.Or(err, r.failed); err != nil {
		return nil, fmt.Errorf("showing %s: %w", name, err)
	}
	c.page.Sections = []Section{r.Section}
	return c.done(), nil
}

type collector struct {
	Options
	ctx  context.Context
	page Page
	seen map[string]bool
	// sheets are the pictures of sheets so far, behind the points with a picture.
	sheets, behind int
}

func newCollector(ctx context.Context, o Options) (*collector, error) {
	o.Sample, o.Pictures = cmp.Or(o.Sample, 1000), cmp.Or(o.Pictures, 50)
	if o.Sample < 2 || o.Sample > MaxItems {
		return nil, fmt.Errorf("a sample of %d items; want 2 to %d", o.Sample, MaxItems)
	}
	return &collector{Options: o, ctx: ctx, seen: map[string]bool{}}, nil
}

// done is the page, with the names of its sections and figures.
func (c *collector) done() *Page {
	entitle(c.page.Sections)
	for i := range c.page.Sections {
		for _, f := range c.page.Sections[i].Figures {
			f.Name = fmt.Sprintf("%02d-%s", i+1, f.Name)
		}
	}
	return &c.page
}

// entitle names sections by their kind and the end of their path: as much of it as tells
// them apart.
func entitle(sections []Section) {
	deep := make([]int, len(sections))
	for grown := true; grown; {
		grown = false
		alike := map[string][]int{}
		for i := range sections {
			s := &sections[i]
			parts := strings.Split(filepath.ToSlash(s.Path), "/")
			s.Title = strings.Join(parts[max(0, len(parts)-1-deep[i]):], "/")
			if s.Kind != "" {
				s.Title = s.Kind + ": " + s.Title
			}
			alike[s.Title] = append(alike[s.Title], i)
		}
		for _, same := range alike {
			for _, i := range same {
				if len(same) > 1 && deep[i] < strings.Count(filepath.ToSlash(sections[i].Path), "/") {
					deep[i], grown = deep[i]+1, true
				}
			}
		}
	}
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
		return c.skip(path, err)
	case !st.IsDir() && !st.Mode().IsRegular():
		return c.skip(path, errors.New("it is neither a file nor a folder"))
	case len(c.page.Sections) >= maxSections:
		return c.skip(path, fmt.Errorf("a page shows %d results", maxSections))
	case !st.IsDir():
		return c.file(path)
	case isJob(path):
		return c.add(path, job)
	case depth == maxDepth:
		return c.skip(path, fmt.Errorf("folders are followed %d deep", maxDepth))
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return c.skip(path, err)
	}
	study := isStudy(path)
	shown := mapsIn(path)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !companion(path, e.Name()) && !(study && record.MatchString(e.Name())) && !shown[e.Name()] {
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

// skip lists what is not shown, which is no error.
func (c *collector) skip(path string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	c.page.Skipped = append(c.page.Skipped, Skipped{path, err.Error()})
	return nil
}
