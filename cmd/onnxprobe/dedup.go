package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// dedupFlags are those of dedup.
type dedupFlags struct {
	foundFlags
	distance, kept string
	bits           int     // of --distance
	share          float64 // of --distance with a decimal point
}

func newDedup() *cobra.Command {
	var f dedupFlags
	c := command("dedup", exactly(1, "one result with codes"))
	fs := c.Flags()
	f.add(fs, "what is compared: sketch, code, channels or digest; digests without --distance, "+
		"else sketches where there are some, else codes; of regions channels")
	fs.StringVar(&f.distance, "distance", "0",
		"the most `BITS` in which near duplicates differ, or with a decimal point a share of all")
	fs.StringVar(&f.kept, "keep", "", "write the ids of the items to keep, one a line, to a `FILE`")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.check(args); err != nil {
			return err
		}
		return f.run(c, args[0])
	}
	return c
}

// check reports what is wrong with the flags before anything is read.
func (f *dedupFlags) check(inputs []string) (err error) {
	if f.bits, f.share, err = parseDistance(f.distance); err != nil {
		return err
	}
	if f.on == encoding.Digest && f.near() {
		return usagef("--distance %s: digests are equal or not; compare sketches or codes", f.distance)
	}
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

// near says whether items with other codes are duplicates too.
func (f *dedupFlags) near() bool { return f.bits > 0 || f.share > 0 }

func (f *dedupFlags) run(c *cobra.Command, path string) error {
	kinds := []string{f.on}
	if f.on == "" && !f.near() { // digests tell which codes are equal
		kinds = []string{encoding.Digest, encoding.Code}
	}
	codes, err := f.open(c, path, f.output == "" && f.plot.path == "" && !f.json, kinds...)
	if err != nil {
		return err
	}
	if f.near() && codes.On == encoding.Digest {
		return fmt.Errorf("%s has digests only, which are equal or not; near duplicates need sketches or codes "+
			"(codes --sketch)", path)
	}
	bits := f.bits
	if f.share > 0 {
		bits = int(f.share * float64(codes.Bits))
	}
	if bits > codes.Bits {
		return usagef("--distance %d: codes of %d bits cannot differ in more; give fewer", bits, codes.Bits)
	}
	show, done := shareDone(c, "dedup")
	start := time.Now()
	r, err := encoding.Duplicates(c.Context(), codes, bits, encoding.NearOptions{
		Threads: f.threads, Progress: show,
		AllPairs: func(pairs int64, about time.Duration) {
			if about > 2*time.Second {
				note(c, "a distance of %d of %d bits is too large for bands to tell items apart: all %d pairs are compared, "+
					"in about %s", bits, codes.Bits, pairs, about.Round(time.Second))
			}
		},
	})
	done()
	if err != nil {
		return err
	}
	sum := r.Summary()
	m := manifestOfCodes(c, map[string]any{"radius": bits}, codes)
	m.Summary = sum
	if f.kept != "" {
		if err := save(f.kept, f.force, m, r.WriteKept); err != nil {
			return err
		}
	}
	err = f.tell(c, m, path, r, func(w io.Writer) error {
		const most = 50 // what a person looks at
		if len(r.Members) > 0 {
			text.Table(w, r.Table(most))
		}
		if n := len(r.Members) - most; n > 0 {
			fmt.Fprintf(w, "and %d more groups; -o FILE.jsonl writes all\n", n)
		}
		return nil
	})
	if err == nil && (!f.json || f.output == "-") { // JSON says it too
		note(c, "%s, in %s", sum, time.Since(start).Round(time.Millisecond))
	}
	return err
}

// parseDistance reads bits, or with a decimal point a share of all.
func parseDistance(s string) (bits int, share float64, err error) {
	if strings.ContainsAny(s, ".eE") {
		share, err = strconv.ParseFloat(s, 64)
		if err != nil || !(share >= 0 && share < 1) {
			return 0, 0, usagef("--distance %q: a fraction is from 0 to below 1", s)
		}
		return 0, share, nil
	}
	bits, err = strconv.Atoi(s)
	if err != nil || bits < 0 || bits > math.MaxInt32 {
		return 0, 0, usagef("--distance %q: a number of bits, 0 or more, or a fraction such as 0.02", s)
	}
	return bits, 0, nil
}
