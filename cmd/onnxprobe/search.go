package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/encoding"
	"github.com/onnxprobe/onnxprobe/probes/sink"
)

// codesFlags are common to the verbs that read codes and write what they say.
type codesFlags struct {
	on, output, html string
	threads          int
	memory           float64
	sheet            int
	force, json      bool
}

func (f *codesFlags) add(fs *pflag.FlagSet, on string) {
	fs.StringVar(&f.on, "on", "", on)
	fs.StringVarP(&f.output, "output", "o", "", "the `FILE` to write: .parquet or .jsonl; - is JSON Lines on standard output")
	fs.StringVar(&f.html, "html", "", "write a contact sheet with the pictures in it, one HTML `FILE`")
	fs.IntVar(&f.sheet, "sheet", 200, "rows of the contact sheet, at most")
	fs.IntVar(&f.threads, "threads", 0, "threads that compare; 0 takes all cores")
	fs.Float64Var(&f.memory, "memory", 8, "the most `GiB` of memory that codes may take")
	fs.BoolVar(&f.force, "force", false, "replace existing results")
	fs.BoolVar(&f.json, "json", false, "print JSON instead of tables")
}

// check reports what is wrong with the flags before anything is read.
func (f *codesFlags) check(inputs []string) error {
	switch f.on {
	case "", encoding.Sketch, encoding.Code, encoding.Digest:
	default:
		return usagef("--on %q: the choices are sketch, code and digest", f.on)
	}
	if f.threads < 0 {
		return usagef("--threads %d: 0 or more", f.threads)
	}
	if !(f.memory > 0) {
		return usagef("--memory %g: more than 0", f.memory)
	}
	if f.sheet < 1 {
		return usagef("--sheet %d: 1 or more", f.sheet)
	}
	if f.output != "" && f.output != "-" {
		if strings.EqualFold(filepath.Ext(f.output), ".npy") {
			return usagef("writing %q: the results are no array; use .parquet or .jsonl", f.output)
		}
		if err := sink.Check(f.output, f.force); err != nil {
			return usageError{err}
		}
	}
	if f.html != "" {
		if err := newFile(f.html, f.force); err != nil {
			return usagef("--html: %w", err)
		}
	}
	for _, out := range []string{f.output, f.html} {
		if err := keep(out, inputs); err != nil {
			return err
		}
	}
	if f.html != "" && f.html == f.output {
		return usagef("--html and -o name one file, %s", f.html)
	}
	return nil
}

// newFile is an error when path exists, unless force is set.
func newFile(path string, force bool) error {
	if _, err := os.Lstat(path); err == nil && !force {
		return fmt.Errorf("%s exists; --force replaces it", path)
	}
	return nil
}

// open reads codes, and notes what is to be known of them.
func (f *codesFlags) open(c *cobra.Command, path, on string, names bool) (*encoding.Codes, error) {
	codes, err := encoding.Open(path, encoding.OpenOptions{On: on, MaxBytes: int64(f.memory * (1 << 30)), Names: names})
	var large *encoding.TooLargeError
	if errors.As(err, &large) {
		return nil, fmt.Errorf("%w; raise --memory, or compare sketches, which codes --sketch writes", err)
	}
	if err != nil {
		return nil, err
	}
	for _, n := range codes.Notes {
		note(c, "%s", n)
	}
	if codes.Failed > 0 {
		note(c, "%d of %d items of %s have no %s and are left out", codes.Failed, codes.Failed+codes.Len(), path, codes.On)
	}
	return codes, nil
}

// comparison is the manifest of a result made from codes.
type comparison struct {
	Tool    string         `json:"tool"`
	Version string         `json:"version"`
	Verb    string         `json:"verb"`
	Command []string       `json:"command"`
	Inputs  []compared     `json:"inputs"`
	Options map[string]any `json:"settings"`
	Summary any            `json:"summary,omitempty"`
}

// compared is one of the inputs.
type compared struct {
	Path   string           `json:"path"`
	On     string           `json:"on"`
	Items  int              `json:"items"`
	Failed int              `json:"failed"`
	Bits   int              `json:"bits"`
	Full   int              `json:"full_bits,omitempty"`
	Origin *encoding.Origin `json:"manifest,omitempty"`
}

func comparisonOf(c *cobra.Command, options map[string]any, codes ...*encoding.Codes) *comparison {
	m := &comparison{Tool: "onnxprobe", Version: probes.Version(), Verb: c.Name(), Command: commandLine(c), Options: options}
	for _, x := range codes {
		m.Inputs = append(m.Inputs, compared{x.Name, x.On, x.Len(), x.Failed, x.Bits, x.FullBits, x.Origin})
	}
	return m
}

