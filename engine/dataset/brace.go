package dataset

import (
	"fmt"
	"strconv"
	"strings"
)

// maxBraces bounds the names that one argument stands for.
const maxBraces = 1 << 20

// braces expands {000..150}, {000..150..10}, {a..f} and {train,val}, nested too,
// as bash does; what is none of these stays as it is.
func braces(s string) ([]string, error) {
	for open := range len(s) {
		alternatives, end, err := group(s, open)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", s, err)
		}
		if alternatives == nil {
			continue
		}
		tails, err := braces(s[end+1:])
		if err != nil {
			return nil, err
		}
		var out []string
		for _, a := range alternatives {
			heads, err := braces(a)
			if err != nil {
				return nil, err
			}
			if len(out)+len(heads)*len(tails) > maxBraces {
				return nil, fmt.Errorf("%q stands for more than %d names", s, maxBraces)
			}
			for _, h := range heads {
				for _, t := range tails {
					out = append(out, s[:open]+h+t)
				}
			}
		}
		return out, nil
	}
	return []string{s}, nil
}

// group is the alternatives of the braces that are opened at a place, nil where there are
// none, and where these are closed.
func group(s string, open int) (alternatives []string, end int, err error) {
	depth, from := 0, open+1
	for i := open; i < len(s) && s[open] == '{'; i++ {
		switch {
		case s[i] == '{':
			depth++
		case s[i] == '}':
			depth--
		}
		switch {
		case depth == 0 && alternatives == nil:
			alternatives, err = span(s[from:i])
			return alternatives, i, err
		case depth == 0, depth == 1 && s[i] == ',':
			alternatives = append(alternatives, s[from:i])
			from = i + 1
		}
		if depth == 0 {
			return alternatives, i, nil
		}
	}
	return nil, 0, nil
}

// span is the members of a range a..b or a..b..step; nil where it is none.
func span(s string) ([]string, error) {
	parts := strings.Split(s, "..")
	if len(parts) != 2 && len(parts) != 3 {
		return nil, nil
	}
	step := int64(1)
	if len(parts) == 3 {
		v, err := strconv.ParseInt(parts[2], 10, 32)
		if err != nil || v == 0 {
			return nil, nil
		}
		step = max(v, -v)
	}
	a, err1 := strconv.ParseInt(parts[0], 10, 62)
	b, err2 := strconv.ParseInt(parts[1], 10, 62)
	show := func(v int64) string { return string(rune(v)) }
	if err1 == nil && err2 == nil {
		width := 0
		for _, p := range parts[:2] {
			if d := strings.TrimPrefix(p, "-"); len(d) > 1 && d[0] == '0' {
				width = max(width, len(parts[0]), len(parts[1]))
			}
		}
		show = func(v int64) string { return fmt.Sprintf("%0*d", width, v) }
	} else {
		letter := func(p string) bool { return len(p) == 1 && (p[0]|0x20 >= 'a' && p[0]|0x20 <= 'z') }
		if !letter(parts[0]) || !letter(parts[1]) || parts[0] < "a" != (parts[1] < "a") {
			return nil, nil
		}
		a, b = int64(parts[0][0]), int64(parts[1][0])
	}
	n := max(a-b, b-a)/step + 1
	if n > maxBraces {
		return nil, fmt.Errorf("{%s} stands for %d names, more than %d", s, n, maxBraces)
	}
	if a > b {
		step = -step
	}
	out := make([]string, 0, n)
	for i := range n {
		out = append(out, show(a+i*step))
	}
	return out, nil
}
