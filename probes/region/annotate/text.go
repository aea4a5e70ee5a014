package annotate

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// maxLine bounds a line of a text file.
const maxLine = 16 << 20

// decodeText reads text as UTF-8: a byte order mark is dropped, and UTF-16 with one is
// converted.
func decodeText(r io.Reader) io.Reader {
	return transform.NewReader(r, unicode.BOMOverride(transform.Nop))
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
