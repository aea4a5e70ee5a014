package dynamics

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// Checkpoint is a network at one step of its training.
type Checkpoint struct {
	Step int64  `json:"step"`
	Path string `json:"path"`
	// SHA256 is that of the model and of its external data, "" where Err says that it
	// cannot be read.
	SHA256 string `json:"sha256"`
	Err    error  `json:"-"`

	sites []string
	table result.SiteTable
}

// Loader reads a model; it decides about links and precision.
type Loader func(path string) (*onnx.Model, error)

// stepKey is the entry of a model's metadata that says its step.
const stepKey = "step"

// number is a step in the name of a file.
var number = regexp.MustCompile(`[0-9]+(\.[0-9]+)?([eE]\+?[0-9]+)?`)

// stepOf is the last number in the name of a file without its folder and extension:
// 1000 for step-001000.onnx, ckpt_1000.onnx and 1e3.onnx. ok is false where there is no
// number, or where the last is none of the whole numbers up to 2^53.
func stepOf(name string) (step int64, ok bool) {
	base := filepath.Base(name)
	all := number.FindAllString(strings.TrimSuffix(base, filepath.Ext(base)), -1)
	if all == nil {
		return 0, false
	}
	return whole(all[len(all)-1])
}

func whole(s string) (int64, bool) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || v < 0 || v > 1<<53 || v != math.Trunc(v) {
		return 0, false
	}
	return int64(v), true
}

// Files are the .onnx files that paths name, and those in the folders that paths name,
// each once.
func Files(paths []string) ([]string, error) {
	var files []string
	for _, path := range paths {
		st, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("finding checkpoints: there is no %s", path)
		case err != nil:
			return nil, fmt.Errorf("finding checkpoints: %w", err)
		case !st.IsDir():
			files = append(files, filepath.Clean(path))
			continue
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, fmt.Errorf("finding checkpoints: %w", err)
		}
		n := len(files)
		for _, e := range entries {
			if !e.IsDir() && strings.EqualFold(filepath.Ext(e.Name()), ".onnx") && !strings.HasPrefix(e.Name(), ".") {
				files = append(files, filepath.Join(path, e.Name()))
			}
		}
		if len(files) == n {
			return nil, fmt.Errorf("finding checkpoints: the folder %s has no .onnx files", path)
		}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// Survey looks at checkpoints, one at a time: their steps, which the metadata entry
// "step" says or else the name, their hashes, and their sites, for samples of the given
// shape. They come sorted by step. One that cannot be read has an Err; steps that are
// missing, ambiguous or doubled are an error that lists them, and so are sites that are
// not those of the first.
func Survey(files []string, load Loader, o site.Options, sample []int) ([]Checkpoint, error) {
	var cs []Checkpoint
	var unclear []string
	for _, path := range files {
		c := Checkpoint{Path: path}
		named, ok := stepOf(path)
		said := ""
		m, err := load(path)
		if err == nil {
			for _, p := range m.Meta {
				if p.Key == stepKey {
					said = p.Value
				}
			}
			err = c.look(m, o, sample)
		}
		c.Err = err
		switch meta, whole := whole(said); {
		case said == "" && !ok:
			unclear = append(unclear, fmt.Sprintf("%s: no whole number in its name, and no %q in its metadata", path, stepKey))
		case said == "":
			c.Step = named
		case !whole:
			unclear = append(unclear, fmt.Sprintf("%s: its metadata says step %q, which is no whole number", path, said))
		case ok && named != meta:
			unclear = append(unclear, fmt.Sprintf("%s: its name says step %d, its metadata %d", path, named, meta))
		default:
			c.Step = meta
		}
		cs = append(cs, c)
	}
	if unclear != nil {
		return nil, fmt.Errorf("the step of %d checkpoints is not clear; make it the last number of the file's name, "+
			"as in step-001000.onnx, or the entry %q of its metadata:\n  %s", len(unclear), stepKey, strings.Join(unclear, "\n  "))
	}
	slices.SortStableFunc(cs, func(a, b Checkpoint) int { return int(min(max(a.Step-b.Step, -1), 1)) })
	if err := distinct(cs); err != nil {
		return nil, err
	}
	return cs, alike(cs)
}

// look takes down what a model is.
func (c *Checkpoint) look(m *onnx.Model, o site.Options, sample []int) error {
	sum, err := sumOf(m)
	if err != nil {
		return err
	}
	p, err := probes.Locate(m, o, sample)
	if err != nil {
		return err
	}
	c.SHA256, c.sites = sum, describe(p)
	c.table, err = result.TableOf(p.Sites)
	return err
}

// sumOf is one hash of a model and its external data.
func sumOf(m *onnx.Model) (string, error) {
	sums, err := m.Sum256()
	if err != nil {
		return "", err
	}
	return strings.Join(slices.Sorted(maps.Values(sums)), "+"), nil
}

// describe names the sites of a plan: NAME:UNITS:PLANES.
func describe(p *probes.Plan) (sites []string) {
	for _, s := range p.Sites {
		sites = append(sites, fmt.Sprintf("%s:%d:%d", s.Name, s.Units, s.Planes()))
	}
	return sites
}

func distinct(cs []Checkpoint) error {
	var twice []string
	for i := 1; i < len(cs); i++ {
		if cs[i].Step == cs[i-1].Step {
			twice = append(twice, fmt.Sprintf("step %d: %s and %s", cs[i].Step, cs[i-1].Path, cs[i].Path))
		}
	}
	if twice != nil {
		return fmt.Errorf("%d steps have several checkpoints; the step is the last number of a file's name, or %q of "+
			"its metadata:\n  %s", len(twice), stepKey, strings.Join(twice, "\n  "))
	}
	return nil
}

// alike checks that all have the sites of the first that could be read.
func alike(cs []Checkpoint) error {
	var first *Checkpoint
	for i := range cs {
		c := &cs[i]
		switch {
		case c.Err != nil:
		case first == nil:
			first = c
		case !slices.Equal(c.sites, first.sites):
			at := 0
			for at < min(len(c.sites), len(first.sites)) && c.sites[at] == first.sites[at] {
				at++
			}
			return fmt.Errorf("%s has other sites than %s, and curves need the same ones: %d and %d of them; site %d is %s, and %s (NAME:UNITS:PLANES)",
				c.Path, first.Path, len(c.sites), len(first.sites), at,
				append(c.sites, "missing")[at], append(first.sites, "missing")[at])
		}
	}
	if first == nil && len(cs) > 0 {
		return fmt.Errorf("none of %d checkpoints can be read; the first, %s: %w", len(cs), cs[0].Path, cs[0].Err)
	}
	return nil
}
