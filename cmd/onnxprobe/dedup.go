package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

func newDedup() *cobra.Command {
	var f codesFlags
	var radius, keepFile string
	c := &cobra.Command{
		Use:   "dedup CODES [--radius R] [-o OUT]",
		Short: "Groups of items with equal or nearly equal codes",
		Long: `Groups the items whose codes are equal: they lie in one linear region, and digests tell.
With --radius R items whose sketches (or codes, with --on code) differ in at most R bits are
in one group, and so are those that are connected by steps of at most R bits. Groups are
exact: codes that differ in at most R bits agree in one of R+1 bands of bits, and items that
share a band are compared. Where R is too large for bands to tell items apart, all pairs
are compared, and it is said about how long that takes.

CODES is a result of codes or hash (.parquet, .npy or .jsonl), a folder of them such as a
batch job's, or a FAISS IndexBinaryFlat. Items without a code are left out and counted.
--keep lists one item of each group, its first, and all items that are in none: what is
left when duplicates are removed. Memory is that of the codes and names, and 16 bytes an
item and thread.`,
		Example: `  onnxprobe dedup photos.parquet
  onnxprobe dedup photos.parquet --radius 4 -o groups.jsonl --html groups.html --keep keep.txt
  onnxprobe dedup job/ --radius 0.02 --json
  onnxprobe dedup codes.npy --on code --radius 100 -o groups.parquet`,
		Args: exactly(1, "one result with codes"),
	}
	fs := c.Flags()
	f.add(fs, "what is compared: sketch, code, channels or digest; digests without --radius, else sketches where there are some, else codes; of regions channels")
	fs.StringVar(&radius, "radius", "0", "the most `BITS` in which near duplicates differ, or with a decimal point a fraction of all")
	fs.StringVar(&keepFile, "keep", "", "write the ids of the items to keep, one a line, to a `FILE`")
	c.RunE = func(c *cobra.Command, args []string) error {
		bits, fraction, err := parseRadius(radius)
		if err != nil {
			return err
		}
		near := bits > 0 || fraction > 0
		if f.on == encoding.Digest && near {
			return usagef("--radius %s: digests are equal or not; compare sketches or codes", radius)
		}
		if err := f.check(args); err != nil {
			return err
		}
		if keepFile != "" {
			if err := newFile(keepFile, f.force); err != nil {
				return usagef("--keep: %w", err)
			}
			if err := keep(keepFile, args); err != nil {
				return err
			}
			if keepFile == f.output || keepFile == f.html {
				return usagef("--keep and another flag name one file, %s", keepFile)
			}
		}
		codes, err := f.openFor(c, args[0], near)
		if err != nil {
			return err
		}
		if fraction > 0 {
			bits = int(fraction * float64(codes.Bits))
		}
		if bits > codes.Bits {
			return usagef("--radius %d: codes of %d bits cannot differ in more; give fewer", bits, codes.Bits)
		}
		show, done := shareDone(c, "dedup")
		start := time.Now()
		groups, err := encoding.Near(c.Context(), codes, bits, encoding.NearOptions{Threads: f.threads, Progress: show, AllPairs: func(pairs int64, about time.Duration) {
			if about > 2*time.Second {
				note(c, "a radius of %d of %d bits is too large for bands to tell items apart: all %d pairs are compared, in about %s", bits, codes.Bits, pairs, about.Round(time.Second))
			}
		}})
		done()
		if err != nil {
			return err
		}
		r := deduped{codes, groups, bits}
		sum := r.summary()
		m := manifestOfCodes(c, map[string]any{"radius": bits}, codes)
		m.Summary = sum
		if err := f.save(c, m, r.write); err != nil {
			return err
		}
		notes := []string{sum.String()}
		if len(groups) > f.sheet {
			notes = append(notes, fmt.Sprintf("The first %s %s shown; --sheet shows more.", count(f.sheet, "group"), are(f.sheet)))
		}
		if err := f.writeSheet(m, fmt.Sprintf("Duplicates in %s", codes.Name), notes, r.strips(f.sheet)); err != nil {
			return err
		}
		if keepFile != "" {
			if err := save(keepFile, f.force, m, r.writeKept); err != nil {
				return err
			}
		}
		switch {
		case f.json && f.output != "-":
			return r.printJSON(c.OutOrStdout())
		case f.output == "":
			r.print(c.OutOrStdout())
		}
		note(c, "%s, in %s", sum, time.Since(start).Round(time.Millisecond))
		return nil
	}
	return c
}

