package report

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/encoding"
	planned "github.com/onnxprobe/onnxprobe/probes/job"
)

// evaluated is what the verb evaluate writes.
type evaluated struct {
	On    string `json:"on"`
	Items int    `json:"items"`
	Bits  int    `json:"bits"`
	encoding.Evaluation
	Sites  []encoding.Evaluation `json:"sites"`
	Churn  *encoding.Churn       `json:"churn"`
	Kernel string                `json:"kernel_score"`
}

// accuracies are those of an evaluation, where it has them.
var accuracies = []struct {
	name string
	of   func(e *encoding.Evaluation) (float64, bool)
}{
	{"K nearest neighbors", func(e *encoding.Evaluation) (float64, bool) {
		if e.KNN == nil {
			return 0, false
		}
		return e.KNN.Accuracy, true
	}},
	{"logistic regression", func(e *encoding.Evaluation) (float64, bool) {
		if e.Logistic == nil {
			return 0, false
		}
		return e.Logistic.Multinomial, true
	}},
	{"K-means, purity", func(e *encoding.Evaluation) (float64, bool) {
		if e.KMeans == nil || e.KMeans.Train == nil {
			return 0, false
		}
		return e.KMeans.Train.Purity, true
	}},
	{"K-means, one-to-one", func(e *encoding.Evaluation) (float64, bool) {
		if e.KMeans == nil || e.KMeans.Train == nil {
			return 0, false
		}
		return e.KMeans.Train.Matched, true
	}},
}

// evaluation shows the encoding properties of codes.
func evaluation(r *result, b []byte) error {
	var e evaluated
	if err := json.Unmarshal(b, &e); err != nil {
		return fmt.Errorf("reading the evaluation: %w", err)
	}
	e.Name = "all"
	all := append([]encoding.Evaluation{e.Evaluation}, e.Sites...)
	t := Table{Caption: "Encoding properties", Head: []string{"code", "set", "items", "regions", "redundancy", "bits", "dead", "saturated", "entropy"}}
	for _, m := range accuracies {
		if _, ok := m.of(&all[0]); ok {
			t.Head = append(t.Head, m.name)
		}
	}
	var sites []string
	redundancy := []Bar{{Name: "training set"}, {Name: "test set"}}
	accuracy := make([]Bar, len(accuracies))
	for i := range all {
		x := &all[i]
		sites = append(sites, x.Name)
		redundancy[0].Values = append(redundancy[0].Values, x.Redundancy.Train.Ratio)
		row := append([]string{x.Name, "train"}, propertiesOf(x.Redundancy.Train, x.Units.Train)...)
		for j, m := range accuracies {
			if v, ok := m.of(x); ok {
				accuracy[j].Name, accuracy[j].Values = m.name, append(accuracy[j].Values, 100*v)
				row = append(row, fmt.Sprintf("%.4f", v))
			}
		}
		t.Rows = append(t.Rows, row)
		if x.Redundancy.Test != nil && x.Units.Test != nil {
			redundancy[1].Values = append(redundancy[1].Values, x.Redundancy.Test.Ratio)
			t.Rows = append(t.Rows, append([]string{x.Name, "test"}, propertiesOf(*x.Redundancy.Test, *x.Units.Test)...))
		}
	}
	r.Tables = append(r.Tables, t)
	if e.Churn != nil {
		r.Notes = append(r.Notes, fmt.Sprintf("Churn: %d of %d items moved to another region; codes differ in %.1f bits on average.", e.Churn.Moved, e.Churn.Items, e.Churn.Mean))
	}
	if e.Kernel != "" {
		r.Notes = append(r.Notes, "Kernel score (NASWOT): "+e.Kernel+".")
	}
	partial := func(b Bar) bool { return len(b.Values) != len(sites) }
	redundancy = slices.DeleteFunc(redundancy, partial)
	if slices.ContainsFunc(redundancy, func(b Bar) bool { return slices.Max(b.Values) > 0 }) {
		f, err := Bars("redundancy", "redundancy (items - regions) / items", sites, redundancy...)
		if err := r.figure("Redundancy of the codes", "0 where every item has a linear region of its own.", f, err); err != nil {
			return err
		}
	}
	f, err := Bars("accuracy", "accuracy (%)", sites, slices.DeleteFunc(accuracy, partial)...)
	return r.figure("Accuracy from the codes alone", "How well the labels follow from the codes, without the rest of the network.", f, err)
}

