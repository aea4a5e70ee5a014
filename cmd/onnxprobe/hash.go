package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/probes"
	jobs "github.com/onnxprobe/onnxprobe/probes/job" // job is what one command line does
	"github.com/onnxprobe/onnxprobe/probes/sink"
)

// hashPlan are the flags that say what a job is.
type hashPlan struct {
	modelFlags
	dataFlags
	output, mode, form         string
	overwrite, strict, noTimes bool
	shardSize, sketch          int
	seed                       uint64
	code, channels, logits     bool
	codeSites                  []string
	complexity, sign3, centre  bool
	radii                      []float64
	directions                 int
	frame                      string
	faiss                      bool
	changed                    func(string) bool
}

func (h *hashPlan) add(fs *pflag.FlagSet) {
	h.modelFlags.add(fs)
	h.addSites(fs)
	h.dataFlags.add(fs)
	fs.Lookup("workers").Hidden = true // what plans, and what runs has its own
	fs.StringVarP(&h.output, "output", "o", "", "the job's folder, a `DIR`")
	fs.StringVar(&h.mode, "mode", string(jobs.Incremental), "where DIR holds a job: incremental goes on with it, if it is the same; extend adds the inputs that it does not have; overwrite removes it")
	fs.BoolVar(&h.overwrite, "overwrite", false, "short for --mode overwrite")
	fs.StringVar(&h.form, "output-format", "parquet", "parquet, npy or jsonl")
	fs.IntVar(&h.shardSize, "shard-size", 10_000, "items of an output shard: what is lost at most when a worker is; of tar and Parquet inputs, whole files up to so many items")
	fs.IntVar(&h.sketch, "sketch", 256, "write a sketch of `K` bits sampled from the code by --seed; 0 for none")
	fs.Uint64Var(&h.seed, "seed", 0, "seed of everything drawn at random")
	fs.BoolVar(&h.code, "code", false, "write the full code")
	fs.StringArrayVar(&h.codeSites, "code-sites", nil, "write the code of the sites whose name matches `GLOB` (repeatable), a column each")
	fs.BoolVar(&h.channels, "channels", false, "write one bit for each channel of a site: whether it is above the knot anywhere")
	fs.BoolVar(&h.logits, "logits", false, "write the model's first output")
	fs.BoolVar(&h.complexity, "complexity", false, "write local complexity; see onnxprobe complexity for the flags it takes")
	fs.Float64SliceVar(&h.radii, "radius", []float64{0.005}, "with --complexity: distance of the vertices; several give several counts")
	fs.IntVar(&h.directions, "directions", 20, "with --complexity: orthonormal directions")
	fs.StringVar(&h.frame, "frame", "", "with --complexity: read the directions from a .npy `FILE`")
	fs.BoolVar(&h.sign3, "sign3", false, "with --complexity: count a value exactly on its knot as a third side")
	fs.BoolVar(&h.centre, "include-centre", false, "with --complexity: make the item itself a vertex too")
	fs.BoolVar(&h.faiss, "faiss", false, "write the sketches as a FAISS IndexBinaryFlat too: sketches.faiss, vector i for item i")
	fs.BoolVar(&h.strict, "strict", false, "make engine, version and device part of the job: another is refused")
	fs.BoolVar(&h.noTimes, "ignore-mtime", false, "tell inputs by name and size, where machines have copies of their own")
	h.changed = fs.Changed
}

// check reports what is wrong before anything is loaded.
func (h *hashPlan) check() error {
	if h.output == "" {
		return usagef("say where the job is kept: -o DIR")
	}
	if st, err := os.Stat(h.output); err == nil && !st.IsDir() {
		return usagef("-o %s: it is a file, and a job is a folder", h.output)
	}
	if h.overwrite {
		if h.changed("mode") && h.mode != string(jobs.Overwrite) {
			return usagef("--overwrite and --mode %s: give one", h.mode)
		}
		h.mode = string(jobs.Overwrite)
	}
	if !slices.Contains(jobs.Modes, jobs.Mode(h.mode)) {
		return usagef("--mode %q; the modes are incremental, overwrite and extend", h.mode)
	}
	forms := make([]string, 0, len(sink.Formats))
	for _, f := range sink.Formats {
		forms = append(forms, f.Name)
	}
	if !slices.Contains(forms, h.form) {
		return usagef("--output-format %q; the formats are %s", h.form, strings.Join(forms, ", "))
	}
	if h.shardSize < 1 {
		return usagef("--shard-size %d: 1 or more", h.shardSize)
	}
	if h.sketch < 0 || h.faiss && (h.sketch == 0 || h.sketch%8 != 0) {
		return usagef("--sketch %d: 0 or more, and with --faiss a multiple of 8", h.sketch)
	}
	for _, name := range []string{"radius", "directions", "frame", "sign3", "include-centre"} {
		if h.changed(name) && !h.complexity {
			return usagef("--%s goes with --complexity", name)
		}
	}
	for i, r := range h.radii {
		if !(r > 0) || math.IsInf(r, 0) || slices.Contains(h.radii[:i], r) {
			return usagef("--radius %g: radii are positive, finite and each given once", r)
		}
	}
	if h.frame != "" && h.changed("directions") {
		return usagef("--frame has its own number of directions; leave --directions out")
	}
	if h.mode == string(jobs.Extend) && h.limit > 0 {
		return usagef("--limit does not go with --mode extend")
	}
	return nil
}