// openFor reads what is compared: for equality digests, where there are some.
func (f *codesFlags) openFor(c *cobra.Command, path string, near bool) (*encoding.Codes, error) {
	names := f.output == "" && f.html == "" && !f.json
	if f.on != "" || near {
		codes, err := f.open(c, path, f.on, names)
		if err == nil && near && codes.On == encoding.Digest {
			return nil, fmt.Errorf("%s has digests only, which are equal or not; near duplicates need sketches or codes (codes --sketch)", path)
		}
		return codes, err
	}
	if codes, err := f.open(c, path, encoding.Digest, names); err == nil {
		return codes, nil
	}
	return f.open(c, path, encoding.Code, names) // whose error is the better one
}

// parseRadius reads bits, or with a decimal point a fraction.
func parseRadius(s string) (bits int, fraction float64, err error) {
	if strings.ContainsAny(s, ".eE") {
		fraction, err = strconv.ParseFloat(s, 64)
		if err != nil || !(fraction >= 0 && fraction < 1) || math.IsNaN(fraction) {
			return 0, 0, usagef("--radius %q: a fraction is from 0 to below 1", s)
		}
		return 0, fraction, nil
	}
	bits, err = strconv.Atoi(s)
	if err != nil || bits < 0 || bits > math.MaxInt32 {
		return 0, 0, usagef("--radius %q: a number of bits, 0 or more, or a fraction such as 0.02", s)
	}
	return bits, 0, nil
}

// deduped is what dedup found.
type deduped struct {
	codes  *encoding.Codes
	groups [][]int
	radius int
}

// dedupSummary is the contract of dedup --json, and what its line says.
type dedupSummary struct {
	Codes      string `json:"codes"`
	On         string `json:"on"`
	Bits       int    `json:"bits"`
	Radius     int    `json:"radius"`
	Items      int    `json:"items"`
	Failed     int    `json:"failed"`
	Groups     int    `json:"groups"`
	Grouped    int    `json:"grouped"`
	Duplicates int    `json:"duplicates"`
	Kept       int    `json:"kept"`
}

func (s dedupSummary) String() string {
	of := "equal codes"
	if s.Radius > 0 {
		of = fmt.Sprintf("%s within %d of %d bits", map[string]string{encoding.Sketch: "sketches", encoding.Code: "codes", encoding.Channels: "channel codes"}[s.On], s.Radius, s.Bits)
	}
	line := fmt.Sprintf("%s: %d in %s of %s; without %s %d %s left", count(s.Items, "item"), s.Grouped, count(s.Groups, "group"), of, count(s.Duplicates, "duplicate"), s.Kept, are(s.Kept))
	if s.Failed > 0 {
		line += fmt.Sprintf("; %d more without a %s", s.Failed, s.On)
	}
	return line
}

func (r *deduped) summary() dedupSummary {
	s := dedupSummary{Codes: r.codes.Name, On: r.codes.On, Bits: r.codes.Bits, Radius: r.radius, Items: r.codes.Len(), Failed: r.codes.Failed, Groups: len(r.groups)}
	for _, g := range r.groups {
		s.Grouped += len(g)
	}
	s.Duplicates = s.Grouped - s.Groups
	s.Kept = s.Items - s.Duplicates
	return s
}

