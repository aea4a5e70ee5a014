package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/probes"
	jobs "github.com/onnxprobe/onnxprobe/probes/job" // job is what one command line does
	"github.com/onnxprobe/onnxprobe/probes/region/annotate"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// hashPlan are the flags that say what a job is.
type hashPlan struct {
	modelFlags
	dataFlags
	output, mode   string
	force, noTimes bool
	shardSize      int
	asked          jobs.Settings // as far as flags alone say them
	around         jobs.Complexity
	complexity     bool
	bySite         bool
	directions     int
	frame          string
	strict         bool
	regions        regionFlags
	regionCodes    codeRegions
	changed        func(string) bool
	runs           bool // the job is run at once
}

func (h *hashPlan) add(fs *pflag.FlagSet) {
	s := &h.asked
	h.modelFlags.add(fs)
	h.addSites(fs)
	h.dataFlags.add(fs)
	h.addRandom(fs)
	fs.StringVarP(&h.output, "output", "o", "", "")
	fs.StringVar(&h.mode, "mode", string(jobs.Incremental), "")
	fs.BoolVar(&h.force, "force", false, "")
	fs.StringVar(&s.Format, "output-format", "parquet", "")
	fs.IntVar(&h.shardSize, "shard-size", 0, "")
	fs.IntVar(&s.Sketch, "sketch", 256, "")
	fs.Uint64Var(&s.Seed, "seed", 0, "")
	fs.BoolVar(&s.Code, "code", false, "")
	fs.StringArrayVar(&s.CodeSites, "code-sites", nil, "")
	fs.BoolVar(&h.bySite, "by-site", false, "")
	fs.BoolVar(&s.Channels, "channels", false, "")
	fs.BoolVar(&s.Logits, "logits", false, "")
	fs.BoolVar(&h.complexity, "complexity", false, "")
	fs.Float64SliceVar(&h.around.Radii, "radius", []float64{0.005}, "")
	fs.IntVar(&h.directions, "directions", 20, "")
	fs.StringVar(&h.frame, "frame", "", "")
	fs.BoolVar(&h.around.Sign3, "sign3", false, "")
	fs.BoolVar(&h.around.Centre, "include-center", false, "")
	fs.BoolVar(&s.FAISS, "faiss", false, "")
	fs.BoolVar(&h.strict, "strict", false, "")
	fs.BoolVar(&h.noTimes, "ignore-mtime", false, "")
	h.regions.add(fs)
	h.regions.model.of(&h.modelFlags, &h.dataFlags)
	h.others = &otherFlags{}
	h.others.add(fs)
	h.regionCodes.addOwn(fs)
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
	if h.force {
		if h.changed("mode") && h.mode != string(jobs.Overwrite) {
			return usagef("--force begins anew, and --mode %s does not: give one", h.mode)
		}
		h.mode = string(jobs.Overwrite)
	}
	if !slices.Contains(jobs.Modes, jobs.Mode(h.mode)) {
		return usagef("--mode %q; the modes are incremental and extend; --force begins anew", h.mode)
	}
	if h.shardSize < 1 && h.changed("shard-size") {
		return usagef("--shard-size %d: 1 or more", h.shardSize)
	}
	if h.asked.Sketch < 0 || h.asked.FAISS && (h.asked.Sketch == 0 || h.asked.Sketch%8 != 0) {
		return usagef("--sketch %d: 0 or more, and with --faiss a multiple of 8", h.asked.Sketch)
	}
	for _, name := range []string{"radius", "directions", "frame", "sign3", "include-center"} {
		if h.changed(name) && !h.complexity {
			return usagef("--%s goes with --complexity", name)
		}
	}
	for i, r := range h.around.Radii {
		if !(r > 0) || math.IsInf(r, 0) || slices.Contains(h.around.Radii[:i], r) {
			return usagef("--radius %g: radii are positive, finite and each given once", r)
		}
	}
	if h.frame != "" && h.changed("directions") {
		return usagef("--frame has its own number of directions; leave --directions out")
	}
	if h.bySite {
		if len(h.asked.CodeSites) > 0 {
			return usagef("give --code-sites or --by-site, which is --code-sites of all, not both")
		}
		h.asked.CodeSites = []string{"*"}
	}
	h.regionCodes.channels = h.asked.Channels
	if err := h.regions.check(h.changed, "region-share", "region-code"); err != nil {
		return err
	}
	if err := h.regionCodes.own(h.changed); err != nil {
		return err
	}
	if err := h.checkOthers(); err != nil {
		return err
	}
	if h.others.box == "" {
		if err := h.regions.without(h.changed, "rows of regions have none", "code", "code-sites", "by-site", "logits", "faiss", "random"); err != nil {
			return err
		}
	}
	if h.regions.path != "" && !h.regions.found() && h.mode == string(jobs.Extend) {
		return usagef("--regions does not go with --mode extend: annotations are matched with all pictures at once; plan anew")
	}
	if h.mode == string(jobs.Extend) && (h.limit > 0 || h.random > 0) {
		return usagef("--limit and --random do not go with --mode extend")
	}
	return nil
}