func propertiesOf(d encoding.Redundancy, u encoding.Units) []string {
	return []string{fmt.Sprint(d.Items), fmt.Sprint(d.Regions), fmt.Sprintf("%.4f", d.Ratio), fmt.Sprint(u.Bits), fmt.Sprint(u.Dead), fmt.Sprint(u.Saturated), fmt.Sprintf("%.3f", u.Entropy)}
}

// comparison shows what compare --json says.
func comparison(r *result, b []byte) error {
	var d probes.Diff
	if err := json.Unmarshal(b, &d); err != nil {
		return fmt.Errorf("reading the comparison: %w", err)
	}
	r.Title = "compare: " + filepath.Base(r.path)
	t := Table{Caption: fmt.Sprintf("Bits that differ, of %d items; the outputs differ by at most %.3g", d.Items, d.Outputs),
		Head: []string{"site", "bits", "differ", "items", "largest margin", "of scale"}}
	var sites []string
	var share []float64
	flips := int64(0)
	for _, s := range d.Sites {
		sites = append(sites, s.Site)
		share = append(share, 1e6*float64(s.Flips)/float64(max(s.Bits, 1)))
		flips += int64(s.Flips)
		t.Rows = append(t.Rows, []string{s.Site, fmt.Sprint(s.Bits), fmt.Sprint(s.Flips), fmt.Sprint(s.Items), fmt.Sprintf("%.3g", s.Margin), fmt.Sprintf("%.3g", s.Scale)})
	}
	r.Tables = append(r.Tables, t)
	if flips == 0 {
		r.Notes = append(r.Notes, "No bit differs.")
		return nil
	}
	f, err := Bars("flips", "bits that differ (per million)", sites, Bar{"bits", share})
	return r.figure("Bits that differ between the two settings, by site", "Bits flip where a value lies within rounding of its knot.", f, err)
}

func isJob(dir string) bool {
	b, err := readSmall(filepath.Join(dir, "plan.json"))
	var p struct {
		Shards []json.RawMessage `json:"shards"`
	}
	return err == nil && json.Unmarshal(b, &p) == nil && p.Shards != nil
}

// job shows the folder of a batch job: how far it is, and what its shards hold.
func job(c *collector, r *result) error {
	p, err := planned.Load(r.path)
	if err != nil {
		return err
	}
	s := p.Status()
	r.Title = "hash: " + filepath.Base(r.path)
	r.Tables = append(r.Tables, Table{Caption: "The batch job", Head: []string{"shards", "done", "set aside", "missing", "items", "done", "failed", "bytes", "items a second"},
		Rows: [][]string{{fmt.Sprint(s.Shards), fmt.Sprint(s.Done), fmt.Sprint(len(s.Aside)), fmt.Sprint(len(s.Missing)), fmt.Sprint(s.Items), fmt.Sprint(s.Finished), fmt.Sprint(s.Failed), fmt.Sprint(s.Bytes), fmt.Sprintf("%.1f", s.ItemsPerSecond)}}})
	if !s.Success {
		r.Notes = append(r.Notes, "The job is not finished.")
	}
	for _, e := range s.Errors {
		r.Notes = append(r.Notes, name(e, 300))
	}
	if s.Done == 0 {
		return nil
	}
	if err := codes(c, r); err != nil {
		r.Notes = append(r.Notes, "Codes are not shown: "+err.Error()+".")
	}
	if p.Settings.Complexity == nil {
		return nil
	}
	r.manifest.Settings.Radius = p.Settings.Complexity.Radii
	var files []string
	entries, err := os.ReadDir(r.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		n := e.Name()
		if shard := strings.TrimSuffix(n, "."+p.Settings.Format); shard != n && strings.Trim(shard, "0123456789") == "" {
			if p.Settings.Format == "npy" {
				n += ".items.jsonl"
			}
			files = append(files, filepath.Join(r.path, n))
		}
	}
	if err := c.complexityOf(r, files); err != nil {
		r.Notes = append(r.Notes, "Local complexity is not shown: "+err.Error()+".")
	}
	return nil
}
