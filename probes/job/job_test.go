package job

import (
	"context"
	"errors"
	"fmt"
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

// brittle is an engine that a batch ends by what is in it.
type brittle struct {
	gorgonia.Backend
	lost func(x *tensor.Tensor) error
}

func (b brittle) Prepare(ctx context.Context, m *onnx.Model, o engine.Options) (engine.Session, error) {
	s, err := b.Backend.Prepare(ctx, m, o)
	return brittleSession{s, b}, err
}

type brittleSession struct {
	engine.Session
	b brittle
}

func (s brittleSession) Run(ctx context.Context, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	if err := s.b.lost(in[0]); err != nil {
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

// A picture at which the engine crashes is a row that says so. Where it is none alone, or
// the engine goes beyond a limit, the shard is set aside after its tries, which say where
// that was; it is no fault of the machine, which would end the run.
func TestEngineIsLost(t *testing.T) {
	pre, err := picture.ParsePreprocess("mnist-01")
	if err != nil {
		t.Fatal(err)
	}
	ds, err := dataset.Open([]string{"../../testdata/images/digits"}, dataset.Options{Preprocess: &pre})
	if err != nil {
		t.Fatal(err)
	}
	has := func(x *tensor.Tensor, items ...int) bool {
		n := x.Len() / x.Shape[0]
		for _, i := range items {
			want, in := make([]float32, n), false
			if err := ds.Sample(i, want); err != nil {
				t.Fatal(err)
			}
			for k := range x.Shape[0] {
				in = in || slices.Equal(tensor.Data[float32](x)[k*n:(k+1)*n], want)
			}
			if !in {
				return false
			}
		}
		return true
	}
	crash := &engine.LostError{Engine: "fake", Model: "m.onnx", Doing: "ran the model", Signal: "SIGFPE"}
	late := &engine.LostError{Engine: "fake", Model: "m.onnx", Doing: "ran the model", Why: errors.New("took longer than 60 s")}
	from := func(shard int) string { return ds.Item(25*shard).ID + " to " + ds.Item(25*shard+24).ID }
	for name, c := range map[string]struct {
		lost   func(x *tensor.Tensor) error
		failed int            // items
		aside  map[int]string // the errors of shards
	}{
		"one picture": {func(x *tensor.Tensor) error {
			if has(x, 53) {
				return crash
			}
			return nil
		}, 1, nil},
		"two together": {func(x *tensor.Tensor) error {
			if has(x, 30, 47) {
				return crash
			}
			return nil
		}, 0, map[int]string{1: "the items " + from(1) + " crash the engine together and not alone: m.onnx: fake crashed with SIGFPE while it ran the model"}},
		"a limit everywhere": {func(x *tensor.Tensor) error { return late }, 0, map[int]string{
			0: "items " + from(0) + ": m.onnx: fake took longer than 60 s while it ran the model", 1: "items " + from(1) + ": m.onnx: fake took",
			2: "items " + from(2) + ": m.onnx: fake took", 3: "items " + from(3) + ": m.onnx: fake took"}},
	} {
		p, _ := planned(t, func() error { return nil })
		m, err := onnx.Load(p.Model)
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.Open(context.Background(), probes.Request{Model: m, Backend: brittle{lost: c.lost}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
		for try := range 4 {
			w, err := p.NewWorker(r, WorkerOptions{MaxTries: 3, Words: func(err error) string { return "in words: " + err.Error() }})
			if err != nil {
				t.Fatal(err)
			}
			var got []Result
			err = w.Run(context.Background(), p.Slice(0, 1), func(res Result) { got = append(got, res) })
			var aside AsideError
			if len(got) != 4 || (err == nil) != (c.aside == nil) || errors.As(err, &aside) != (c.aside != nil && try == 3) {
				t.Fatalf("%s, try %d: %+v, %v", name, try, got, err)
			}
			for i, res := range got {
				want, failed := c.aside[i], 0
				if i == 2 {
					failed = c.failed
				}
				if try < 3 && want != "" {
					want = fmt.Sprintf("in words: shard %d: %s", i, want)
				} else if want != "" && !res.Aside || want == "" && res.Failed != failed {
					t.Errorf("%s, try %d: shard %d is %+v", name, try, i, res)
				}
				if try < 3 && !strings.HasPrefix(res.Error, want) || try == 3 && res.Error != "" {
					t.Errorf("%s, try %d: the error of shard %d is %q, want %q", name, try, i, res.Error, want)
				}
			}
			var said []string
			if try >= 2 {
				for i := range 4 {
					if c.aside[i] != "" {
						said = append(said, fmt.Sprintf("shard %d: in words: %s", i, c.aside[i]))
					}
				}
			}
			s, err := p.Status()
			if err != nil || s.Done != 4-len(c.aside) || s.Failed != c.failed || !slices.EqualFunc(s.AsideErrors, said, strings.HasPrefix) {
				t.Errorf("%s, try %d: %+v, %v, want %q", name, try, s, err, said)
			}
			if c.failed > 0 && (len(s.Errors) != 1 || !strings.HasSuffix(s.Errors[0], "crashed the engine with SIGFPE")) {
				t.Errorf("%s: the errors %q", name, s.Errors)
			}
			var b strings.Builder
			if s.Print(&b); len(said) > 0 && !strings.Contains(b.String(), "\n  "+said[0]) {
				t.Errorf("%s: printed as\n%s", name, b.String())
			}
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
