package annotate

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

var errNoUTF8 = errors.New("the text is not UTF-8; write it as UTF-8 or UTF-16")

// maxLine bounds a line of a text file.
const maxLine = 16 << 20

// decodeText reads text as UTF-8: a byte order mark is dropped, and UTF-16, with one or
// beginning with an ASCII letter, is converted.
func decodeText(r io.Reader) io.Reader {
	b := bufio.NewReader(r)
	head, _ := b.Peek(3)
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		b.Discard(3)
	case bytes.HasPrefix(head, []byte("\xff\xfe")):
		b.Discard(2)
		return &wide{r: b, low: 0}
	case bytes.HasPrefix(head, []byte("\xfe\xff")):
		b.Discard(2)
		return &wide{r: b, low: 1}
	case len(head) > 1 && head[0] != 0 && head[1] == 0: // of the first letter, which is ASCII
		return &wide{r: b, low: 0}
	case len(head) > 1 && head[0] == 0 && head[1] != 0:
		return &wide{r: b, low: 1}
	}
	return b
}

// wide reads UTF-16 as UTF-8; low is which byte of a pair is the less significant.
type wide struct {
	r       *bufio.Reader
	low     int
	pending []byte
	high    rune // a first surrogate, or 0
}

func (w *wide) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(w.pending) > 0 {
			k := copy(p[n:], w.pending)
			n, w.pending = n+k, w.pending[k:]
			continue
		}
		var pair [2]byte
		if _, err = io.ReadFull(w.r, pair[:]); err != nil {
			if n > 0 {
				return n, nil
			}
			return 0, err
		}
		c := rune(pair[w.low]) | rune(pair[1-w.low])<<8
		if w.high != 0 {
			c, w.high = utf16.DecodeRune(w.high, c), 0
		} else if c >= 0xd800 && c < 0xdc00 {
			w.high = c
			continue
		}
		w.pending = utf8.AppendRune(w.pending[:0], c)
	}
	return n, nil
}

// eachLine calls use with the lines of a text that hold more than blanks; use must not
// keep them.
func eachLine(r io.Reader, use func(line int, text []byte)) error {
	sc := bufio.NewScanner(decodeText(r))
	sc.Buffer(make([]byte, 0, 64<<10), maxLine)
	n := 0
	for sc.Scan() {
		n++
		if t := bytes.TrimSpace(sc.Bytes()); len(t) > 0 {
			use(n, t)
		}
	}
	if err := sc.Err(); err != nil {
		return fmt.Errorf("line %d: %w (a line may have %d bytes)", n+1, err, maxLine)
	}
	return nil
}

// shortLines passes a text on until one of its lines is longer than maxLine.
type shortLines struct {
	r io.Reader
	n int
}

func (s *shortLines) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if i := bytes.LastIndexByte(p[:n], '\n'); i >= 0 {
		s.n = n - i - 1
	} else {
		s.n += n
	}
	if s.n > maxLine {
		return 0, fmt.Errorf("a line has more than %d bytes", maxLine)
	}
	return n, err
}

// numbers parses finite numbers, which may have blanks around them.
func numbers(fields []string) ([]float64, error) {
	out := make([]float64, len(fields))
	for i, f := range fields {
		f = strings.TrimSpace(f)
		v, err := strconv.ParseFloat(f, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("got %.40q, want a finite number", f)
		}
		out[i] = v
	}
	return out, nil
}