// plan makes the job that the flags ask for, or finds the one that is there.
func (h *hashPlan) plan(c *cobra.Command, e *engineFlags, args []string) (*jobs.Plan, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	if !h.runs && !h.strict {
		if err := idleLimits(h.changed, "with --strict"); err != nil {
			return nil, err
		}
	}
	if h.mode == string(jobs.Overwrite) && !h.force {
		note(c, "--mode overwrite is --force now")
	}
	q, sources, frame, err := h.request(c, e, args)
	if err != nil {
		return nil, err
	}
	p, err := jobs.New(*q)
	var settings *jobs.SettingsError
	if errors.As(err, &settings) {
		return nil, usageError{err}
	}
	if err != nil {
		return nil, refused(err, false)
	}
	for _, n := range p.Manifest.Notes {
		note(c, "%s", n)
	}
	if h.mode == string(jobs.Extend) {
		old, err := h.extend(c, p, sources)
		if old != nil || err != nil {
			return old, err
		}
	}
	if err := p.Save(h.output, jobs.Mode(h.mode), frame); err != nil {
		var differs *jobs.DiffersError
		var other *jobs.OccupiedError
		if errors.As(err, &differs) || errors.As(err, &other) {
			return nil, usageError{err}
		}
		return nil, err
	}
	most := 0
	for _, s := range p.Shards {
		most = max(most, s.Items)
	}
	note(c, "plan: %s in %s of at most %s, %s", text.Count(p.Items, "item"), text.Count(len(p.Shards), "shard"), text.Grouped(int64(most)),
		filepath.Join(h.output, "plan.json"))
	return p, nil
}

// request is what a plan is asked for, with the sources of its items and the frame of local
// complexity.
func (h *hashPlan) request(c *cobra.Command, e *engineFlags, args []string) (
	q *jobs.Request, sources []string, frame *probes.Frame, err error) {
	o, err := e.options()
	if err != nil {
		return nil, nil, nil, err
	}
	m, err := h.load(args[0])
	if err == nil && h.runs {
		err = o.CheckRandom(m)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	sample, err := h.sample(m)
	if err != nil {
		return nil, nil, nil, err
	}
	v, ports, err := probes.Inputs(m)
	if err != nil {
		return nil, nil, nil, err
	}
	q = &jobs.Request{Model: m, Settings: h.asked, ShardSize: h.shardSize, Limit: h.limit, FewBits: !h.changed("sketch"),
		StrictSites: h.strictSites, AllowLinks: h.allowLinks, Command: commandLine(c), Regions: h.regions.path}
	s := &q.Settings
	s.Precision, s.Batch = e.precision, e.batch
	s.Globs, s.MaxPool, s.Gemm = h.sites, h.maxPool, h.gemm
	if sources, q.Data, err = h.inputs(c, s, v, sample, args[1:]); err != nil {
		return nil, nil, nil, err
	}
	if old, err := jobs.Load(h.output); err == nil && h.mode != string(jobs.Overwrite) {
		q.Old = old
	}
	if q.Sides, err = h.beside(c, q.Data, ports, s); err != nil {
		return nil, nil, nil, err
	}
	if q.Matched, err = h.askRegions(c, s, q.Data); err != nil {
		return nil, nil, nil, err
	}
	if h.complexity {
		if frame, err = openFrame(h.frame, h.directions, q.Data.Shape(), s.Seed); err != nil {
			return nil, nil, nil, err
		}
		h.around.Frame = frame.SHA256()
		s.Complexity = &h.around
	}
	if h.strict {
		b, _, err := e.choose(c)
		if err != nil {
			return nil, nil, nil, err
		}
		s.Strict = &jobs.Engine{Backend: b.Name(), Version: b.Version(), Device: e.deviceList()}
	}
	return q, sources, frame, nil
}

// askRegions says in the settings which regions rows are of, and matches annotated ones
// with the pictures.
func (h *hashPlan) askRegions(c *cobra.Command, s *jobs.Settings, ds dataset.Dataset) (*annotate.Matched, error) {
	if h.regions.path == "" {
		return nil, nil
	}
	said := map[string]any{}
	if err := h.regions.read(c, said); err != nil {
		return nil, err
	}
	if !h.changed("sketch") && s.Boxes == nil { // which regions of one set of units alone have in common
		s.Sketch = 0
	}
	s.ChannelShare = h.regionCodes.share
	sum, _ := said["regions"].(map[string]any)["sha256"].(string) // of annotations
	s.Regions = &jobs.Regions{SHA256: sum, Method: h.regions.method, Model: h.regions.model.settings, Rule: h.regions.rule, Code: h.regionCodes.code}
	var err error
	if s.Regions.Options, err = h.regions.options(); err != nil {
		return nil, err
	}
	if h.regions.found() {
		return h.regions.set.Match(ds), nil
	}
	where, err := h.regions.located(c)
	if err != nil {
		return nil, err
	}
	return where.Match(ds)
}

// extend adds to the job that is there what of the sources it does not have; without
// one it gives nil.
func (h *hashPlan) extend(c *cobra.Command, p *jobs.Plan, sources []string) (*jobs.Plan, error) {
	old, err := jobs.Load(h.output)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := old.SameSettings(p); err != nil {
		return nil, usageError{err}
	}
	if old.Changed != nil {
		note(c, "%s: %v; it is written anew", filepath.Join(h.output, "plan.json"), old.Changed)
	}
	n, err := old.Extend(sources, h.format)
	if err != nil {
		return nil, err
	}
	note(c, "%s: %s in %s in all", text.Count(n, "new item"), text.Count(old.Items, "item"), text.Count(len(old.Shards), "shard"))
	return old, nil
}

func newHashPlan() *cobra.Command {
	var h hashPlan
	var e engineFlags
	c := command("hash_plan", atLeast(1, "a model and data"))
	h.add(c.Flags())
	e.addBackend(c.Flags())
	e.several = true
	e.addOptions(c.Flags())
	e.addPrecision(c.Flags())
	e.addBatch(c.Flags())
	hide(c.Flags(), "GPU")
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