// plan makes the job that the flags ask for, or finds the one that is there.
func (h *hashPlan) plan(c *cobra.Command, e *engineFlags, args []string) (*jobs.Plan, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	if _, err := e.options(); err != nil {
		return nil, err
	}
	if h.limit < 0 {
		return nil, usagef("--limit is 0 or more")
	}
	if err := h.dataFlags.check(); err != nil {
		return nil, err
	}
	m, err := h.load(args[0])
	if err != nil {
		return nil, err
	}
	sample, err := h.sample(m)
	if err != nil {
		return nil, err
	}
	v, err := probes.DataInput(m)
	if err != nil {
		return nil, err
	}
	if sample == nil {
		sample = probes.SampleShape(v)
	}
	if len(args) < 2 {
		return nil, usagef("say what to run the model on; see %s --help", c.CommandPath())
	}
	sources, err := dataset.Expand(args[1:], c.InOrStdin())
	if err != nil {
		return nil, err
	}
	o, err := h.reading(c, v, sample)
	if err != nil {
		return nil, err
	}
	ds, err := dataset.Open(sources, o)
	if err != nil {
		return nil, err
	}
	if err := h.preprocessed(ds, o); err != nil {
		return nil, err
	}
	s := jobs.Settings{Precision: e.precision, Globs: h.sites, MaxPool: h.maxPool, Gemm: h.gemm, Sketch: h.sketch, Seed: h.seed,
		Code: h.code, CodeSites: h.codeSites, Channels: h.channels, Logits: h.logits, Format: h.form, FAISS: h.faiss,
		Data: jobs.Data{Layout: h.layout, Column: h.column, Preprocess: o.Preprocess, EXIF: h.exif, MaxPixels: h.maxPixels, IgnoreTime: h.noTimes}}
	if p := s.Data.Preprocess; p != nil {
		named := *p
		named.Name = filepath.Base(p.Name)
		s.Data.Preprocess = &named
	}
	var frame *probes.Frame
	if h.complexity {
		if frame, err = openFrame(h.frame, h.directions, ds.Shape(), h.seed); err != nil {
			return nil, err
		}
		s.Complexity = &jobs.Complexity{Radii: h.radii, Frame: frame.SHA256(), Sign3: h.sign3, Centre: h.centre}
	}
	if h.strict {
		b, bo, err := e.choose(c)
		if err != nil {
			return nil, err
		}
		s.Strict = &jobs.Engine{Backend: b.Name(), Version: b.Version(), Device: bo.Device.String()}
	}
	precise, err := e.precise(m)
	if err != nil {
		return nil, err
	}
	probed, err := s.Attach(precise, ds.Shape())
	if err != nil {
		return nil, err
	}
	if s.Batch = e.batchFor(ds.Shape()); probed.Fit.Batch > 0 {
		s.Batch = probed.Fit.Batch
	}
	if bits := probed.Bits() / 8 * 8; !h.changed("sketch") && s.Sketch > bits {
		s.Sketch = bits
	}
	if err := s.Check(probed); err != nil {
		return nil, usageError{err}
	}
	p, err := jobs.New(jobs.Request{Model: m, Probed: probed, Settings: s, Data: ds, ShardSize: h.shardSize, Limit: h.limit,
		AllowLinks: h.allowLinks, Command: commandLine(c)})
	if err != nil {
		return nil, err
	}
	for _, n := range p.Manifest.Notes {
		note(c, "%s", n)
	}
	if h.mode == string(jobs.Extend) {
		old, err := jobs.Load(h.output)
		if err == nil {
			if err := old.SameSettings(p); err != nil {
				return nil, usageError{err}
			}
			n, err := old.Extend(sources, h.format)
			if err != nil {
				return nil, err
			}
			note(c, "%d new items: %d items in %d shards in all", n, old.Items, len(old.Shards))
			return old, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if err := p.Save(h.output, jobs.Mode(h.mode), frame); err != nil {
		var differs *jobs.DiffersError
		if errors.As(err, &differs) {
			return nil, usageError{err}
		}
		return nil, err
	}
	note(c, "plan: %d items in %d shards, %s", p.Items, len(p.Shards), filepath.Join(h.output, "plan.json"))
	return p, nil
}

// hashRun are the flags that say how a job is run: none changes a byte of it.
type hashRun struct {
	engineFlags
	workers, maxTries int
	retry             bool
	name              string
}

func (h *hashRun) add(fs *pflag.FlagSet) {
	h.addBackend(fs)
	h.addOptions(fs)
	fs.IntVar(&h.workers, "decoders", 0, "goroutines that read and decode; 0 takes one for each core")
	fs.IntVar(&h.maxTries, "max-tries", 3, "set a shard aside after so many tries that ended with their process, or with an error of the engine; 0 for never")
	fs.BoolVar(&h.retry, "retry", false, "try again the shards that are set aside")
	fs.StringVar(&h.name, "worker", "", "the worker's `NAME` in the records; HOST:PROCESS by default")
}

// run makes shards of a job. all is false where shards come one by one.
func (h *hashRun) run(c *cobra.Command, p *jobs.Plan, shards iter.Seq[int], all bool, report func(jobs.Result)) error {
	if _, err := h.options(); err != nil {
		return err
	}
	if h.workers < 0 || h.maxTries < 0 {
		return usagef("--decoders and --max-tries are 0 or more")
	}
	if h.workers == 0 {
		h.workers = runtime.GOMAXPROCS(0)
	}
	left, known := 0, 0
	if all {
		for i := range shards {
			if r := p.Done(i); r == nil {
				left += p.Shards[i].Items
			} else {
				known++
			}
		}
		if left == 0 {
			for i := range shards {
				r := p.Done(i)
				report(jobs.Result{Shard: i, Items: r.Items, Failed: r.Failed, Bytes: r.Bytes(), Seconds: r.Seconds.Total, Skipped: true})
			}
			note(c, "all %d shards are done already", known)
			return nil
		}
	}
	h.precision = p.Settings.Precision
	b, o, err := h.choose(c)
	if err != nil {
		return err
	}
	mf := modelFlags{allowLinks: p.AllowLinks}
	m, err := mf.load(p.Model)
	if err != nil {
		return fmt.Errorf("%w (the plan has this path; run in the folder that it counts from)", err)
	}
	precise, err := h.precise(m)
	if err != nil {
		return err
	}
	probed, err := p.Attach(precise)
	if err != nil {
		return err
	}
	r, err := probed.Open(c.Context(), b, o, p.Settings.Batch)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := p.Admit(m, r); err != nil {
		return err
	}
	show, done := jobProgress(c, left)
	w, err := p.NewWorker(r, jobs.WorkerOptions{Workers: h.workers, MaxTries: h.maxTries, Retry: h.retry, Name: h.name, Progress: show})
	if err != nil {
		return err
	}
	start := time.Now()
	err = w.Run(c.Context(), shards, report)
	done()
	d, took := w.Done(), time.Since(start)
	if d.Shards+d.Skipped > 0 {
		s := d.Seconds
		note(c, "%d items in %d shards in %s, %.4g a second; %d failed, %s written, %d shards done before", d.Items, d.Shards,
			took.Round(time.Millisecond), float64(d.Items)/took.Seconds(), d.Failed, size(d.Bytes), d.Skipped)
		note(c, "seconds: reading %.2f and decoding %.2f on %d goroutines, inference %.2f, waiting for items %.2f, writing %.2f", s.Read, s.Decode, h.workers, s.Infer, s.Wait, s.Write)
	}
	return err
}

// size is a number of bytes as people read it.
func size(n int64) string {
	units := []string{"bytes", "kB", "MB", "GB", "TB"}
	f := float64(n)
	for f >= 1000 && len(units) > 1 {
		f, units = f/1000, units[1:]
	}
	return strconv.FormatFloat(f, 'g', 4, 64) + " " + units[0]
}

// jobProgress shows how far a worker is: a line that is written over where someone
// is looking, and a line a minute elsewhere. total is 0 where it is not known.
func jobProgress(c *cobra.Command, total int) (func(jobs.Progress), func()) {
	if quiet(c) {
		return nil, func() {}
	}
	w := c.ErrOrStderr()
	f, ok := w.(*os.File)
	every, begin, end := time.Minute, "", "\n"
	if ok && term.IsTerminal(int(f.Fd())) {
		every, begin, end = 200*time.Millisecond, "\r\x1b[K", ""
	}
	start, last := time.Now(), time.Now()
	return func(p jobs.Progress) {
			now := time.Now()
			if now.Sub(last) < every {
				return
			}
			last = now
			rate := float64(p.Items) / now.Sub(start).Seconds()
			of, left := "", ""
			if total > 0 {
				of = fmt.Sprintf("/%d", total)
				left = fmt.Sprintf(", %s left", time.Duration(float64(total-p.Items)/rate*float64(time.Second)).Round(time.Second))
			}
			fmt.Fprintf(w, "%shash: %d%s items, %.4g/s%s, %d failed, %s written%s", begin, p.Items, of, rate, left, p.Failed, size(p.Bytes), end)
		}, func() {
			if begin != "" {
				fmt.Fprint(w, begin)
			}
		}
}

// stdinShards are the shard numbers on standard input, one a line; bad is told of
// the lines that are none.
func stdinShards(c *cobra.Command, bad func(string)) iter.Seq[int] {
	return func(yield func(int) bool) {
		lines := bufio.NewScanner(c.InOrStdin())
		for lines.Scan() {
			text := strings.TrimSpace(lines.Text())
			if text == "" {
				continue
			}
			i, err := strconv.Atoi(text)
			if err != nil {
				bad(text)
				continue
			}
			if !yield(i) {
				return
			}
		}
	}
}

// settle gives a job's errors their exit codes.
func settle(err error) error {
	var aside jobs.AsideError
	var lacks *jobs.IncompleteError
	if errors.As(err, &aside) || errors.As(err, &lacks) && len(lacks.Missing) == 0 && len(lacks.Bad) == 0 {
		return partly{err}
	}
	return err
}

// partly ends a job that is as done as it can be, with parts set aside.
type partly struct{ error }

func newHash() *cobra.Command {
	var h hashPlan
	var r hashRun
	var allow bool
	c := &cobra.Command{
		Use:   "hash MODEL DATA... -o DIR",
		Short: "The batch job: digests, sketches and codes of very many items",
		Long: `Runs every item through the model and writes, in shards, a row for each: id, path, label,
status, digest, sketch, and what the flags add. It can be stopped at any time, by a power
cut too: the same command goes on where it was, and the result is the same to the byte.

hash plans, runs and finishes on this machine. For many machines, plan writes DIR/plan.json
once, each worker runs its slice of the shards from the folder alone, and finish verifies
all and writes manifest.json and _SUCCESS:

  onnxprobe hash plan resnet50.onnx 'laion/{00000..00999}.tar' --preprocess imagenet -o /shared/job
  onnxprobe hash run /shared/job --shard auto/64     # in every task of an array of 64
  onnxprobe hash status /shared/job
  onnxprobe hash finish /shared/job

The tasks' index comes from Slurm, Kubernetes Indexed Jobs, AWS Batch, Cloud Run jobs or Google
Cloud Batch; see cmd/onnxprobe/examples. Any worker may be killed and run again, and two may
work on one shard. Exit codes of run: 0 the slice is done, with the items that could not be
read as rows that say so; 1 some shards are not, and running it again is useful; 2 wrong usage,
and it is not; 3 shards are set aside, since they ended their process again and again. hash
and finish end with 3 too when items could not be read.`,
		Example: `  onnxprobe hash resnet50.onnx photos/ --preprocess imagenet -o job
  onnxprobe hash resnet50.onnx photos/ more/ --preprocess imagenet -o job --mode extend
  onnxprobe hash resnet18.onnx test_batch.bin --preprocess cifar10 --code-sites 'layer4*' --channels --logits -o job
  onnxprobe hash mnist.onnx t10k-images-idx3-ubyte.gz --preprocess mnist --sketch 128 --faiss --shard-size 1000 -o job`,
		Args: atLeast(1, "a model and data"),
	}
	h.add(c.Flags())
	r.add(c.Flags())
	r.addPrecision(c.Flags())
	r.addBatch(c.Flags())
	c.Flags().BoolVar(&allow, "allow-failed", false, "finish without the shards that are set aside")
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := h.plan(c, &r.engineFlags, args)
		if err != nil {
			return err
		}
		ran := r.run(c, p, p.Slice(0, 1), true, func(res jobs.Result) { reportError(c, res) })
		var aside jobs.AsideError
		if ran != nil && !errors.As(ran, &aside) {
			return ran
		}
		return finish(c, p, allow, h.json)
	}
	c.AddCommand(newHashPlan(), newHashRun(), newHashStatus(), newHashVerify(), newHashFinish())
	return c
}

func reportError(c *cobra.Command, res jobs.Result) {
	switch {
	case res.Error != "":
		note(c, "not done: %s", res.Error)
	case res.Aside:
		note(c, "shard %d is set aside", res.Shard)
	}
}

func newHashPlan() *cobra.Command {
	var h hashPlan
	var e engineFlags
	c := &cobra.Command{
		Use:   "plan MODEL DATA... -o DIR",
		Short: "Write DIR/plan.json, once, before any worker",
		Long: `Lists the inputs and cuts them into shards. A plan that is there already must be the one
that is asked for. Paths are kept as they are given: give ones that all workers have.`,
		Example: `  onnxprobe hash plan resnet50.onnx photos/ --preprocess imagenet --shard-size 5000 -o /shared/job`,
		Args:    atLeast(1, "a model and data"),
	}
	h.add(c.Flags())
	e.addBackend(c.Flags())
	e.addOptions(c.Flags())
	e.addPrecision(c.Flags())
	e.addBatch(c.Flags())
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := h.plan(c, &e, args)
		if err != nil || !h.json {
			return err
		}
		return json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{"plan": filepath.Join(h.output, "plan.json"),
			"fingerprint": p.Fingerprint, "items": p.Items, "shards": len(p.Shards)})
	}
	return c
}

