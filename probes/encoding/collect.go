package encoding

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/onnxprobe/onnxprobe/probes/result"
)

// Collector is a sink that keeps the codes of a run in memory, with the items' ids and
// labels, as Open would read them from the run's result.
type Collector struct{ b builder }

// NewCollector makes a collector of the codes of a kind: Digest, Sketch or Code, which
// the run has to write, Code as one column. Beyond maxBytes of memory Write returns a
// *TooLargeError; 0 is no bound.
func NewCollector(on string, maxBytes int64) *Collector {
	return &Collector{builder{OpenOptions: OpenOptions{On: on, MaxBytes: maxBytes}, failed: map[string]string{}}}
}

// Write takes the codes of a batch.
func (c *Collector) Write(cols []result.Column) error {
	var kept []result.Column
	for _, name := range []string{"id", "error", "label", "class", c.b.On} {
		i := slices.IndexFunc(cols, func(c result.Column) bool { return c.Name == name })
		if i < 0 && (name == "id" || name == c.b.On) {
			return fmt.Errorf("collecting codes: the run writes no column %s", name)
		}
		if i >= 0 {
			kept = append(kept, cols[i])
		}
	}
	for _, col := range kept {
		if n := rowsOf(kept[0]); rowsOf(col) != n || reflect.ValueOf(col.Values).Len() != n*max(col.Width, 1) {
			return fmt.Errorf("collecting codes: %d values of the column %s for %d items",
				reflect.ValueOf(col.Values).Len(), col.Name, n)
		}
	}
	if err := c.b.write(kept, c.b.On); err != nil {
		return fmt.Errorf("collecting codes: item %d: %w", c.b.row-1, err)
	}
	return nil
}

// Commit does nothing, as Abort: there are no files.
func (c *Collector) Commit(any) error { return nil }

// Abort does nothing.
func (c *Collector) Abort() error { return nil }

// Codes are those collected so far. Give them a Name; for whole codes of several sites
// set Origin's Sites, so that Parts tells them apart.
func (c *Collector) Codes() *Codes {
	codes := c.b.c
	if codes == nil {
		codes, _ = NewCodes(1)
	}
	codes.On, codes.Failed, codes.failed = c.b.On, c.b.failures, c.b.failed
	return codes
}
