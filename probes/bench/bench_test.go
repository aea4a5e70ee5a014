package bench

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
)

// slow is an engine whose every run takes a time of its own, so that the figures
// are known: plain is the time without probes, each the time of any code, and a
// batch above most does not run.
type slow struct {
	gorgonia.Backend
	own         int // outputs of the model without probes
	plain, each time.Duration
	most        int
	log         *record
}

// record is what ran, in order, and how many runs there were at once.
type record struct {
	sync.Mutex
	what      []string
	now, most int
}

func (r *record) begin(what string) {
	r.Lock()
	defer r.Unlock()
	r.what = append(r.what, what)
	r.now++
	r.most = max(r.most, r.now)
}

func (r *record) end() {
	r.Lock()
	defer r.Unlock()
	r.now--
}

type slowSession struct {
	engine.Session
	of   slow
	what string
	took time.Duration
}

var errTooLarge = errors.New("out of memory")

func (b slow) Prepare(ctx context.Context, m *onnx.Model, o engine.Options) (engine.Session, error) {
	s, err := b.Backend.Prepare(ctx, m, o)
	if err != nil {
		return nil, err
	}
	if len(m.Graph.Outputs) > b.own {
		return slowSession{s, b, "codes", b.plain + b.each}, nil
	}
	return slowSession{s, b, "plain", b.plain}, nil
}

func (s slowSession) Run(ctx context.Context, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	if n := in[0].Shape[0]; s.of.most > 0 && n > s.of.most {
		return nil, errTooLarge
	}
	s.of.log.begin(s.what)
	defer s.of.log.end()
	time.Sleep(s.took)
	return s.Session.Run(ctx, in)
}

