// Package encoding is about what codes say: which items have like codes, and
// which have equal ones.
package encoding

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// Codes is a set of packed codes of one width, row by row, with what is known of
// the items they belong to. Items without a code are not among the rows.
//
// The codes are held in an order of their own, made for comparing one code with
// many; At gives them back as they came.
type Codes struct {
	// Name is where the codes come from, for messages.
	Name string
	// On says what the codes are: Digest, Sketch, Code or Channels.
	On string
	// Bits is the number of bits that mean something in a row; what is left of
	// the last byte is padding, always 0.
	Bits int
	// FullBits is the number of bits of the whole code that a sketch samples; 0
	// when that is not known.
	FullBits int
	// Failed counts the items that have no code because they could not be read.
	Failed int
	// Origin is what the manifest says of the codes; nil when there is none.
	Origin *Origin
	// Notes are for whoever uses the codes.
	Notes []string

	width, words, n int
	data            []uint64
	ids, paths      texts
	labels, network labels // those of the items, and what the network predicted
	parts           []Part // of a Group; else Origin gives them
	regions         regions
	failed          map[string]string
}

// What codes can be.
const (
	Digest = "digest"
	Sketch = "sketch"
	Code   = "code"
	// Channels are one bit a channel of a site, of pictures or of regions of them.
	Channels = "channels"
)

// maxRows is the most codes in a set: rows and distances are 32-bit numbers.
const maxRows = math.MaxInt32

// NewCodes makes an empty set of codes of width bytes each.
func NewCodes(width int) (*Codes, error) {
	if width < 1 || width > math.MaxInt32/8 {
		return nil, fmt.Errorf("a code of %d bytes; want 1 to %d", width, math.MaxInt32/8)
	}
	words := (width + 7) / 8
	if words = max(words, 2); words > 2 {
		words = (words + 3) / 4 * 4 // what the scans take
	}
	return &Codes{On: Code, Bits: width * 8, width: width, words: words}, nil
}

// Append adds a code; its length is Width.
func (c *Codes) Append(code []byte) error {
	if len(code) != c.width {
		return fmt.Errorf("code %d has %d bytes, the others have %d", c.n, len(code), c.width)
	}
	if c.n == maxRows {
		return fmt.Errorf("more than %d codes", maxRows)
	}
	lane := c.n % lanes
	if lane == 0 {
		c.grow(1)
		c.data = append(c.data, make([]uint64, c.words*lanes)...)
	}
	to := c.data[len(c.data)-c.words*lanes+lane:]
	at := 0
	for ; len(code) >= 8; code = code[8:] {
		to[at] = binary.LittleEndian.Uint64(code)
		at += lanes
	}
	if len(code) > 0 {
		var last [8]byte
		copy(last[:], code)
		to[at] = binary.LittleEndian.Uint64(last[:])
	}
	c.n++
	return nil
}

// grow makes room for n more codes.
func (c *Codes) grow(n int) {
	need := (c.n + n + lanes - 1) / lanes * lanes * c.words
	if need > cap(c.data) {
		need = max(need, len(c.data)*3/2)
		data := make([]uint64, len(c.data), need)
		huge(data)
		copy(data, c.data)
		c.data = data
	}
}

// Len is the number of codes.
func (c *Codes) Len() int { return c.n }

// Width is the length of a code in bytes.
func (c *Codes) Width() int { return c.width }

// At writes code row to dst, which holds Width bytes.
func (c *Codes) At(dst []byte, row int) {
	from := c.data[row/lanes*lanes*c.words+row%lanes:]
	var last [8]byte
	for at := 0; len(dst) > 0; at += lanes {
		binary.LittleEndian.PutUint64(last[:], from[at])
		dst = dst[copy(dst, last[:]):]
	}
}

// wordsOf writes the words of a code to dst.
func (c *Codes) wordsOf(dst []uint64, row int) {
	from := c.data[row/lanes*lanes*c.words+row%lanes:]
	for i := range dst[:c.words] {
		dst[i] = from[i*lanes]
	}
}