// writeSheet writes the contact sheet, if one is asked for.
func (f *codesFlags) writeSheet(m *comparison, title string, notes []string, strips iter.Seq[encoding.Strip]) error {
	if f.html == "" {
		return nil
	}
	return sink.Save(f.html, f.force, m, func(w io.Writer) error {
		return encoding.WriteSheet(w, title, notes, strips)
	})
}

// share is how far a comparison is, for someone who looks.
func shareDone(c *cobra.Command, what string) (func(float64), func()) {
	show, done := progress(c, 1000, what)
	if show == nil {
		return nil, done
	}
	return func(d float64) { show(probes.Summary{Items: int(d * 1000)}) }, done
}

func newSearch() *cobra.Command {
	var f codesFlags
	var queries []string
	var all bool
	var k int
	c := &cobra.Command{
		Use:   "search CODES --query ITEM|CODES [-k N] [-o OUT]",
		Short: "The items with the most similar codes",
		Long: `Finds, for every query, the items whose codes differ from its own in the fewest bits:
exactly, by comparing it with all of them, the nearest first, and of items at one distance
the one that comes first. CODES is a result of codes or hash (.parquet, .npy or .jsonl), a
folder of them such as a batch job's, or a FAISS IndexBinaryFlat. A query is the id of an
item of CODES (repeat --query for several), or another result of the same model, sites and
sketch, all of whose items are queries; --all takes every item of CODES. An item is not its
own neighbor.

Sketches are compared where there are some, else whole codes. The distance of two sketches
estimates that of the codes: distance * bits / K, with its standard error beside it. With
--on digest the items in the query's own linear region are found, and no others.`,
		Example: `  onnxprobe codes resnet50.onnx photos/ --preprocess imagenet --sketch 256 --no-code -o photos.parquet
  onnxprobe search photos.parquet --query cats/0001.jpg -k 5
  onnxprobe search photos.parquet --query new.parquet -k 20 -o neighbors.parquet --html neighbors.html
  onnxprobe search job/ --all -k 1 -o -
  onnxprobe search codes.npy --query a.png --query b.png --on code --json`,
		Args: exactly(1, "one result with codes"),
	}
	fs := c.Flags()
	f.add(fs, "what is compared: sketch, code or digest; sketches where there are some, else codes")
	fs.StringArrayVar(&queries, "query", nil, "the id of an `ITEM` of CODES (repeatable), or another result with codes")
	fs.BoolVar(&all, "all", false, "every item of CODES is a query")
	fs.IntVarP(&k, "neighbors", "k", 10, "how many neighbors of a query to find")
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case k < 1:
			return usagef("-k %d: 1 or more", k)
		case all && queries != nil:
			return usagef("give --query or --all, not both")
		case !all && queries == nil:
			return usagef("say what to look for: --query ITEM, --query CODES, or --all")
		}
		if err := f.check(append(slices.Clone(args), queries...)); err != nil {
			return err
		}
		base, err := f.open(c, args[0], f.on, false)
		if err != nil {
			return err
		}
		qs, self, err := f.queries(c, base, queries, all)
		if err != nil {
			return err
		}
		show, done := shareDone(c, "search")
		start := time.Now()
		found, err := encoding.Search(c.Context(), qs, base, k, encoding.SearchOptions{Threads: f.threads, Self: self, Progress: show})
		done()
		if err != nil {
			return err
		}
		d := time.Since(start)
		note(c, "%d queries, %d codes of %d bits in %s", qs.Len(), base.Len(), base.Bits, d.Round(time.Microsecond))
		if base.On == encoding.Digest { // distances of digests say nothing but that they are equal
			for i, ns := range found {
				if n := slices.IndexFunc(ns, func(n encoding.Neighbor) bool { return n.Distance > 0 }); n >= 0 {
					found[i] = ns[:n]
				}
			}
		}
		inputs := []*encoding.Codes{base}
		if qs.Name != base.Name {
			inputs = append(inputs, qs)
		}
		m := comparisonOf(c, map[string]any{"k": k, "query": queries, "all": all}, inputs...)
		r := searched{base, qs, found}
		if f.output != "" {
			to, err := sink.Create(f.output, sink.Options{Force: f.force, Stdout: c.OutOrStdout()})
			if err != nil {
				return err
			}
			defer to.Abort()
			if err := r.write(to); err != nil {
				return err
			}
			if err := to.Commit(m); err != nil {
				return err
			}
		}
		if err := f.writeSheet(m, fmt.Sprintf("Neighbors in %s", base.Name), r.sheetNotes(f.sheet), r.strips(f.sheet)); err != nil {
			return err
		}
		switch {
		case f.json && f.output != "-":
			return r.printJSON(c.OutOrStdout(), k)
		case f.output == "":
			r.print(c.OutOrStdout())
		}
		return nil
	}
	return c
}