func set(t *testing.T, file string, b slow) (*Bench, *record) {
	t.Helper()
	m, err := onnx.Load(filepath.Join("../../testdata/models", file))
	if err != nil {
		t.Fatal(err)
	}
	codes, err := probes.Attach(m, probes.AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := probes.Plain(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.own, b.log = len(m.Graph.Outputs), new(record)
	return &Bench{Plain: plain, Codes: codes, Backend: b, Duration: time.Millisecond}, b.log
}

// An engine that takes 40 ms plain and 160 ms with codes: 100 and 25 images a second
// at batch 4, a ratio of a quarter.
func TestRates(t *testing.T) {
	b, log := set(t, "mlp_dynamo.onnx", slow{plain: 40 * time.Millisecond, each: 120 * time.Millisecond})
	r, err := b.Measure(t.Context(), 4)
	if err != nil {
		t.Fatal(err)
	}
	// Sleeping takes longer on a busy machine, never shorter.
	if p, c := r.Plain.Rate.Median, r.Codes.Rate.Median; p > 100 || p < 25 || c > 25 || c < 25./4 {
		t.Errorf("%.4g images a second plain and %.4g with codes; the engine gives 100 and 25", p, c)
	}
	if m := r.Ratio.Median; m < 0.15 || m > 0.4 {
		t.Errorf("ratio %.4g, want a quarter", m)
	}
	if r.Batch != 4 || r.Turns != turns || r.Complexity != nil || r.Plain.Items%4 != 0 || r.Plain.Items < 4*turns {
		t.Errorf("result %+v", r)
	}
	fit := b.Codes.Fit
	if want := 4 * tensor.Count(fit.Sample); r.Plain.BytesIn != want || r.Codes.BytesIn != want {
		t.Errorf("%d and %d bytes in, want %d", r.Plain.BytesIn, r.Codes.BytesIn, want)
	}
	if got := r.Codes.BytesOut - r.Plain.BytesOut; got != b.Codes.CodeBytes() {
		t.Errorf("codes add %d bytes out, want the code's %d", got, b.Codes.CodeBytes())
	}
	// They take turns: after the warm-ups, four runs each, what runs changes at least
	// once in every round.
	changes := 0
	for i := 9; i < len(log.what); i++ {
		if log.what[i] != log.what[i-1] {
			changes++
		}
	}
	if changes < turns {
		t.Errorf("in %d rounds the variants changed %d times", turns, changes)
	}
}

// posing runs on the CPU what it says runs on a GPU, whose sessions share a model.
type posing struct{ slow }

type posingSession struct {
	engine.Session
	again func() (engine.Session, error)
}

func (s posingSession) Share() (engine.Session, error) { return s.again() }

func (b posing) Prepare(ctx context.Context, m *onnx.Model, o engine.Options) (engine.Session, error) {
	again := func() (engine.Session, error) { return b.slow.Prepare(ctx, m, engine.Options{Threads: o.Threads}) }
	s, err := again()
	return posingSession{s, again}, err
}

// All variants run on as many sessions at once as a dataset's batches do. Those of an
// engine that takes 20 ms a run give 200 images a second each.
func TestSessions(t *testing.T) {
	cpu, gpu := engine.Device{Kind: "cpu"}, engine.Device{Kind: "cuda"}
	for _, c := range []struct {
		name    string
		o       engine.Options
		devices []engine.Device
		most    int
	}{
		{"none named", engine.Options{}, nil, 1},
		{"cpu", engine.Options{}, []engine.Device{cpu}, 1},
		{"cpu,cpu", engine.Options{}, []engine.Device{cpu, cpu}, 2},
		{"a GPU", engine.Options{}, []engine.Device{gpu}, 2},
		{"a GPU with a limit", engine.Options{MemoryLimit: 1}, []engine.Device{gpu}, 1},
		{"two GPUs", engine.Options{}, []engine.Device{gpu, {Kind: "cuda", Index: 1}}, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, log := set(t, "mlp_dynamo.onnx", slow{plain: 20 * time.Millisecond})
			b.Backend, b.Options, b.Devices = posing{b.Backend.(slow)}, c.o, c.devices
			f, err := probes.NewFrame(2, tensor.Count(b.Codes.Fit.Sample), 1)
			if err != nil {
				t.Fatal(err)
			}
			b.Around = probes.Complexity{Frame: f, Radii: []float64{0.1}}
			r, err := b.Measure(t.Context(), 4)
			if err != nil {
				t.Fatal(err)
			}
			if log.most != c.most {
				t.Errorf("%d runs at once, want %d", log.most, c.most)
			}
			for name, v := range map[string]Variant{"plain": r.Plain, "codes": r.Codes} {
				if top, got := 200*float64(c.most), v.Rate.Median; got > top || got < top/4 || v.Items%(4*c.most) != 0 {
					t.Errorf("%s: %d images, %.4g a second; the sessions give %.4g", name, v.Items, got, top)
				}
			}
			// One point has four vertices, a run; in the graph of a GPU, the same.
			if top, got := 50*float64(c.most), r.Complexity.Rate.Median; got > top || got < top/4 {
				t.Errorf("%.4g points a second; the sessions give %.4g", got, top)
			}
		})
	}
}

func TestImagesAndPoints(t *testing.T) {
	b, _ := set(t, "mlp_dynamo.onnx", slow{plain: time.Millisecond})
	b.Images, b.Duration = 10_000, time.Hour
	f, err := probes.NewFrame(3, tensor.Count(b.Codes.Fit.Sample), 1)
	if err != nil {
		t.Fatal(err)
	}
	b.Around = probes.Complexity{Frame: f, Radii: []float64{0.1}}
	r, err := b.Measure(t.Context(), 16)
	if err != nil {
		t.Fatal(err)
	}
	if n := r.Plain.Items; n < b.Images || r.Turns > turns && n-n/r.Turns >= b.Images {
		t.Errorf("%d images were run in %d turns, want no turn more than %d need", n, r.Turns, b.Images)
	}
	// 6 vertices a point and 16 to a run: 8 points fill 3 runs, of 1 ms at least.
	if c := r.Complexity; c == nil || c.Rate.Median <= 0 || c.Rate.Median > 8000/3 || c.Items%8 != 0 {
		t.Errorf("local complexity %+v", c)
	}
}

// The time of a run is the same for every batch, so the best batch is the largest:
// of those that run.
func TestBest(t *testing.T) {
	b, _ := set(t, "mlp_dynamo.onnx", slow{plain: 3 * time.Millisecond, most: 4})
	b.Duration = time.Hour // which the search does not take
	var said []string
	got, err := b.Best(t.Context(), func(s string) { said = append(said, s) })
	if err != nil || got != 4 {
		t.Errorf("batch %d, %v; want 4", got, err)
	}
	if last := said[len(said)-1]; !strings.Contains(last, "batch 8") || !strings.Contains(last, errTooLarge.Error()) {
		t.Errorf("it says %q", said)
	}
	b, _ = set(t, "mlp_dynamo.onnx", slow{most: -1})
	b.Codes.Fit.Batch = 3 // as where an export fixes it
	if got, err := b.Best(t.Context(), nil); err != nil || got != 3 {
		t.Errorf("a fixed batch of 3 gives %d, %v", got, err)
	}
}

func TestStopsWhenCancelled(t *testing.T) {
	b, log := set(t, "mlp_dynamo.onnx", slow{plain: time.Millisecond})
	b.Duration = time.Hour
	ctx, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer stop()
	if _, err := b.Measure(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v after %d runs", err, len(log.what))
	}
	if _, err := b.Best(ctx, func(string) {}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("searching: %v", err)
	}
}

func TestSpread(t *testing.T) {
	var v []float64
	for i := range 101 {
		v = append(v, float64((i*37)%101)) // 0 to 100, shuffled
	}
	if s := spread(v); s != (Spread{50, 10, 90}) || !s.Noisy() {
		t.Errorf("of 0 to 100: %+v", s)
	}
	if s := spread([]float64{7}); s != (Spread{7, 7, 7}) || s.Noisy() {
		t.Errorf("of one: %+v", s)
	}
	for _, c := range []struct {
		s    Spread
		want bool
	}{{Spread{100, 90, 110}, false}, {Spread{100, 90, 111}, true}} {
		if c.s.Noisy() != c.want {
			t.Errorf("%+v: noisy is %v", c.s, !c.want)
		}
	}
}

func TestFill(t *testing.T) {
	for _, c := range [][3]int{{16, 6, 8}, {8, 40, 1}, {320, 40, 8}, {7, 40, 7}, {1, 41, 1}} {
		if got := fill(c[0], c[1]); got != c[2] {
			t.Errorf("%d points of %d vertices fill batches of %d, want %d", got, c[1], c[0], c[2])
		}
	}
}

func TestGrowth(t *testing.T) {
	for _, c := range []struct {
		held []int64
		want int64
	}{{[]int64{1, 2, 3, 4}, 2}, {[]int64{5, 1, 1, 5, 1}, 0}, {[]int64{9, 9, 8, 8}, -1}} {
		if got := growth(c.held); got != c.want {
			t.Errorf("%v grows by %d, want %d", c.held, got, c.want)
		}
	}
	if a := added(0, 0); a != nil {
		t.Errorf("unknown memory adds %d", *a)
	}
	if a, b := added(3, 5), added(5, 3); *a != 2 || *b != 0 {
		t.Errorf("added %d and %d", *a, *b)
	}
}

// What Linux says of this process is what the process did.
func TestMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		if peak() != 0 || resident() != 0 {
			t.Error("memory is known where there is no /proc")
		}
		t.Skip("memory is read from /proc")
	}
	before := resident()
	hold := make([]byte, 64<<20)
	for i := 0; i < len(hold); i += 4096 {
		hold[i] = 1
	}
	if got := resident() - before; got < 60<<20 || got > 80<<20 {
		t.Errorf("64 MiB more are %d bytes", got)
	}
	if peak() < resident()-1<<20 { // Linux counts in batches
		t.Errorf("peak %d is below the %d held", peak(), resident())
	}
	runtime.KeepAlive(hold)
}

