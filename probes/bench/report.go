package bench

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// Report is what codes cost, and on what that was measured. Its JSON is a contract.
type Report struct {
	Model       string            `json:"model"`
	Sample      []int             `json:"sample"`
	Sites       int               `json:"sites"`
	Units       int               `json:"units"`
	CodeBytes   int               `json:"code_bytes"`
	Backend     string            `json:"backend"`
	Device      string            `json:"device"`
	Precision   string            `json:"precision"`
	TF32        bool              `json:"tf32"`
	Tune        string            `json:"tune,omitempty"`
	Threads     int               `json:"threads"`
	Seed        uint64            `json:"seed"`
	Directions  int               `json:"directions,omitempty"`
	Radius      float64           `json:"radius,omitempty"`
	Machine     Machine           `json:"machine"`
	Versions    map[string]string `json:"versions"`
	Results     []*Result         `json:"results"`
	BestBatch   int               `json:"best_batch"`
	PeakBytes   int64             `json:"peak_host_bytes,omitempty"`
	Noisy       bool              `json:"noisy"`
	CommandLine []string          `json:"command"` // of the caller, as Model is
}

// Report measures batch sizes, or without any the best one that Best finds. say is told
// what the user should know as it goes on.
func (b *Bench) Report(ctx context.Context, sizes []int, say func(string)) (*Report, error) {
	r := &Report{Sample: b.Codes.Fit.Sample, Sites: len(b.Codes.Sites), Units: b.Codes.Units(),
		CodeBytes: b.Codes.CodeBytes(), Backend: b.Backend.Name(), TF32: b.Options.AllowTF32, Tune: b.Options.Tune,
		Threads: b.Options.Threads, Seed: b.Seed, Machine: describe(ctx, b.Options.Device),
		Versions: map[string]string{"onnxprobe": result.Version(), "go": runtime.Version(),
			b.Backend.Name(): b.Backend.Version()}}
	for _, d := range b.devices() {
		r.Device = strings.TrimPrefix(r.Device+","+d.String(), ",")
	}
	r.Precision, _, _ = strings.Cut(b.Codes.Precision(), ",") // what follows is of TF32
	if f := b.Around.Frame; f != nil {
		r.Directions, r.Radius = f.Directions, b.Around.Radii[0]
	}
	if len(sizes) == 0 {
		best, err := b.Best(ctx, say)
		if err != nil {
			return nil, err
		}
		sizes = []int{best}
	}
	var rate float64
	for _, n := range sizes {
		res, err := b.Measure(ctx, n)
		if err != nil {
			return nil, err
		}
		if fit := b.Codes.Fit.Note; fit != "" && r.Results == nil {
			say(fit)
		}
		r.Results, r.PeakBytes = append(r.Results, res), max(r.PeakBytes, res.peak)
		for _, s := range res.Notes {
			say(s)
		}
		if m := res.Codes.Rate.Median; m > rate {
			rate, r.BestBatch = m, res.Batch
		}
		if res.Noisy() {
			r.Noisy = true
			say(fmt.Sprintf("the machine is noisy: at batch %d images a second vary by more than a fifth; read the ratio, "+
				"and repeat on a quiet machine", res.Batch))
		}
		if res.Batch != n { // a fixed batch is the same for all sizes
			say(fmt.Sprintf("the model runs at batch %d only", res.Batch))
			break
		}
	}
	r.PeakBytes = max(r.PeakBytes, peak())
	return r, nil
}

// Print writes the report for people.
func (r *Report) Print(w io.Writer) {
	text.Table(w, r.about())
	fmt.Fprintln(w)
	rows := [][]string{{"BATCH", "PLAIN/S", "P10-P90", "CODES/S", "P10-P90", "RATIO", "P10-P90"}}
	if r.Directions > 0 {
		rows[0] = append(rows[0], "POINTS/S", "P10-P90")
	}
	for _, res := range r.Results {
		rates := []Spread{res.Plain.Rate, res.Codes.Rate, res.Ratio}
		if res.Complexity != nil {
			rates = append(rates, res.Complexity.Rate)
		}
		row := []string{fmt.Sprint(res.Batch)}
		for _, s := range rates {
			row = append(row, figure(s.Median), figure(s.P10)+"-"+figure(s.P90))
		}
		rows = append(rows, row)
	}
	text.Table(w, rows)
	if len(r.Results) > 1 {
		fmt.Fprintf(w, "\nmost images a second with codes at batch %d\n", r.BestBatch)
	}
	fmt.Fprintln(w)
	rows = [][]string{{"BATCH", "", "BYTES IN", "BYTES OUT", "HOST MEMORY", "DEVICE MEMORY"}}
	for _, res := range r.Results {
		for k, v := range []Variant{res.Plain, res.Codes} {
			rows = append(rows, []string{fmt.Sprint(res.Batch), []string{"plain", "codes"}[k], text.Size(int64(v.BytesIn)),
				text.Size(int64(v.BytesOut)), known(v.HostBytes), known(v.DeviceBytes)})
		}
	}
	text.Table(w, rows)
	fmt.Fprintln(w, "\nbytes are of one image; memory is what opening and first running each session added")
	if r.PeakBytes > 0 {
		last := r.Results[len(r.Results)-1]
		fmt.Fprintf(w, "the program held %s at most; over the last %s it grew by %.1f MB\n", text.Size(r.PeakBytes),
			text.Count(last.Plain.Items+last.Codes.Items, "image"), float64(last.Growth)/1e6)
	}
}

// about says what was measured, and on what.
func (r *Report) about() [][]string {
	rows := [][]string{
		{"model", fmt.Sprintf("%s: samples %v, %s, %s, codes of %s", r.Model, r.Sample, text.Count(r.Sites, "site"),
			text.Count(r.Units, "unit"), text.Size(int64(r.CodeBytes)))},
		{"machine", fmt.Sprintf("%s, %s, %s/%s", cmp.Or(r.Machine.CPU, "a CPU without a name"),
			text.Count(r.Machine.Cores, "core"), r.Machine.OS, r.Machine.Arch)},
	}
	if r.Machine.GPU != "" {
		rows = append(rows, []string{"", fmt.Sprintf("%s, driver %s", r.Machine.GPU, r.Machine.Driver)})
	}
	precision, threads := r.Precision, "all cores"
	if r.TF32 {
		precision += " with TF32"
	}
	if r.Threads > 0 {
		threads = text.Count(r.Threads, "thread")
	}
	return append(rows, []string{"engine",
		fmt.Sprintf("%s %s on %s, %s, %s", r.Backend, r.Versions[r.Backend], r.Device, precision, threads)})
}

// figure is a rate as people read it: without an exponent.
func figure(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.4g", v)
}

func known(n *int64) string {
	if n == nil {
		return "n/a"
	}
	return text.Size(*n)
}
