package encoding

import (
	"fmt"

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
	by := make(map[string]result.Column, len(cols))
	for _, col := range cols {
		by[col.Name] = col
	}
	ids, ok := by["id"].Values.([]string)
	if !ok {
		return fmt.Errorf("collecting codes: the run writes no ids")
	}
	message, _ := by["error"].Values.([]string)
	labels, _ := by["label"].Values.([]int64)
	codes, width := by[c.b.On], 0
	switch v := codes.Values.(type) {
	case []uint8:
		if width = codes.Width; width < 1 || len(v) != width*len(ids) {
			return fmt.Errorf("collecting codes: %d bytes of the column %s for %d items", len(v), c.b.On, len(ids))
		}
	case []string: // digests
		if len(v) != len(ids) {
			return fmt.Errorf("collecting codes: %d values of the column %s for %d items", len(v), c.b.On, len(ids))
		}
	default:
		return fmt.Errorf("collecting codes: the run writes no column %s", c.b.On)
	}
	for i := range ids {
		r := record{id: []byte(ids[i]), label: noLabel, predicted: noLabel}
		if i < len(message) {
			r.message = []byte(message[i])
		}
		if null := by["label"].Null; i < len(labels) && (null == nil || !null[i]) {
			r.label = labels[i]
		}
		if codes.Null == nil || !codes.Null[i] {
			if v, ok := codes.Values.([]uint8); ok {
				r.code = v[i*width : (i+1)*width]
			} else {
				r.code = []byte(codes.Values.([]string)[i])
			}
		}
		if err := c.b.add(&r); err != nil {
			return fmt.Errorf("collecting codes: item %d: %w", c.b.row-1, err)
		}
	}
	return nil
}

// Commit and Abort do nothing: there are no files.
func (c *Collector) Commit(any) error { return nil }
func (c *Collector) Abort() error     { return nil }

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
