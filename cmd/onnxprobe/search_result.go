package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"iter"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// searched is what a search found.
type searched struct {
	base, queries *encoding.Codes
	found         [][]encoding.Neighbor
}

// estimates says whether distances are those of samples of longer codes.
func (r *searched) estimates() bool { return r.base.On == encoding.Sketch && r.base.FullBits > 0 }

func (r *searched) write(to result.Sink) error {
	const most = 4096 // rows of a batch
	var query, id, path []string
	var rank, label, distance []int64
	var fraction, estimate, deviation []float64
	var unlabelled []bool
	flush := func() error {
		cols := []result.Column{
			{Name: "query", Values: query}, {Name: "rank", Values: rank}, {Name: "id", Values: id}, {Name: "path", Values: path},
			{Name: "label", Values: label, Null: unlabelled}, {Name: "distance", Values: distance}, {Name: "fraction", Values: fraction},
		}
		if r.estimates() {
			cols = append(cols, result.Column{Name: "estimate", Values: estimate}, result.Column{Name: "estimate_se", Values: deviation})
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
	notes := []string{fmt.Sprintf("%s against %s, by Hamming distance on the %s of %s.", count(r.queries.Len(), "query"), count(r.base.Len(), "item"), r.base.On, count(r.base.Bits, "bit"))}
	if r.estimates() {
		notes = append(notes, fmt.Sprintf("Distances of whole codes (%d bits) are estimated from sketches; ± is one standard error.", r.base.FullBits))
	}
	if len(r.found) > most {
		notes = append(notes, fmt.Sprintf("The first %s %s shown; --sheet shows more.", count(most, "query"), are(most)))
	}
	return notes
}

func (r *searched) strips(most int) iter.Seq[encoding.Strip] {
	return func(yield func(encoding.Strip) bool) {
		for q, ns := range r.found[:min(most, len(r.found))] {
			s := encoding.Strip{Title: r.queries.ID(q), Tiles: []encoding.Tile{tile(r.queries, q, "the query")}}
			for _, n := range ns {
				row := int(n.Row)
				s.Tiles = append(s.Tiles, tile(r.base, row, r.base.ID(row)+": "+r.of(n)))
			}
			if !yield(s) {
				return
			}
		}
	}
}
