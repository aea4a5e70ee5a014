package job

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/internal/store"
)

// faulty is an engine that fails at the runs that fail says.
type faulty struct {
	gorgonia.Backend
	fail func() error
}

func (b faulty) Prepare(ctx context.Context, m *onnx.Model, o engine.Options) (engine.Session, error) {
	s, err := b.Backend.Prepare(ctx, m, o)
	return faultySession{s, b.fail}, err
}

type faultySession struct {
	engine.Session
	fail func() error
}

func (s faultySession) Run(ctx context.Context, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	if err := s.fail(); err != nil {
		return nil, err
	}
	return s.Session.Run(ctx, in)
}

// planned is a job of four shards of 25 pictures, and a prober for it.
func planned(t *testing.T, fail func() error) (*Plan, *probes.Prober) {
	t.Helper()
	p, _ := drafted(t)
	if err := p.Save(filepath.Join(t.TempDir(), "job"), Incremental, nil); err != nil {
		t.Fatal(err)
	}
	m, err := onnx.Load(p.Model)
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Open(context.Background(), probes.Request{Model: m, Backend: faulty{fail: fail}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return p, r
}

// drafted is the plan of such a job, which is in no folder yet.
func drafted(t *testing.T) (*Plan, *probes.Plan) {
	t.Helper()
	m, err := onnx.Load("../../testdata/models/mlp_dynamo.onnx")
	if err != nil {
		t.Fatal(err)
	}
	pre, err := picture.ParsePreprocess("mnist-01")
	if err != nil {
		t.Fatal(err)
	}
	probed, err := probes.Attach(m, probes.AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ds, err := dataset.Open([]string{"../../testdata/images/digits"}, dataset.Options{Preprocess: &pre, Input: probed.Fit.Sample})
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Request{Model: m, Data: ds, ShardSize: 25,
		Settings: Settings{Batch: 32, Sketch: 16, Format: "parquet", Data: Data{Preprocess: &pre}}})
	if err != nil {
		t.Fatal(err)
	}
	return p, probed
}

func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// A shard at which the engine fails is tried again, by another run, until it is set
// aside; the others are done meanwhile.
func TestEngineFails(t *testing.T) {
	bad := errors.New("illegal address")
	var err error
	p, r := planned(t, func() error { return err })
	for i := range 4 {
		w, werr := p.NewWorker(r, WorkerOptions{MaxTries: 3})
		if werr != nil {
			t.Fatal(werr)
		}
		var got []Result
		shards := func(yield func(int) bool) {
			for k := range p.Shards {
				if err = nil; k == 2 {
					err = bad
				}
				if !yield(k) {
					return
				}
			}
		}
		ended := w.Run(context.Background(), shards, func(res Result) { got = append(got, res) })
		dead, alive, _ := p.tries(2)
		if i < 3 {
			if !errors.Is(ended, bad) || len(got) != 4 || got[2].Error == "" || dead != i+1 || alive != 0 {
				t.Fatalf("run %d: %v, %+v, %d tries failed", i, ended, got, dead)
			}
			continue
		}
		var aside AsideError
		if !errors.As(ended, &aside) || !got[2].Aside || asideOf(t, p, 2) == nil || asideOf(t, p, 2).Tries != 3 {
			t.Fatalf("after three tries: %v, %+v", ended, got)
		}
	}
	if s, _ := p.Status(); s.Done != 3 || !slices.Equal(s.Aside, []int{2}) || len(s.Missing) != 0 {
		t.Errorf("status %+v", s)
	}
	var lacks *IncompleteError
	if _, ferr := p.Finish(false, nil); !errors.As(ferr, &lacks) || len(lacks.Aside) != 1 {
		t.Errorf("finish: %v", ferr)
	}
	err = nil
	w, _ := p.NewWorker(r, WorkerOptions{MaxTries: 3, Retry: true})
	if err := w.Run(context.Background(), p.Slice(0, 1), func(Result) {}); err != nil {
		t.Fatal(err)
	}
	if d := w.Done(); d.Shards != 1 || d.Skipped != 3 || d.Items != 25 || d.Bytes == 0 {
		t.Errorf("the worker did %+v", d)
	}
	if s, err := p.Finish(false, nil); err != nil || !s.Success || s.Finished != 100 {
		t.Errorf("finish: %+v, %v", s, err)
	}
	for _, n := range names(t, p.Dir()) {
		if strings.Contains(n, "_failed") || strings.Contains(n, "_tries") || strings.HasPrefix(n, ".") {
			t.Errorf("%s is left", n)
		}
	}
}

// A run that is cancelled, and one that cannot write, are no fault of the shard's.
func TestExcusedTries(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	p, r := planned(t, func() error { cancel(); return ctx.Err() })
	w, err := p.NewWorker(r, WorkerOptions{MaxTries: 3})
	if err != nil {
		t.Fatal(err)
	}
	var stopped InterruptedError
	if err := w.Run(ctx, p.Slice(0, 1), func(Result) {}); !errors.As(err, &stopped) || stopped.Shards != 0 {
		t.Errorf("cancelled: %v", err)
	}
	if got := names(t, p.Dir()); !slices.Equal(got, []string{p.Names, "plan.json"}) {
		t.Errorf("it left %q", got)
	}
	if err := os.MkdirAll(filepath.Join(p.Dir(), "00000.parquet/in the way"), 0o777); err != nil {
		t.Fatal(err)
	}
	p2, r2 := planned(t, func() error { return nil })
	_ = p2
	w, _ = p.NewWorker(r2, WorkerOptions{MaxTries: 3})
	var out outputError
	if err := w.Run(context.Background(), p.Slice(0, 1), func(Result) {}); !errors.As(err, &out) || !strings.Contains(err.Error(), "00000.parquet is a folder") {
		t.Errorf("a folder in the file's place: %v", err)
	}
	if dead, alive, _ := p.tries(0); dead+alive != 0 {
		t.Errorf("%d tries count against the shard", dead+alive)
	}
}

func asideOf(t *testing.T, p *Plan, i int) *Aside {
	t.Helper()
	a, err := p.SetAside(i)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A try counts once its process has let go of it.
func TestTries(t *testing.T) {
	p, _ := planned(t, func() error { return nil })
	var open []store.Held
	for range 5 {
		tr, err := p.begin(1, "me")
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, tr)
	}
	if dead, alive, _ := p.tries(1); dead != 0 || alive != 5 {
		t.Errorf("%d dead and %d alive, want 0 and 5", dead, alive)
	}
	open[0].Release(true)
	open[1].Release(false)
	open[2].Release(true) // as a process that is killed
	if dead, alive, _ := p.tries(1); dead != 2 || alive != 2 {
		t.Errorf("%d dead and %d alive, want 2 and 2", dead, alive)
	}
	open[3].Release(false)
	open[4].Release(false)
	if err := p.Retry(1); err != nil {
		t.Error(err)
	}
	if dead, alive, _ := p.tries(1); dead+alive != 0 {
		t.Errorf("%d tries are left", dead+alive)
	}
}

// What belongs to a job is told by its name, and nothing else is touched.
func TestWipe(t *testing.T) {
	dir := t.TempDir()
	mine := []string{"00000.txt", "plan-x.names", "0000.parquet", "00000.parquet.bak", "a.parquet", "data.npy", "notes_stats.json", ".hidden", "x00000.parquet", "00000.parquet.manifest.json"}
	jobs := []string{"plan.json", "plan-0123456789abcdef.names", ".plan-0123456789abcdef.names.0123456789abcdef.tmp", "manifest.json", "_SUCCESS", "frame.npy", "sketches.faiss", "00000.parquet", "123456.npy", "00001.npy.items.jsonl", "00001.faiss",
		"00002_stats.json", "00002_failed.json", ".00003.parquet.0123456789abcdef.tmp", ".00003_stats.json.0123456789abcdef.tmp", ".plan.json.0123456789abcdef.tmp", ".00003_tries.0123456789abcdef.tmp"}
	for _, n := range slices.Concat(mine, jobs) {
		if err := os.WriteFile(filepath.Join(dir, n), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "00004_tries"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "00004_tries/x"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := wipe(store.Folder(dir)); err != nil {
		t.Fatal(err)
	}
	slices.Sort(mine)
	if got := names(t, dir); !slices.Equal(got, mine) {
		t.Errorf("what is left: %q, want %q", got, mine)
	}
}

// A plan that another version made, which words its manifest otherwise, is gone on with:
// what a worker and Finish write of it then is what verification wants.
func TestPlanOfOtherWords(t *testing.T) {
	old, _ := drafted(t)
	dir := filepath.Join(t.TempDir(), "job")
	old.Manifest.Notes = append(old.Manifest.Notes, "a note of then")
	if err := old.Save(dir, Incremental, nil); err != nil {
		t.Fatal(err)
	}
	p, _ := drafted(t)
	if err := p.Save(dir, Incremental, nil); err != nil {
		t.Fatal(err)
	}
	m, err := onnx.Load(p.Model)
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Open(t.Context(), probes.Request{Model: m, Backend: faulty{fail: func() error { return nil }}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w, err := p.NewWorker(r, WorkerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Run(t.Context(), p.Slice(0, 1), func(Result) {}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Finish(false, nil); err != nil {
		t.Fatal(err)
	}
	if v, err := Verify(dir, nil); err != nil || len(v.Findings) > 0 || !v.Finished {
		t.Errorf("verified: %+v, %v", v, err)
	}
}

// Two planners at once leave one plan, and only one of unlike ones is right.
func TestPlannersAtOnce(t *testing.T) {
	p, _ := drafted(t)
	dir := filepath.Join(t.TempDir(), "race")
	errs := make(chan error, 8)
	for k := range 8 {
		q := *p
		q.Settings.Seed = uint64(k % 2)
		q.seal()
		go func() { errs <- q.Save(dir, Incremental, nil) }()
	}
	refused := 0
	for range 8 {
		var differs *DiffersError
		if err := <-errs; errors.As(err, &differs) {
			refused++
		} else if err != nil {
			t.Error(err)
		}
	}
	if refused != 4 {
		t.Errorf("%d planners were refused, want 4", refused)
	}
	if got := names(t, dir); len(got) != 2 || !ofJob.MatchString(got[0]) || got[1] != "plan.json" {
		t.Errorf("there are %q", got)
	}
}
