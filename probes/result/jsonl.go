package result

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/onnxprobe/onnxprobe/probes/internal/store"
)

// jsonl writes one JSON object per row, keys in column order. Binary columns
// are lowercase hex, vectors arrays, columns with parts objects {part: value}
// where a part of width 1 is a number. Null rows, NaN and infinities are null.
type jsonl struct {
	w    io.Writer
	buf  bytes.Buffer
	text *json.Encoder // strings, into buf
}

const jsonlBuffer = 1 << 20 // bytes gathered before a write

func openJSONL(path string, _ Options, add func(string) (store.Draft, error)) (encoder, error) {
	f, err := add(path)
	if err != nil {
		return nil, err
	}
	return newJSONL(f), nil
}

func newJSONL(w io.Writer) *jsonl {
	j := &jsonl{w: w}
	j.text = json.NewEncoder(&j.buf)
	j.text.SetEscapeHTML(false)
	return j
}

func (j *jsonl) begin([]Column) error { return nil }

func (j *jsonl) end([]byte) error { return nil }

// write ends with a flush, so that whoever reads a pipe has whole rows.
func (j *jsonl) write(cols []Column, rows int) error {
	for row := range rows {
		j.list("{}", len(cols), func(i int) {
			j.string(cols[i].Name)
			j.buf.WriteByte(':')
			j.value(cols[i], row)
		})
		j.buf.WriteByte('\n')
		if j.buf.Len() >= jsonlBuffer {
			if err := j.flush(); err != nil {
				return err
			}
		}
	}
	return j.flush()
}

// list writes n things, parted by commas, between two marks.
func (j *jsonl) list(marks string, n int, write func(i int)) {
	j.buf.WriteByte(marks[0])
	for i := range n {
		if i > 0 {
			j.buf.WriteByte(',')
		}
		write(i)
	}
	j.buf.WriteByte(marks[1])
}

func (j *jsonl) flush() error {
	n, err := j.w.Write(j.buf.Bytes())
	if err == nil && n < j.buf.Len() {
		err = io.ErrShortWrite
	}
	j.buf.Reset()
	return err
}

// value writes one column's value in one row.
func (j *jsonl) value(c Column, row int) {
	lo := row * max(c.Width, 1)
	switch {
	case c.Null != nil && c.Null[row]:
		j.buf.WriteString("null")
	case c.Parts != nil:
		j.list("{}", len(c.Parts), func(i int) {
			p := c.Parts[i]
			j.string(p.Name)
			j.buf.WriteByte(':')
			j.span(c, lo, lo+p.Width, p.Width == 1)
			lo += p.Width
		})
	default:
		j.span(c, lo, lo+max(c.Width, 1), c.Width == 0)
	}
}

// span writes c.Values[lo:hi] as hex, as one scalar or as an array.
func (j *jsonl) span(c Column, lo, hi int, scalar bool) {
	switch {
	case isBinary(c):
		j.buf.WriteByte('"')
		hex.NewEncoder(&j.buf).Write(c.Values.([]uint8)[lo:hi])
		j.buf.WriteByte('"')
	case scalar:
		j.element(c.Values, lo)
	default:
		j.list("[]", hi-lo, func(i int) { j.element(c.Values, lo+i) })
	}
}

func (j *jsonl) element(values any, i int) {
	b := j.buf.AvailableBuffer()
	switch v := values.(type) {
	case []string:
		j.string(v[i])
	case []int64:
		b = strconv.AppendInt(b, v[i], 10)
	case []int32:
		b = strconv.AppendInt(b, int64(v[i]), 10)
	case []uint8:
		b = strconv.AppendUint(b, uint64(v[i]), 10)
	case []float64:
		b = appendFloat(b, v[i], 64)
	case []float32:
		b = appendFloat(b, float64(v[i]), 32)
	case []bool:
		b = strconv.AppendBool(b, v[i])
	}
	j.buf.Write(b)
}

// appendFloat writes the shortest digits that read back as f.
func appendFloat(b []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(b, "null"...)
	}
	return strconv.AppendFloat(b, f, 'g', -1, bits)
}

// string writes s quoted; bytes that are not UTF-8 become U+FFFD.
func (j *jsonl) string(s string) {
	if err := j.text.Encode(s); err != nil {
		panic(fmt.Sprintf("result: encoding a string: %v", err)) // bytes.Buffer does not fail
	}
	j.buf.Truncate(j.buf.Len() - 1) // the newline that Encode adds
}
