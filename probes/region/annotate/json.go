package annotate

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxElement bounds what one element of a JSON file takes in memory.
const maxElement = 256 << 20

// jsonStream reads a JSON file element by element and knows their lines.
type jsonStream struct {
	*json.Decoder
	src *jsonSource
	// head is how the file begins.
	head []byte
}

func newJSONStream(r io.Reader) *jsonStream {
	src := &jsonSource{r: bufio.NewReaderSize(decodeText(r), 64<<10), left: maxElement}
	head, _ := src.r.Peek(4 << 10)
	return &jsonStream{json.NewDecoder(src), src, bytes.Clone(head)}
}

// line is the line on which what was read last ends.
func (s *jsonStream) line() int {
	at := s.InputOffset()
	for len(s.src.ends) > 0 && s.src.ends[0] < at {
		s.src.lines, s.src.ends = s.src.lines+1, s.src.ends[1:]
	}
	s.src.left = maxElement
	return s.src.lines + 1
}

// element reads a value and the line on which it begins. bad says that the value is
// not of v's type, err that the file cannot be read on.
func (s *jsonStream) element(v any) (line int, bad, err error) {
	var raw json.RawMessage
	if err := s.Decode(&raw); err != nil {
		return s.line(), nil, err
	}
	line = s.line() - bytes.Count(raw, []byte("\n"))
	if !utf8.Valid(raw) {
		return line, errNoUTF8, nil
	}
	return line, unmarshal(raw, v), nil
}

func (s *jsonStream) expect(want json.Delim) error {
	t, err := s.Token()
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("line %d: got %s, want %v", s.line(), tokenText(t), want)
	}
	return nil
}

// end says that something comes behind the document.
func (s *jsonStream) end() error {
	at := s.line()
	_, err := s.Token()
	if err == io.EOF {
		return nil
	}
	var syntax *json.SyntaxError
	if err != nil && !errors.As(err, &syntax) {
		return err
	}
	return fmt.Errorf("line %d: got more behind the end of the document; want one JSON document; the rest is not read", at)
}

// elements calls use, which reads an element, for each of a list whose opening bracket was
// read.
func (s *jsonStream) elements(use func(*jsonStream) error) error {
	for s.More() {
		if err := use(s); err != nil {
			return err
		}
	}
	return s.expect(']')
}

// firstKeys are the keys of the file's object, or of the first object of its list, as far as
// it can be read.
func (s *jsonStream) firstKeys() (keys []string) {
	t, err := s.Token()
	if t == json.Delim('[') {
		t, err = s.Token()
	}
	if t != json.Delim('{') {
		return nil
	}
	for err == nil && s.More() && len(keys) < 100 {
		if t, err = s.Token(); err == nil {
			keys = append(keys, fmt.Sprint(t))
			if t, err = s.Token(); err == nil {
				err = s.skip(t)
			}
		}
	}
	return keys
}

// keysOf are the keys of an object; nil where it is none.
func keysOf(raw []byte) []string {
	var v map[string]json.RawMessage
	if json.Unmarshal(raw, &v) != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(v))
}

// tokenText is a token as a file has it.
func tokenText(t json.Token) string {
	if t == nil {
		return "null"
	}
	return fmt.Sprintf("%.40v", t)
}

// unmarshal is json.Unmarshal whose errors speak of JSON's types, not of Go's.
func unmarshal(raw []byte, v any) error {
	err := json.Unmarshal(raw, v)
	var t *json.UnmarshalTypeError
	if !errors.As(err, &t) {
		return err
	}
	want := "a number"
	switch t.Type.Kind() {
	case reflect.String:
		want = "a string"
	case reflect.Bool:
		want = "true or false"
	case reflect.Slice, reflect.Array:
		want = "a list"
	case reflect.Struct, reflect.Map:
		want = "an object"
	}
	where := ""
	if t.Field != "" {
		where = strings.ToLower(t.Field) + " "
	}
	got, _, _ := strings.Cut(t.Value, " ")
	if got == "array" {
		got = "list"
	}
	return fmt.Errorf("%sgot a JSON %s, want %s", where, got, want)
}

// skip passes over the rest of a value that began with a token.
func (s *jsonStream) skip(t json.Token) (err error) {
	for depth := 0; ; {
		switch t {
		case json.Delim('['), json.Delim('{'):
			depth++
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
		s.line()
		if depth == 0 {
			return nil
		}
		if t, err = s.Token(); err != nil {
			return err
		}
	}
}

// jsonSource passes a file on and notes where its lines end. NaN and Infinity, which
// JSON has not and Python writes, become strings of the same length, so that they
// spoil their own element alone.
type jsonSource struct {
	r     *bufio.Reader
	at    int64
	ends  []int64 // of lines not yet counted
	lines int
	left  int // bytes until line is called

	quoted, escaped bool
	pending         string
}

var noNumbers = []struct{ word, instead string }{{"NaN", `"N"`}, {"Infinity", `"Infin"` + " "}, {"-Infinity", `"-Infin"` + " "}}

func (s *jsonSource) Read(p []byte) (n int, err error) {
	for n < len(p) && n < s.left {
		if n > 0 && len(s.pending) == 0 && s.r.Buffered() == 0 {
			break
		}
		c, err := s.next()
		if err != nil {
			return n, err
		}
		p[n] = c
		n++
		s.at++
	}
	if s.left -= n; s.left <= 0 {
		return n, fmt.Errorf("an element has more than %d bytes", maxElement)
	}
	return n, nil
}

func (s *jsonSource) next() (c byte, err error) {
	if len(s.pending) > 0 {
		c, s.pending = s.pending[0], s.pending[1:]
		return c, nil
	}
	if c, err = s.r.ReadByte(); err != nil {
		return 0, err
	}
	switch {
	case c == '\n':
		s.ends = append(s.ends, s.at)
	case s.escaped:
		s.escaped = false
	case s.quoted:
		s.quoted, s.escaped = c != '"', c == '\\'
	case c == '"':
		s.quoted = true
	case c == 'N' || c == 'I' || c == '-':
		return s.replace(c), nil
	}
	return c, nil
}

// replace is the first byte of what stands for a word that is no number.
func (s *jsonSource) replace(c byte) byte {
	for _, w := range noNumbers {
		if rest, _ := s.r.Peek(len(w.word) - 1); w.word[0] == c && string(rest) == w.word[1:] {
			s.r.Discard(len(rest))
			s.pending = w.instead[1:]
			return w.instead[0]
		}
	}
	return c
}

// number is a number or, as NaN, one of the strings that jsonSource makes.
type number float64

func (n *number) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `"N"`, `"Infin"`, `"-Infin"`:
		*n = number(math.NaN())
		return nil
	}
	v, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return fmt.Errorf("got %.40s, want a number", b)
	}
	*n = number(v)
	return nil
}

// whole is a whole number, which may be written as 3.0.
type whole int

func (n *whole) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseFloat(string(b), 64)
	if err != nil || v != math.Trunc(v) || math.Abs(v) > 1<<52 {
		return fmt.Errorf("got %.40s, want a whole number", b)
	}
	*n = whole(v)
	return nil
}

// name is a string, or the digits of a number: 1.0 is 1.
type name string

func (n *name) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(n))
	}
	t := string(b)
	v, err := strconv.ParseFloat(t, 64)
	if err != nil || math.IsInf(v, 0) {
		return fmt.Errorf("got %.40s, want a number or a string", b)
	}
	if strings.ContainsAny(t, ".eE") {
		t = strconv.FormatFloat(v, 'f', -1, 64)
	}
	*n = name(t)
	return nil
}