func newHashRun() *cobra.Command {
	var h hashRun
	var shard string
	var stdin, lines bool
	c := &cobra.Command{
		Use:   "run DIR [--shard i/n | --stdin]",
		Short: "Make the shards of a slice that are not done yet",
		Long: `Makes shards i, i+n, i+2n and so on of a planned job, all of them without --shard. auto/n takes
the index i from the scheduler: ` + strings.Join(jobs.IndexVariables, ", ") + `. With --stdin it makes
the shards whose numbers it reads, and writes a line of JSON for each. On SIGTERM or an
interrupt it drops the shard it is at and ends.`,
		Example: `  onnxprobe hash run /shared/job --shard 3/16
  sbatch --array=0-63 --wrap 'onnxprobe hash run /shared/job --shard auto/64'
  seq 0 99 | xargs -P 4 -n 10 sh -c 'printf "%s\n" "$@" | onnxprobe hash run /shared/job --stdin' _`,
		Args: exactly(1, "one folder"),
	}
	h.add(c.Flags())
	c.Flags().StringVar(&shard, "shard", "", "the slice, `i/n` or auto/n")
	c.Flags().BoolVar(&stdin, "stdin", false, "read shard numbers from standard input, one a line")
	c.Flags().BoolVar(&lines, "json", false, "write a line of JSON for each shard")
	c.RunE = func(c *cobra.Command, args []string) error {
		i, n := 0, 1
		var err error
		if stdin && shard != "" {
			return usagef("give --shard or --stdin")
		}
		if shard != "" {
			if i, n, err = jobs.ParseSlice(shard, os.Getenv); err != nil {
				return usageError{fmt.Errorf("--shard: %w", err)}
			}
		}
		p, err := load(args[0])
		if err != nil {
			return err
		}
		out := json.NewEncoder(c.OutOrStdout())
		report := func(res jobs.Result) {
			reportError(c, res)
			if stdin || lines {
				_ = out.Encode(res) // whoever reads it sees that it ends
			}
		}
		if !stdin {
			return settle(h.run(c, p, p.Slice(i, n), true, report))
		}
		wrong := 0
		shards := stdinShards(c, func(text string) {
			wrong++
			_ = out.Encode(map[string]any{"shard": nil, "error": fmt.Sprintf("%q is not the number of a shard", text)})
		})
		if err := h.run(c, p, shards, false, report); err != nil {
			return settle(err)
		}
		if wrong > 0 {
			return fmt.Errorf("%d lines of standard input are not numbers of shards", wrong)
		}
		return nil
	}
	return c
}