// queries are the codes to look for, and the rows of base that they are themselves.
func (f *codesFlags) queries(c *cobra.Command, base *encoding.Codes, names []string, all bool) (*encoding.Codes, []int, error) {
	var rows []int
	if all {
		for i := range base.Len() {
			rows = append(rows, i)
		}
		return base, rows, nil
	}
	for _, name := range names {
		found := base.Rows(name)
		if found == nil {
			if why, failed := base.FailedWhy(name); failed {
				return nil, nil, fmt.Errorf("the item %q of %s has no %s: %s", name, base.Name, base.On, why)
			}
			if _, err := os.Stat(name); err != nil {
				return nil, nil, usagef("--query %q: %s has no item of that id, and there is no such file; its %d items are called %s", name, base.Name, base.Len(), sampleOf(base))
			}
			if len(names) > 1 {
				return nil, nil, usagef("--query %q: %s has no item of that id; a file of queries stands alone", name, base.Name)
			}
			return f.queryFile(c, base, name)
		}
		if len(found) > 1 {
			note(c, "%d items are called %q; all are queries", len(found), name)
		}
		rows = append(rows, found...)
	}
	return base.Pick(rows), rows, nil
}

func (f *codesFlags) queryFile(c *cobra.Command, base *encoding.Codes, path string) (*encoding.Codes, []int, error) {
	a, aerr := os.Stat(base.Name)
	b, berr := os.Stat(path)
	if aerr == nil && berr == nil && os.SameFile(a, b) {
		return f.queries(c, base, nil, true)
	}
	qs, err := f.open(c, path, base.On, false)
	if err != nil {
		return nil, nil, err
	}
	if err := encoding.Comparable(base, qs); err != nil {
		return nil, nil, err
	}
	if base.Origin == nil || qs.Origin == nil {
		note(c, "without manifests of both, nothing says that the codes are of one model and its same sites")
	}
	return qs, nil, nil
}

func sampleOf(c *encoding.Codes) string {
	var ids []string
	for i := range min(c.Len(), 3) {
		ids = append(ids, fmt.Sprintf("%q", c.ID(i)))
	}
	if c.Len() > len(ids) {
		ids = append(ids, "...")
	}
	return strings.Join(ids, ", ")
}

// searched is what a search found.
type searched struct {
	base, queries *encoding.Codes
	found         [][]encoding.Neighbor
}

// estimates says whether distances are those of samples of longer codes.
func (r *searched) estimates() bool { return r.base.On == encoding.Sketch && r.base.FullBits > 0 }

