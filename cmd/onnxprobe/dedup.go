package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// dedupFlags are those of dedup.
type dedupFlags struct {
	foundFlags
	kept string
}

func newDedup() *cobra.Command {
	var f dedupFlags
	c := command("dedup", exactly(1, "one result with codes"))
	fs := c.Flags()
	f.add(fs)
	fs.StringVar(&f.kept, "keep", "", "")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.check(args); err != nil {
			return err
		}
		return f.run(c, args[0])
	}
	return c
}

// check reports what is wrong with the flags before anything is read.
func (f *dedupFlags) check(inputs []string) error {
	if err := f.foundFlags.check(inputs); err != nil {
		return err
	}
	if err := newOutput("--keep", f.kept, f.force, inputs); err != nil {
		return err
	}
	if f.kept != "" && (f.kept == f.output || f.kept == f.plot.path) {
		return usagef("--keep and another flag name one file, %s", f.kept)
	}
	return nil
}

func (f *dedupFlags) run(c *cobra.Command, path string) error {
	near := f.distance.near()
	kinds := []string{f.on}
	if f.on == "" && !near { // digests tell which codes are equal
		kinds = []string{encoding.Digest, encoding.Code}
	}
	codes, err := f.open(c, path, f.output == "" && f.plot.path == "" && !f.json, kinds...)
	if err != nil {
		return err
	}
	if near && codes.On == encoding.Digest {
		return fmt.Errorf("%s has digests only, which are equal or not; near duplicates need sketches or codes "+
			"(codes --sketch), and of regions channel codes (--channels)", path)
	}
	start := time.Now()
	r, err := f.groups(c, codes)
	if err != nil {
		return err
	}
	sum := r.Summary()
	m := manifestOfCodes(c, map[string]any{"radius": r.Radius, "distance": f.distance.text}, codes)
	m.Summary = sum
	if f.kept != "" {
		if err := save(f.kept, f.force, m, r.WriteKept); err != nil {
			return err
		}
	}
	err = f.tell(c, m, path, r, func(w io.Writer) error { return printGroups(w, r) })
	if err == nil && (!f.json || f.output == "-") { // JSON says it too
		note(c, "%s, in %s", sum, time.Since(start).Round(time.Millisecond))
		if !f.distance.given() && codes.Len() > 0 {
			note(c, "only equal ones are grouped; near copies differ in some bits: --distance auto, or --distance BITS")
		}
	}
	return err
}

// groups are the duplicates, with the distances of nearest items and the groups beside them
// where they are needed or cost next to nothing.
func (f *dedupFlags) groups(c *cobra.Command, codes *encoding.Codes) (*encoding.Groups, error) {
	near := f.distance.near()
	var d *encoding.Distances
	var err error
	if f.distance.auto || near && cheap(codes) {
		if d, err = f.nearest(c, codes); err != nil {
			return nil, err
		}
	}
	bits, valley, err := f.distance.of(c, codes, d)
	if err != nil {
		return nil, err
	}
	show, done := shareDone(c, "dedup")
	defer done()
	o := encoding.NearOptions{
		Threads: f.threads, Progress: show,
		AllPairs: func(pairs int64, about time.Duration) {
			if about > 2*time.Second {
				note(c, "a distance of %d of %d bits is too large for bands to tell items apart: all %d pairs are compared, "+
					"in about %s", bits, codes.Bits, pairs, about.Round(time.Second))
			}
		},
	}
	r, err := encoding.Duplicates(c.Context(), codes, bits, o)
	if err != nil {
		return nil, err
	}
	r.Nearest, r.Valley = d, valley
	if near && cheap(codes) {
		o.AllPairs = nil
		r.Around, err = encoding.CountAround(c.Context(), r, o)
	} else if f.distance.auto {
		note(c, "the groups at distances beside %d are not counted, which would take several times as long; "+
			"--distance %d says those there", bits, bits+max(codes.Bits/128, 1))
	}
	return r, err
}

// printGroups writes what was found for a person to read: the distances, and the groups.
func printGroups(w io.Writer, r *encoding.Groups) error {
	const most = 50 // what a person looks at
	if r.Nearest != nil {
		printNearest(w, r.Nearest, r.Valley, r.Radius)
	}
	if r.Around != nil {
		printAround(w, r.Around, r.Radius)
	}
	if len(r.Members) > 0 {
		text.Table(w, r.Table(most))
	}
	if n := len(r.Members) - most; n > 0 {
		fmt.Fprintf(w, "and %d more groups; -o FILE.jsonl writes all\n", n)
	}
	return nil
}