func (r *deduped) write(to result.Sink) error {
	const most = 4096 // rows of a batch
	var group, size, distance, label []int64
	var id, path []string
	var kept, unlabelled []bool
	flush := func() error {
		cols := []result.Column{
			{Name: "group", Values: group}, {Name: "size", Values: size}, {Name: "id", Values: id}, {Name: "path", Values: path},
			{Name: "label", Values: label, Null: unlabelled}, {Name: "distance", Values: distance}, {Name: "keep", Values: kept},
		}
		group, size, distance, label, id, path, kept, unlabelled = group[:0], size[:0], distance[:0], label[:0], id[:0], path[:0], kept[:0], unlabelled[:0]
		return to.Write(cols)
	}
	for g, rows := range r.groups {
		for i, row := range rows {
			l, ok := r.codes.Label(row)
			group, size, id, path = append(group, int64(g)), append(size, int64(len(rows))), append(id, r.codes.ID(row)), append(path, r.codes.Path(row))
			label, unlabelled = append(label, l), append(unlabelled, !ok)
			distance, kept = append(distance, int64(r.codes.Distance(rows[0], row))), append(kept, i == 0)
			if len(group) == most {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	return flush()
}

// writeKept lists the items to keep.
func (r *deduped) writeKept(w io.Writer) error {
	drop := make([]bool, r.codes.Len())
	for _, g := range r.groups {
		for _, row := range g[1:] {
			drop[row] = true
		}
	}
	b := bufio.NewWriter(w)
	for i, d := range drop {
		if !d {
			fmt.Fprintln(b, r.codes.ID(i))
		}
	}
	return b.Flush()
}

func (r *deduped) print(w io.Writer) {
	const groups, items = 50, 5 // what a person looks at
	if len(r.groups) == 0 {
		return
	}
	rows := [][]string{{"GROUP", "SIZE", "ITEMS"}}
	for g, members := range r.groups[:min(groups, len(r.groups))] {
		var ids []string
		for _, row := range members[:min(items, len(members))] {
			ids = append(ids, r.codes.ID(row))
		}
		if len(members) > items {
			ids = append(ids, fmt.Sprintf("and %d more", len(members)-items))
		}
		rows = append(rows, []string{fmt.Sprint(g), fmt.Sprint(len(members)), strings.Join(ids, "  ")})
	}
	table(w, rows)
	if len(r.groups) > groups {
		fmt.Fprintf(w, "and %d more groups; -o FILE.jsonl writes all\n", len(r.groups)-groups)
	}
}

func (r *deduped) printJSON(w io.Writer) error {
	type member struct {
		ID       string `json:"id"`
		Path     string `json:"path,omitempty"`
		Distance int    `json:"distance"`
	}
	out := struct {
		dedupSummary
		Members [][]member `json:"members"`
	}{r.summary(), [][]member{}}
	for _, g := range r.groups {
		var ms []member
		for _, row := range g {
			ms = append(ms, member{r.codes.ID(row), r.codes.Path(row), r.codes.Distance(g[0], row)})
		}
		out.Members = append(out.Members, ms)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(out)
}

func (r *deduped) strips(most int) iter.Seq[encoding.Strip] {
	const items = 100
	return func(yield func(encoding.Strip) bool) {
		for g, rows := range r.groups[:min(most, len(r.groups))] {
			s := encoding.Strip{Title: fmt.Sprintf("Group %d: %s", g, count(len(rows), "item"))}
			for i, row := range rows[:min(items, len(rows))] {
				caption := r.codes.ID(row)
				if i > 0 {
					caption += fmt.Sprintf(": %s from the first", count(r.codes.Distance(rows[0], row), "bit"))
				}
				s.Tiles = append(s.Tiles, tile(r.codes, row, caption))
			}
			if len(rows) > items {
				s.Title += fmt.Sprintf(", of which %d are shown", items)
			}
			if !yield(s) {
				return
			}
		}
	}
}