func (r *searched) write(to probes.Sink) error {
	const most = 4096 // rows of a batch
	var query, id, path []string
	var rank, label, distance []int64
	var fraction, estimate, deviation []float64
	var unlabelled []bool
	flush := func() error {
		cols := []probes.Column{
			{Name: "query", Values: query}, {Name: "rank", Values: rank}, {Name: "id", Values: id}, {Name: "path", Values: path},
			{Name: "label", Values: label, Null: unlabelled}, {Name: "distance", Values: distance}, {Name: "fraction", Values: fraction},
		}
		if r.estimates() {
			cols = append(cols, probes.Column{Name: "estimate", Values: estimate}, probes.Column{Name: "estimate_se", Values: deviation})
		}
		query, id, path, rank, label, distance = query[:0], id[:0], path[:0], rank[:0], label[:0], distance[:0]
		fraction, estimate, deviation, unlabelled = fraction[:0], estimate[:0], deviation[:0], unlabelled[:0]
		return to.Write(cols)
	}
	for q, ns := range r.found {
		for i, n := range ns {
			row := int(n.Row)
			l, ok := r.base.Label(row)
			query, rank, id, path = append(query, r.queries.ID(q)), append(rank, int64(i+1)), append(id, r.base.ID(row)), append(path, r.base.Path(row))
			label, unlabelled, distance = append(label, l), append(unlabelled, !ok), append(distance, int64(n.Distance))
			fraction = append(fraction, float64(n.Distance)/float64(r.base.Bits))
			if r.estimates() {
				e, s := encoding.Estimate(int(n.Distance), r.base.Bits, r.base.FullBits)
				estimate, deviation = append(estimate, e), append(deviation, s)
			}
			if len(query) == most {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	return flush()
}

// of says a distance in words.
func (r *searched) of(n encoding.Neighbor) string {
	s := fmt.Sprintf("%d of %d", n.Distance, r.base.Bits)
	if r.estimates() {
		e, d := encoding.Estimate(int(n.Distance), r.base.Bits, r.base.FullBits)
		s += fmt.Sprintf("; about %.0f ± %.0f of %d", e, d, r.base.FullBits)
	}
	return s
}

func (r *searched) print(w io.Writer) {
	b := bufio.NewWriter(w)
	defer b.Flush()
	for q, ns := range r.found {
		if q > 0 {
			fmt.Fprintln(b)
		}
		fmt.Fprintf(b, "%s\n", r.queries.ID(q))
		if len(ns) == 0 {
			fmt.Fprintln(b, "  no other item")
			continue
		}
		rows := [][]string{{"  RANK", "DISTANCE", "ID", "LABEL"}}
		if r.estimates() {
			rows = [][]string{{"  RANK", "DISTANCE", "CODE", "SE", "ID", "LABEL"}}
		}
		for i, n := range ns {
			row := []string{fmt.Sprintf("  %d", i+1), fmt.Sprintf("%d/%d", n.Distance, r.base.Bits)}
			if r.estimates() {
				e, d := encoding.Estimate(int(n.Distance), r.base.Bits, r.base.FullBits)
				row = append(row, fmt.Sprintf("%.0f", e), fmt.Sprintf("%.0f", d))
			}
			label := ""
			if l, ok := r.base.Label(int(n.Row)); ok {
				label = fmt.Sprint(l)
			}
			rows = append(rows, append(row, r.base.ID(int(n.Row)), label))
		}
		table(b, rows)
	}
}

// The contract of search --json.
type (
	searchResult struct {
		Codes    string        `json:"codes"`
		On       string        `json:"on"`
		Bits     int           `json:"bits"`
		FullBits int           `json:"full_bits,omitempty"`
		Items    int           `json:"items"`
		Failed   int           `json:"failed"`
		K        int           `json:"k"`
		Queries  []queryResult `json:"queries"`
	}
	queryResult struct {
		ID        string           `json:"id"`
		Neighbors []neighborResult `json:"neighbors"`
	}
	neighborResult struct {
		ID         string   `json:"id"`
		Path       string   `json:"path,omitempty"`
		Label      *int64   `json:"label,omitempty"`
		Distance   int      `json:"distance"`
		Fraction   float64  `json:"fraction"`
		Estimate   *float64 `json:"estimate,omitempty"`
		EstimateSE *float64 `json:"estimate_se,omitempty"`
	}
)

func (r *searched) printJSON(w io.Writer, k int) error {
	out := searchResult{r.base.Name, r.base.On, r.base.Bits, r.base.FullBits, r.base.Len(), r.base.Failed, k, []queryResult{}}
	for q, ns := range r.found {
		qr := queryResult{r.queries.ID(q), []neighborResult{}}
		for _, n := range ns {
			row := int(n.Row)
			nr := neighborResult{ID: r.base.ID(row), Path: r.base.Path(row), Distance: int(n.Distance), Fraction: float64(n.Distance) / float64(r.base.Bits)}
			if l, ok := r.base.Label(row); ok {
				nr.Label = &l
			}
			if r.estimates() {
				e, s := encoding.Estimate(int(n.Distance), r.base.Bits, r.base.FullBits)
				nr.Estimate, nr.EstimateSE = &e, &s
			}
			qr.Neighbors = append(qr.Neighbors, nr)
		}
		out.Queries = append(out.Queries, qr)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(out)
}

func (r *searched) sheetNotes(most int) []string {
	notes := []string{fmt.Sprintf("%d queries against %d items, by Hamming distance on the %s of %d bits.", r.queries.Len(), r.base.Len(), r.base.On, r.base.Bits)}
	if r.estimates() {
		notes = append(notes, fmt.Sprintf("Distances of whole codes (%d bits) are estimated from sketches; ± is one standard error.", r.base.FullBits))
	}
	if len(r.found) > most {
		notes = append(notes, fmt.Sprintf("The first %d queries are shown; --sheet shows more.", most))
	}
	return notes
}

func (r *searched) strips(most int) iter.Seq[encoding.Strip] {
	return func(yield func(encoding.Strip) bool) {
		for q, ns := range r.found[:min(most, len(r.found))] {
			s := encoding.Strip{Title: r.queries.ID(q), Tiles: []encoding.Tile{{ID: r.queries.ID(q), Path: r.queries.Path(q), Caption: "the query"}}}
			for _, n := range ns {
				row := int(n.Row)
				s.Tiles = append(s.Tiles, encoding.Tile{ID: r.base.ID(row), Path: r.base.Path(row), Caption: r.base.ID(row) + ": " + r.of(n)})
			}
			if !yield(s) {
				return
			}
		}
	}
}