// load reads the plan of the job in a folder.
func load(dir string) (*jobs.Plan, error) {
	p, err := jobs.Load(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("%s holds no job: %w; onnxprobe hash plan makes one", dir, err)
	}
	return p, err
}

func newHashStatus() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "status DIR",
		Short:   "How far a job is",
		Example: `  onnxprobe hash status /shared/job --json`,
		Args:    exactly(1, "one folder"),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON instead of a table")
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := load(args[0])
		if err != nil {
			return err
		}
		s := p.Status()
		if asJSON {
			return json.NewEncoder(c.OutOrStdout()).Encode(s)
		}
		printStatus(c, s)
		return nil
	}
	return c
}

func printStatus(c *cobra.Command, s jobs.Status) {
	rows := [][]string{
		{"shards done", fmt.Sprintf("%d of %d", s.Done, s.Shards)},
		{"missing", numbered(s.Missing)},
		{"of these, running here", numbered(s.Running)},
		{"set aside", numbered(s.Aside)},
		{"items", fmt.Sprintf("%d of %d, %d failed", s.Finished, s.Items, s.Failed)},
		{"written", size(s.Bytes)},
	}
	if s.ItemsPerSecond > 0 {
		t := s.Seconds
		rows = append(rows, []string{"rate", fmt.Sprintf("%.4g items a second and worker", s.ItemsPerSecond)},
			[]string{"seconds", fmt.Sprintf("%.1f: reading %.1f, decoding %.1f, inference %.1f, waiting for items %.1f, writing %.1f", t.Total, t.Read, t.Decode, t.Infer, t.Wait, t.Write)})
	}
	done := "no"
	if s.Success {
		done = "yes"
	}
	table(c.OutOrStdout(), append(rows, []string{"finished", done}))
	for _, e := range s.Errors[:min(3, len(s.Errors))] {
		fmt.Fprintln(c.OutOrStdout(), "  "+e)
	}
}

