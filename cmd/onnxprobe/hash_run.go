package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/probes"
	jobs "github.com/onnxprobe/onnxprobe/probes/job" // job is what one command line does
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/region/locate"
	"github.com/onnxprobe/onnxprobe/probes/region/segment"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// hashRun are the flags that say how a job is run: none changes a byte of it.
type hashRun struct {
	engineFlags
	decoders, maxTries int
	retry              bool
	retryErrors        string
	name               string
}

func (h *hashRun) add(fs *pflag.FlagSet) {
	h.several = true
	h.addBackend(fs)
	h.addOptions(fs)
	h.addAllowRandom(fs)
	fs.IntVar(&h.decoders, "decoders", 0, "")
	fs.IntVar(&h.maxTries, "max-tries", 3, "")
	fs.BoolVar(&h.retry, "retry", false, "")
	fs.StringVar(&h.retryErrors, "retry-errors", "", "")
	fs.StringVar(&h.name, "worker", "", "")
}

// run makes shards of a job. all is false where shards come one by one.
func (h *hashRun) run(c *cobra.Command, p *jobs.Plan, shards iter.Seq[int], all bool, report func(jobs.Result)) error {
	if _, err := h.options(); err != nil {
		return err
	}
	if h.retryErrors == "" && c.Flags().Changed("retry-errors") {
		return usagef(`--retry-errors "": say a part of the errors, or machine`)
	}
	if h.decoders < 0 || h.maxTries < 0 {
		return usagef("--decoders and --max-tries are 0 or more")
	}
	if h.decoders == 0 {
		h.decoders = runtime.GOMAXPROCS(0)
	}
	kept.Store(&goesOn)
	left := 0 // which is not known where shards come one by one
	if all {
		todo, done, err := p.Todo(shards, h.retryErrors)
		if err != nil {
			return err
		}
		if todo == 0 {
			for _, res := range done {
				report(res)
			}
			note(c, "done already: %s", text.Count(len(done), "shard"))
			return nil
		}
		left = todo
	}
	if err := p.Reach(); err != nil {
		return err
	}
	h.precision = p.Settings.Precision
	b, o, err := h.choose(c)
	if err != nil {
		return err
	}
	mf := modelFlags{allowLinks: p.AllowLinks}
	m, err := mf.load(p.ModelPath())
	if err != nil {
		return err
	}
	r, err := p.Open(c.Context(), probes.Request{Model: m, Backend: b, Options: o, Devices: h.devices})
	if c.Context().Err() != nil {
		return jobs.InterruptedError{}
	}
	if err != nil {
		return err
	}
	defer r.Close()
	if c.Name() == "run" { // hash said it when it planned the job
		noteRandom(c, m)
	}
	var layouts []region.Layout
	if p.Settings.OfRegions() {
		if layouts, err = locate.Layouts(r.Plan, func(format string, args ...any) { note(c, format, args...) }); err != nil {
			return err
		}
	}
	of, err := plannedModel(p, b, o)
	if err != nil {
		return err
	}
	defer of.Close()
	var find segment.Finder
	if of.asked() {
		find, err = of.open(c)
		if c.Context().Err() != nil {
			return jobs.InterruptedError{}
		}
		if err != nil {
			return err
		}
	}
	show, end := jobProgress(c, left)
	w, err := p.NewWorker(r, jobs.WorkerOptions{Layouts: layouts, Regions: find, Decoders: h.decoders,
		MaxTries: h.maxTries, Retry: h.retry, RetryErrors: h.retryErrors, Name: h.name, Words: withFlags, Progress: show})
	if err != nil {
		return err
	}
	start := time.Now()
	err = w.Run(c.Context(), shards, report)
	end()
	for _, n := range r.Notes() {
		note(c, "%s", n)
	}
	h.said(c, w.Done(), time.Since(start))
	return err
}