// ID is the name of the item of a row; of a set without names, its number.
func (c *Codes) ID(row int) string {
	if c.ids.len() == 0 {
		return strconv.Itoa(row)
	}
	return c.ids.at(row)
}

// Path is the file that holds the item of a row, or "".
func (c *Codes) Path(row int) string {
	if c.paths.len() == 0 {
		return ""
	}
	return c.paths.at(row)
}

// Label is the class of the item of a row; ok is false when there is none.
func (c *Codes) Label(row int) (label Label, ok bool) {
	return c.labels.at(row)
}

// Predicted is the class that the network itself gives the item of a row: the entry of
// its first output that is the largest, the first of several. ok is false when the
// output was not read (OpenOptions.Logits) or is not there.
func (c *Codes) Predicted(row int) (label int64, ok bool) {
	l, ok := c.network.at(row)
	return l.Number, ok
}

// Rows are the rows of the items that are called id. It looks through all items.
func (c *Codes) Rows(id string) (rows []int) {
	if n, err := strconv.Atoi(id); c.ids.len() == 0 && err == nil && n >= 0 && n < c.n && strconv.Itoa(n) == id {
		return []int{n}
	}
	for i := range c.ids.len() {
		if c.ids.is(i, id) {
			rows = append(rows, i)
		}
	}
	return rows
}

// FailedWhy is the error of an item without a code; ok is false when the set has
// no such item.
func (c *Codes) FailedWhy(id string) (message string, ok bool) {
	message, ok = c.failed[id]
	return message, ok
}

// Pick is a new set of some of the rows.
func (c *Codes) Pick(rows []int) *Codes {
	p, _ := NewCodes(c.width)
	p.Name, p.On, p.Origin = c.Name, c.On, c.Origin
	p.Bits, p.FullBits, p.parts = c.Bits, c.FullBits, c.parts
	p.grow(len(rows))
	code := make([]byte, c.width)
	for _, r := range rows {
		c.At(code, r)
		_ = p.Append(code) // of the right length
		p.ids.add(c.ID(r))
		p.paths.add(c.Path(r))
		if label, ok := c.Label(r); ok {
			p.labels.put(p.n-1, label)
		}
		if label, ok := c.Predicted(r); ok {
			p.network.put(p.n-1, numbered(label))
		}
		if of, ok := c.Region(r); ok {
			p.regions.add(p.n-1, of)
		}
	}
	return p
}

// rowsFrom is the rows from a row to another.
func rowsFrom(from, to int) (rows []int) {
	for i := from; i < to; i++ {
		rows = append(rows, i)
	}
	return rows
}

// texts holds many strings without a pointer for each.
type texts struct {
	bytes []byte
	ends  []int
}

func (t *texts) len() int { return len(t.ends) }

func (t *texts) add(s string) {
	if n := len(t.bytes) + len(s); n > cap(t.bytes) {
		// As much as all that are expected take, if they are as long as those up to now, and
		// at most twice as much: what is copied often is slow.
		all := float64(n) / float64(t.len()+1) * float64(cap(t.ends))
		t.bytes = slices.Grow(t.bytes, len(s)+int(min(max(all*1.01-float64(n), 0), float64(n))))
	}
	t.bytes = append(t.bytes, s...)
	t.ends = append(t.ends, len(t.bytes))
}

// expect readies for n strings more. What a file says that it has may not come: made, and
// not grown, the room takes no memory before it is written to.
func (t *texts) expect(n int) {
	if need := len(t.ends) + n; need > cap(t.ends) {
		ends := make([]int, len(t.ends), max(need, len(t.ends)*3/2))
		copy(ends, t.ends)
		t.ends = ends
	}
}

// put is add of row i, with "" for the rows before it that have none.
func (t *texts) put(i int, s string) {
	for t.len() < i {
		t.add("")
	}
	t.add(s)
}

func (t *texts) span(i int) []byte {
	start := 0
	if i > 0 {
		start = t.ends[i-1]
	}
	return t.bytes[start:t.ends[i]]
}

func (t *texts) at(i int) string         { return string(t.span(i)) }
func (t *texts) is(i int, s string) bool { return string(t.span(i)) == s }
