package dynamics

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// axisNames are the axes of the activation hash phase chart: model size, training time, and training
// sample size.
var axisNames = []string{"size", "time", "samples"}

// maxModels bounds a table of networks.
const maxModels = 1_000_000

// Model is a network of a phase chart.
type Model struct {
	Path string `json:"path"`
	// At is where it is on the axes size, time and samples; NaN for an axis that the table has not.
	At [3]float64 `json:"-"`
}

// ReadModels reads a CSV table with a column path and at least one of size, time and
// samples. Paths are relative to the table. axes are the places of those it has, 0 for size.
func ReadModels(path string) (models []Model, axes []int, err error) {
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() { // a pipe may never open
		return nil, nil, fmt.Errorf("reading the table of models %s: it is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the table of models: %w", err)
	}
	defer f.Close()
	if models, axes, err = readModels(f); err != nil {
		return nil, nil, fmt.Errorf("reading the table of models %s: %w", path, err)
	}
	for i := range models {
		if !filepath.IsAbs(models[i].Path) {
			models[i].Path = filepath.Join(filepath.Dir(path), models[i].Path)
		}
	}
	return models, axes, nil
}

func readModels(r io.Reader) (models []Model, axes []int, err error) {
	in := csv.NewReader(r)
	in.TrimLeadingSpace = true
	head, err := in.Read()
	if err != nil {
		return nil, nil, fmt.Errorf("its first line: %w; want the names of the columns: path, and of %s at least one", err, strings.Join(axisNames, ", "))
	}
	at := map[string]int{}
	for i, name := range head {
		name = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
		if _, twice := at[name]; twice {
			return nil, nil, fmt.Errorf("it has two columns %q", name)
		}
		at[name] = i
	}
	place, ok := at["path"]
	if !ok {
		return nil, nil, fmt.Errorf("it has no column path; its columns: %q", head)
	}
	for k, name := range axisNames {
		if _, ok := at[name]; ok {
			axes = append(axes, k)
		}
	}
	if axes == nil {
		return nil, nil, fmt.Errorf("it has none of the columns %s; its columns: %q", strings.Join(axisNames, ", "), head)
	}
	for {
		line, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		if len(models) == maxModels {
			return nil, nil, fmt.Errorf("it has more than %d rows", maxModels)
		}
		m := Model{Path: strings.TrimSpace(line[place]), At: [3]float64{math.NaN(), math.NaN(), math.NaN()}}
		row, _ := in.FieldPos(0)
		if m.Path == "" {
			return nil, nil, fmt.Errorf("line %d: no path", row)
		}
		for _, k := range axes {
			text := strings.TrimSpace(line[at[axisNames[k]]])
			if m.At[k], err = strconv.ParseFloat(text, 64); err != nil || math.IsNaN(m.At[k]) || math.IsInf(m.At[k], 0) {
				return nil, nil, fmt.Errorf("line %d: the %s %q is no finite number", row, axisNames[k], text)
			}
		}
		models = append(models, m)
	}
	if models == nil {
		return nil, nil, errors.New("it has no rows")
	}
	return models, axes, nil
}

// Evaluate measures the models that dir has no valid record of, one at a time; see
// Follow. Their sites may differ, and a record goes with the model's content.
func (s *Study) Evaluate(ctx context.Context, dir, fingerprint string, models []Model) (*Outcome, error) {
	var out Outcome
	for _, m := range models {
		r, kept, err := s.one(ctx, dir, fingerprint, m.Path)
		if err != nil {
			if fatal(ctx, err) {
				return &out, err
			}
			err = engine.Named(m.Path, err)
			s.say("%v", err)
			r = &Record{Path: m.Path, Error: s.words(err)}
		}
		out.record(r, kept)
	}
	return &out, out.whole()
}

func (s *Study) one(ctx context.Context, dir, fingerprint, path string) (r *Record, kept bool, err error) {
	m, err := s.Load(path)
	if err != nil {
		return nil, false, err
	}
	var c Checkpoint
	if err := c.look(m, s.siteOptions(), s.Train.Shape()); err != nil {
		return nil, false, err
	}
	sum := c.SHA256
	file := filepath.Join(dir, fmt.Sprintf("model-%.16s.json", sum))
	if r := readRecord(file, fingerprint, sum, ""); r != nil && r.of(c.table) {
		r.Path = path
		return r, true, nil
	}
	if r, _, err = s.measure(ctx, path, sum, sets{}); err != nil {
		return nil, false, err
	}
	s.say("%s in %.1f s", path, r.Seconds)
	r.Fingerprint, r.SitesHash = fingerprint, c.table.Hash
	return r, false, r.write(file)
}

// ModelTable is a row for every model: where it is, its figures, or its error.
func ModelTable(models []Model, records []*Record) []result.Column {
	n := len(models)
	cols := []result.Column{texts("path", n, func(i int) string { return models[i].Path }),
		texts("sha256", n, func(i int) string { return records[i].SHA256 })}
	for k, name := range axisNames {
		cols = append(cols, numbers(name, n, func(i int) float64 { return models[i].At[k] }))
	}
	for _, f := range [][2]string{{"train", "redundancy"}, {"test", "redundancy"}, {"test", "knn_accuracy"},
		{"train", "accuracy"}, {"test", "accuracy"}} {
		cols = append(cols, numbers(f[0]+"_"+f[1], n, func(i int) float64 { return records[i].Figure(f[0], f[1]) }))
	}
	return append(cols, texts("error", n, func(i int) string { return records[i].Error }))
}