// said says what a worker has done.
func (h *hashRun) said(c *cobra.Command, d jobs.Progress, took time.Duration) {
	if d.Shards+d.Skipped == 0 {
		return
	}
	s := d.Seconds
	failed := fmt.Sprint(d.Failed, " failed")
	if n := d.Regions.Regions; n > 0 {
		failed = fmt.Sprintf("%d of %s failed", d.Regions.Failed, text.Count(n, "region"))
	}
	note(c, "%s in %s in %s, %.4g a second; %s, %s written, %s done before", text.Count(d.Items, "item"), text.Count(d.Shards, "shard"),
		took.Round(time.Millisecond), float64(d.Items)/took.Seconds(), failed, text.Size(d.Bytes), text.Count(d.Skipped, "shard"))
	note(c, "seconds: reading %.2f and decoding %.2f on %d goroutines, inference %.2f, waiting for items %.2f, writing %.2f",
		s.Read, s.Decode, h.decoders, s.Infer, s.Wait, s.Write)
}

// jobProgress shows how far a worker is: a line that is written over where someone
// is looking, and a line a minute elsewhere. total is 0 where it is not known.
func jobProgress(c *cobra.Command, total int) (func(jobs.Progress), func()) {
	if quiet(c) {
		return nil, func() {}
	}
	w := c.ErrOrStderr()
	every, begin, end := time.Minute, "", "\n"
	if attended(c) {
		every, begin, end = 200*time.Millisecond, "\r\x1b[K", ""
	}
	going, last := &pace{total: total, window: max(5*time.Second, every)}, time.Now()
	going.rate(last, 0)
	return func(p jobs.Progress) {
			now := time.Now()
			if now.Sub(last) < every {
				return
			}
			last = now
			of, at := "", ""
			if total > 0 {
				of = fmt.Sprintf("/%d", total)
			}
			if rate, left := going.rate(now, p.Items); rate > 0 {
				at = ", " + speed(rate)
				if left > 0 {
					at += ", " + timeLeft(left) + " left"
				}
			}
			fmt.Fprintf(w, "%shash: %d%s items%s, %d "+
				"failed, %s written; an interruption loses %d%s", begin, p.Items, of, at, p.Failed, text.Size(p.Bytes), p.Items-p.Kept, end)
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

func reportError(c *cobra.Command, res jobs.Result) {
	switch {
	case res.Error != "":
		note(c, "not done: %s", res.Error)
	case res.Aside:
		note(c, "shard %d is set aside", res.Shard)
	}
}

func newHashRun() *cobra.Command {
	var h hashRun
	var shard string
	var stdin, lines bool
	c := command("hash_run", exactly(1, "one folder"))
	c.Long = strings.ReplaceAll(c.Long, "VARIABLES", strings.Join(jobs.IndexVariables, "\n  "))

	h.add(c.Flags())
	c.Flags().StringVar(&shard, "shard", "", "")
	c.Flags().BoolVar(&stdin, "stdin", false, "")
	c.Flags().BoolVar(&lines, "json", false, "")
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
		p, err := load(c, args[0])
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
		// Whoever reads the lines is told once what ends it.
		settled := func(err error) error {
			var un *jobs.UnreachableError
			if errors.As(err, &un) && (stdin || lines) {
				_ = out.Encode(map[string]any{"shard": nil, "error": un.Error(), "unreachable": un.Path})
			}
			return settle(err)
		}
		if !stdin {
			return settled(h.run(c, p, p.Slice(i, n), true, report))
		}
		wrong := 0
		shards := stdinShards(c, func(text string) {
			wrong++
			_ = out.Encode(map[string]any{"shard": nil, "error": fmt.Sprintf("%q is not the number of a shard", text)})
		})
		if err := h.run(c, p, shards, false, report); err != nil {
			return settled(err)
		}
		if wrong > 0 {
			return fmt.Errorf("standard input has %s that %s no number of a shard", text.Count(wrong, "line"), text.Are(wrong))
		}
		return nil
	}
	return c
}
