package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// searchFlags are those of search.
type searchFlags struct {
	foundFlags
	queries []string
	all     bool
	k       int
}

func newSearch() *cobra.Command {
	var f searchFlags
	c := command("search", exactly(1, "one result with codes"))
	fs := c.Flags()
	f.add(fs)
	fs.StringArrayVar(&f.queries, "query", nil, "")
	fs.BoolVar(&f.all, "all", false, "")
	fs.IntVarP(&f.k, "neighbors", "k", 10, "")
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case f.k < 1:
			return usagef("-k %d: 1 or more", f.k)
		case f.all && f.queries != nil:
			return usagef("give --query or --all, not both")
		case !f.all && f.queries == nil:
			return usagef("say what to look for: --query ITEM, --query CODES, or --all")
		}
		if err := f.check(append(slices.Clone(args), f.queries...)); err != nil {
			return err
		}
		return f.run(c, args[0])
	}
	return c
}

func (f *searchFlags) run(c *cobra.Command, path string) error {
	base, err := f.open(c, path, false, f.on)
	if err != nil {
		return err
	}
	queries, self, err := f.chosen(c, base)
	if err != nil {
		return err
	}
	if f.distance.near() && base.On == encoding.Digest {
		return fmt.Errorf("%s has digests only, which are equal or not; --distance needs sketches or codes (codes --sketch)", path)
	}
	var d *encoding.Distances
	if f.distance.auto {
		if d, err = f.nearest(c, base); err != nil {
			return err
		}
	}
	within, valley, err := f.distance.of(c, base, d)
	if err != nil {
		return err
	}
	if f.distance.auto && !quiet(c) {
		printNearest(c.ErrOrStderr(), d, valley, within)
	}
	show, done := shareDone(c, "search")
	start := time.Now()
	o := encoding.SearchOptions{Threads: f.threads, Self: self, Progress: show}
	r, err := encoding.Nearest(c.Context(), queries, base, f.k, o)
	done()
	if err != nil {
		return err
	}
	settings := map[string]any{"k": f.k, "query": f.queries, "all": f.all}
	if f.distance.given() {
		r.Within(within)
		settings["distance"], settings["radius"] = f.distance.text, within
		note(c, "neighbors within %d of %s", within, text.Count(base.Bits, "bit"))
	}
	note(c, "%s, %s of %s in %s", text.Count(queries.Len(), "query"), text.Count(base.Len(), "code"), text.Count(base.Bits, "bit"),
		time.Since(start).Round(time.Microsecond))
	inputs := []*encoding.Codes{base}
	if queries.Name != base.Name {
		inputs = append(inputs, queries)
	}
	m := manifestOfCodes(c, settings, inputs...)
	return f.tell(c, m, path, r, func(w io.Writer) error { return printMatches(w, r) })
}

// chosen are the codes to look for, and the rows of base that they are themselves.
func (f *searchFlags) chosen(c *cobra.Command, base *encoding.Codes) (*encoding.Codes, []int, error) {
	if f.all {
		return base, nil, nil
	}
	rows, err := base.Lookup(f.queries...)
	var unknown *encoding.UnknownItemError
	for errors.As(err, &unknown) && f.byFile(c, base, unknown.ID) {
		rows, err = base.Lookup(f.queries...)
	}
	if errors.As(err, &unknown) {
		queries, err := f.another(c, base, unknown)
		return queries, nil, err
	}
	if err != nil {
		return nil, nil, err
	}
	for _, name := range f.queries {
		if n := len(base.Rows(name)); n > 1 {
			note(c, "%d items are called %q; all are queries", n, name)
		}
	}
	return base.Pick(rows), rows, nil
}

// byFile puts the id of an item in the place of a query that names its file otherwise: by a
// path from here, or by the end of its id. It is false where no item, or more than one, is so.
func (f *searchFlags) byFile(c *cobra.Command, base *encoding.Codes, query string) bool {
	if query == "" {
		return false
	}
	meant := ""
	for i := range base.Len() {
		id := base.ID(i)
		if base.Path(i) != query && !strings.HasSuffix(id, "/"+query) {
			continue
		}
		if meant != "" && meant != id {
			return false
		}
		meant = id
	}
	if meant == "" || meant == query {
		return false
	}
	note(c, "--query %s is the item %s", query, meant)
	for i, q := range f.queries {
		if q == query {
			f.queries[i] = meant
		}
	}
	return true
}

// another is the result that --query names instead of an item.
func (f *searchFlags) another(
	c *cobra.Command, base *encoding.Codes, unknown *encoding.UnknownItemError,
) (*encoding.Codes, error) {
	path, none := unknown.ID, fmt.Sprintf("--query %q: %s has no item of that id", unknown.ID, base.Name)
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, usagef("%s, and there is no such file; it has %s", none, unknown.Sample)
	case !st.IsDir() && pictureName.MatchString(path):
		return nil, usagef("%s, and the file is no result with codes. Make codes of it first, with the model, preprocessing "+
			"and flags that made %s: onnxprobe codes MODEL %s ... -o query.parquet, then --query query.parquet",
			none, base.Name, path)
	case len(f.queries) > 1:
		return nil, usagef("%s; a file of queries stands alone", none)
	}
	if own, err := os.Stat(base.Name); err == nil && os.SameFile(own, st) {
		return base, nil
	}
	queries, err := f.open(c, path, false, base.On)
	if err != nil {
		return nil, err
	}
	if err := encoding.Comparable(base, queries); err != nil {
		return nil, err
	}
	if n := encoding.PreparedOtherwise(base, queries); n != "" {
		note(c, "%s", n)
	}
	if base.Origin == nil || queries.Origin == nil {
		note(c, "without manifests of both, nothing says that the codes are of one model and its same sites")
	}
	return queries, nil
}

var pictureName = regexp.MustCompile(`(?i)\.(jpe?g|png|webp|bmp|gif|tiff?)$`)

func printMatches(w io.Writer, r *encoding.Matches) error {
	b := bufio.NewWriter(w)
	within := ""
	if r.Radius != nil {
		within = fmt.Sprintf(" within %s", text.Count(*r.Radius, "bit"))
	}
	for q, neighbors := range r.Found {
		if q > 0 {
			fmt.Fprintln(b)
		}
		fmt.Fprintln(b, text.Line(r.Queries.ID(q)))
		if len(neighbors) == 0 {
			fmt.Fprintln(b, "  no other item"+within)
			continue
		}
		rows := r.Table(q)
		for _, row := range rows {
			row[0] = "  " + row[0]
		}
		text.Table(b, rows)
	}
	return b.Flush()
}
