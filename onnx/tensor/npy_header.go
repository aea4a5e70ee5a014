package tensor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// NpyHeader is what a .npy file says about its array.
type NpyHeader struct {
	DType DType
	Shape []int
	// Fortran marks column-major data: the first axis varies fastest.
	Fortran   bool
	BigEndian bool
	// Offset is where the data begins, in bytes from the start of the file.
	Offset int64
}

// The types that .npy and ONNX share, as numpy spells them without byte order.
var npyTypes = []struct {
	code  string
	dtype DType
}{
	{"f4", Float32}, {"f8", Float64}, {"f2", Float16}, {"u1", Uint8}, {"i1", Int8}, {"u2", Uint16}, {"i2", Int16},
	{"u4", Uint32}, {"i4", Int32}, {"u8", Uint64}, {"i8", Int64}, {"b1", Bool},
}

const (
	npyMagic = "\x93NUMPY"
	// numpy refuses headers over 10,000 characters unless asked; a plain array's
	// needs 100.
	maxNpyHeader = 64 << 10
	maxNpyRank   = 64 // numpy's own limit
)

// DataBytes is the size of the array's data.
func (h NpyHeader) DataBytes() int64 { return int64(h.count()) * int64(h.DType.Bits()/8) }

func (h NpyHeader) count() int {
	if slices.Contains(h.Shape, 0) {
		return 0
	}
	return Count(h.Shape)
}