func numbered(v []int) string {
	if len(v) == 0 {
		return "0"
	}
	s := fmt.Sprint(v[:min(len(v), 10)])
	if len(v) > 10 {
		s += " …"
	}
	return fmt.Sprintf("%d: %s", len(v), s)
}

func newHashVerify() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "verify DIR",
		Short: "Hold every file against the SHA-256 of its record",
		Long: `Reads every file of the shards that are done. A shard with a file that is not what its record
says is no longer done, and the next run makes it anew; verify ends with 1 then.`,
		Example: `  onnxprobe hash verify /shared/job || onnxprobe hash run /shared/job`,
		Args:    exactly(1, "one folder"),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := load(args[0])
		if err != nil {
			return err
		}
		bad, err := p.Verify(nil)
		if err != nil {
			return err
		}
		if asJSON {
			if err := json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{"shards": len(p.Shards), "mismatches": append([]jobs.Mismatch{}, bad...)}); err != nil {
				return err
			}
		}
		for _, b := range bad {
			note(c, "shard %d: %s: %s", b.Shard, b.File, b.Why)
		}
		if len(bad) > 0 {
			return fmt.Errorf("%d files are not what their records say; the next run makes their shards anew", len(bad))
		}
		return nil
	}
	return c
}

func newHashFinish() *cobra.Command {
	var asJSON, allow bool
	c := &cobra.Command{
		Use:     "finish DIR",
		Short:   "Verify all shards, then write manifest.json and _SUCCESS",
		Long:    `Anyone may call it, at any time and again: what is missing is an error that names it.`,
		Example: `  onnxprobe hash finish /shared/job`,
		Args:    exactly(1, "one folder"),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&allow, "allow-failed", false, "finish without the shards that are set aside")
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := load(args[0])
		if err != nil {
			return err
		}
		return finish(c, p, allow, asJSON)
	}
	return c
}

func finish(c *cobra.Command, p *jobs.Plan, allow, asJSON bool) error {
	s, err := p.Finish(allow, nil)
	if err != nil {
		return settle(err)
	}
	if asJSON {
		if err := json.NewEncoder(c.OutOrStdout()).Encode(s); err != nil {
			return err
		}
	}
	note(c, "%d items in %d shards, %s: %s", s.Finished, s.Done, size(s.Bytes), filepath.Join(p.Dir(), "manifest.json"))
	if s.Failed > 0 {
		return someFailed{probes.Summary{Items: s.Finished, Failed: s.Failed, Errors: s.Errors}}
	}
	return nil
}
