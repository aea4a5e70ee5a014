package report

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"github.com/onnxprobe/onnxprobe/probes/bench"
)

// benchmark shows what bench --json prints: what codes cost.
func benchmark(r *shown, b []byte) error {
	var m bench.Report
	if err := json.Unmarshal(b, &m); err != nil {
		return fmt.Errorf("reading the benchmark: %w", err)
	}
	r.Kind = "bench"
	threads := "all cores"
	if m.Threads > 0 {
		threads = fmt.Sprintf("%d threads", m.Threads)
	}
	r.note("Model %s, engine %s on %s, %s of %d: %s.", filepath.Base(m.Model), m.Backend, m.Device, threads,
		m.Machine.Cores, name(m.Machine.CPU, 80))
	if m.Noisy {
		r.alarm("The machine was noisy: rates vary by more than a fifth of their median. Read the ratio.")
	}
	t := Table{Caption: "Images a second, medians of the turns", Head: []string{"batch", "plain", "with codes", "ratio", "turns"}}
	var rows []string
	plain, coded := dotSeries{Name: "plain"}, dotSeries{Name: "with codes"}
	ratio, points := dotSeries{Name: "ratio"}, dotSeries{Name: "points"}
	add := func(to *dotSeries, s bench.Spread) { to.Values = append(to.Values, span{s.Median, s.P10, s.P90}) }
	for _, x := range m.Results {
		if x == nil {
			return errors.New("a result of the benchmark is empty")
		}
		rows = append(rows, fmt.Sprintf("batch %d", x.Batch))
		add(&plain, x.Plain.Rate)
		add(&coded, x.Codes.Rate)
		if add(&ratio, x.Ratio); x.Complexity != nil {
			add(&points, x.Complexity.Rate)
		}
		t.Rows = append(t.Rows, cells(x.Batch, num(x.Plain.Rate.Median), num(x.Codes.Rate.Median),
			fmt.Sprintf("%.3f", x.Ratio.Median), x.Turns))
	}
	r.Tables = append(r.Tables, t)
	if n := len(m.Results); n > 0 {
		best := slices.MaxFunc(m.Results, func(a, b *bench.Result) int { return cmp.Compare(a.Codes.Rate.Median, b.Codes.Rate.Median) })
		r.found("With codes %s images a second at batch %d, %.0f %% of plain inference.", num(math.Round(best.Codes.Rate.Median*10)/10),
			best.Batch, 100*best.Ratio.Median)
	}
	const lines = " Lines reach from the 10th to the 90th percentile of the turns."
	r.figure("What codes cost",
		"The rate with the codes of all sites over that of plain inference, turn by turn; 1 is no cost."+lines)(
		dotChart("ratio", axisTitles{X: "rate with codes / plain rate"}, rows, ratio))
	r.figure("Images a second", "Plain inference, and with the codes of all sites packed in the graph."+lines)(
		dotChart("rates", axisTitles{X: "images a second"}, rows, plain, coded))
	if len(points.Values) != len(rows) {
		return nil
	}
	r.figure("Points a second of local complexity", "A point is an item with all its vertices."+lines)(
		dotChart("points", axisTitles{X: "points a second"}, rows, points))
	return nil
}
