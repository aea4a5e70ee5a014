package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
)

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
	f.add(fs, "what is compared: sketch, code, channels or digest; sketches where there are some, else codes; of regions channels")
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
		note(c, "%s, %s of %s in %s", count(qs.Len(), "query"), count(base.Len(), "code"), count(base.Bits, "bit"), d.Round(time.Microsecond))
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
		m := manifestOfCodes(c, map[string]any{"k": k, "query": queries, "all": all}, inputs...)
		r := searched{base, qs, found}
		if err := f.save(c, m, r.write); err != nil {
			return err
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
				return nil, nil, usagef("--query %q: %s has no item of that id, and there is no such file; it has %s, such as %s", name, base.Name, count(base.Len(), "item"), sampleOf(base))
			}
			if !isCodes(name) {
				return nil, nil, usagef("--query %q: %s has no item of that id, and the file is no result with codes. Make codes of it first, with the model, preprocessing and flags that made %s: onnxprobe codes MODEL %s ... -o query.parquet, then --query query.parquet", name, base.Name, base.Name, name)
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

// isCodes says whether a path may be a result with codes, by its name.
func isCodes(path string) bool {
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return true
	}
	switch strings.ToLower(filepath.Ext(path)) {
	case ".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff":
		return false
	}
	return true
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