func TestMachine(t *testing.T) {
	m := describe(t.Context(), engine.Device{})
	if m.Cores != runtime.NumCPU() || m.OS != runtime.GOOS || m.GPU != "" {
		t.Errorf("%+v", m)
	}
	if deviceMemory(t.Context(), engine.Device{Kind: "cpu"}) != 0 {
		t.Error("the CPU has no device memory")
	}
}

// A stand-in for nvidia-smi, with the lines that the real one prints for such
// queries.
func TestGPU(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the stand-in is a shell script")
	}
	dir := t.TempDir()
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	script := "#!/bin/sh\ncase \"$*\" in\n" +
		"*name,driver_version*) echo 'NVIDIA H100 80GB HBM3, 570.124.06';;\n" +
		"*compute-apps*) [ -n \"$APPS\" ] && printf '%s\\n' \"$APPS\";;\n" +
		"*memory.used*) echo 2048;;\nesac\n"
	if err := os.WriteFile(filepath.Join(dir, "nvidia-smi"), []byte(script), 0o777); err != nil {
		t.Fatal(err)
	}
	gpu := engine.Device{Kind: "cuda"}
	if m := describe(t.Context(), gpu); m.GPU != "NVIDIA H100 80GB HBM3" || m.Driver != "570.124.06" {
		t.Errorf("%+v", m)
	}
	if got := deviceMemory(t.Context(), gpu); got != 2048<<20 {
		t.Errorf("without processes %d bytes, want all in use", got)
	}
	apps := fields("17, 300\n4711, 512\n4711, 8\n4712, [N/A]\n\n")
	if got := held(apps, "4711"); got != 520<<20 {
		t.Errorf("process 4711 holds %d bytes", got)
	}
	if held(apps, "4712") != 0 || held(apps, "1") != 0 {
		t.Error("a process without a figure has one")
	}
}

// What engines in processes of their own hold counts.
func TestMemoryOfChildren(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no /proc")
	}
	before, peaked := resident(), peak()
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	if len(children()) == 0 {
		t.Skip("this kernel does not list children")
	}
	for range 100 {
		if resident() > before+100<<10 && peak() > peaked+100<<10 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d held with a child, %d before; at most %d and %d", resident(), before, peak(), peaked)
}