// Order is the byte order of the array's elements.
func (h NpyHeader) Order() binary.ByteOrder {
	if h.BigEndian {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// ReadNpyHeader reads a .npy file up to where its data begins.
func ReadNpyHeader(r io.Reader) (NpyHeader, error) {
	fail := func(format string, args ...any) (NpyHeader, error) {
		return NpyHeader{}, fmt.Errorf("npy: "+format, args...)
	}
	var lead [12]byte
	if n, err := io.ReadFull(r, lead[:8]); err != nil || string(lead[:6]) != npyMagic {
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return fail("reading the header: %w", err)
		}
		return fail("it does not begin as a .npy file: got %q, want %q", lead[:min(n, 6)], npyMagic)
	}
	width := 2
	switch lead[6] {
	case 1:
	case 2, 3:
		width = 4
	default:
		return fail("format version %d.%d is not known, want 1 to 3", lead[6], lead[7])
	}
	if _, err := io.ReadFull(r, lead[8:8+width]); err != nil {
		return fail("the header is cut short")
	}
	size := binary.LittleEndian.Uint32(append(slices.Clone(lead[8:8+width]), 0, 0))
	if size > maxNpyHeader {
		return fail("the header claims %d bytes, at most %d are accepted", size, maxNpyHeader)
	}
	text := make([]byte, size)
	if n, err := io.ReadFull(r, text); err != nil {
		return fail("the header is cut short: got %d bytes of %d", n, size)
	}
	h, err := parseNpyDict(string(text))
	if err != nil {
		return fail("header %.200q: %w", text, err)
	}
	h.Offset = int64(8 + width + len(text))
	return h, nil
}

// parseNpyDict reads the Python dict literal of a header.
func parseNpyDict(s string) (h NpyHeader, err error) {
	seen := map[string]bool{}
	p := &literal{s: s}
	if !p.take("{") {
		return h, errors.New("it is not a Python dict")
	}
	for !p.take("}") {
		key, ok := p.quoted()
		if !ok || !p.take(":") {
			return h, fmt.Errorf("at byte %d: want 'key': value", p.at)
		}
		if seen[key] {
			return h, fmt.Errorf("%q is there twice", key)
		}
		seen[key] = true
		switch key {
		case "descr":
			err = p.descr(&h)
		case "fortran_order":
			h.Fortran = p.take("True")
			if !h.Fortran && !p.take("False") {
				err = errors.New("fortran_order is neither True nor False")
			}
		case "shape":
			h.Shape, err = p.shape()
		default:
			err = fmt.Errorf("unknown key %q, want descr, fortran_order and shape", key)
		}
		if err != nil {
			return h, err
		}
		if !p.take(",") && !p.peek("}") {
			return h, fmt.Errorf("at byte %d: want a comma or the dict's end", p.at)
		}
	}
	if len(seen) != 3 {
		return h, errors.New("it lacks one of descr, fortran_order and shape")
	}
	bytes := int64(h.DType.Bits() / 8)
	for _, d := range h.Shape {
		if d != 0 && bytes > math.MaxInt64/2/int64(d) && !slices.Contains(h.Shape, 0) {
			return h, fmt.Errorf("shape %v overflows", h.Shape)
		}
		bytes *= int64(d)
	}
	if bytes > math.MaxInt/2 {
		return h, fmt.Errorf("shape %v does not fit this machine's memory", h.Shape)
	}
	return h, nil
}

// literal is a cursor over a Python literal.
type literal struct {
	s  string
	at int
}

func (p *literal) peek(tok string) bool {
	for p.at < len(p.s) && strings.IndexByte(" \t\r\n", p.s[p.at]) >= 0 {
		p.at++
	}
	return strings.HasPrefix(p.s[p.at:], tok)
}

func (p *literal) take(tok string) bool {
	if !p.peek(tok) {
		return false
	}
	p.at += len(tok)
	return true
}

func (p *literal) quoted() (string, bool) {
	for _, q := range []string{"'", `"`} {
		if p.take(q) {
			text, _, ok := strings.Cut(p.s[p.at:], q)
			if !ok || strings.Contains(text, `\`) {
				return "", false
			}
			p.at += len(text) + 1
			return text, true
		}
	}
	return "", false
}

func (p *literal) descr(h *NpyHeader) error {
	if p.peek("[") || p.peek("(") {
		return errors.New("structured arrays are not supported; save each field as an array of its own")
	}
	s, ok := p.quoted()
	if !ok || s == "" {
		return errors.New("descr is not a type string")
	}
	code := s
	switch s[0] {
	case '>':
		h.BigEndian = true
		fallthrough
	case '<', '|', '=':
		code = s[1:]
	}
	if strings.HasPrefix(code, "O") {
		return errors.New("object arrays are Python pickles, which can run code, and are refused; save with a numeric dtype: np.save(path, a.astype(np.float32))")
	}
	if code == "?" {
		code = "b1"
	}
	var known []string
	for _, t := range npyTypes {
		if t.code == code {
			h.DType = t.dtype
			return nil
		}
		known = append(known, t.code)
	}
	return fmt.Errorf("type %q is not supported, want one of %s", s, strings.Join(known, " "))
}

func (p *literal) shape() ([]int, error) {
	if !p.take("(") {
		return nil, errors.New("shape is not a tuple")
	}
	shape := []int{}
	for !p.take(")") {
		p.peek("")
		end := p.at
		for end < len(p.s) && p.s[end] >= '0' && p.s[end] <= '9' {
			end++
		}
		d, err := strconv.Atoi(p.s[p.at:end])
		if err != nil {
			return nil, fmt.Errorf("shape: %q is not a size", p.s[p.at:min(end+1, len(p.s))])
		}
		p.at = end
		p.take("L") // Python 2 wrote long integers so
		if shape = append(shape, d); len(shape) > maxNpyRank {
			return nil, fmt.Errorf("shape has more than %d axes", maxNpyRank)
		}
		if !p.take(",") && !p.peek(")") {
			return nil, fmt.Errorf("shape: at byte %d: want a comma or the tuple's end", p.at)
		}
	}
	return shape, nil
}

// AppendNpyHeader appends the header of a row-major little-endian array. Its
// length does not depend on the first axis, so a writer that streams rows can
// write it with shape[0] = 0 and, when the rows are counted, overwrite it in
// place.
func AppendNpyHeader(b []byte, d DType, shape ...int) ([]byte, error) {
	code := ""
	for _, t := range npyTypes {
		if t.dtype == d {
			code = t.code
		}
	}
	if code == "" {
		return nil, fmt.Errorf("npy: numpy has no type for %s; convert it to float32 first", d)
	}
	order := "<"
	if d.Bits() == 8 {
		order = "|"
	}
	dims := make([]string, len(shape))
	for i, n := range shape {
		dims[i] = strconv.Itoa(n)
	}
	tuple := strings.Join(dims, ", ")
	if len(shape) == 1 {
		tuple += ","
	}
	dict := fmt.Sprintf("{'descr': '%s%s', 'fortran_order': False, 'shape': (%s), }", order, code, tuple)
	room := len(dict)
	if len(shape) > 0 {
		room += 20 - len(dims[0]) // as if the first axis had 20 digits
	}
	total := (10 + room + 1 + 63) / 64 * 64
	if total-10 > math.MaxUint16 {
		return nil, fmt.Errorf("npy: a shape of %d axes does not fit the header", len(shape))
	}
	b = append(append(b, npyMagic...), 1, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(total-10))
	b = append(b, dict...)
	b = append(b, strings.Repeat(" ", total-10-len(dict)-1)...)
	return append(b, '\n'), nil
}
