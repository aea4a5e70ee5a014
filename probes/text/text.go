// Package text writes numbers and tables for people.
package text

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Table writes rows in aligned columns, two spaces apart. A cell that is wider than a column
// gets shifts the rest of its row, not of all.
func Table(w io.Writer, rows [][]string) {
	const widest = 120
	var widths []int
	for _, r := range rows {
		for i, s := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], min(utf8.RuneCountInString(Line(s)), widest)+2)
		}
	}
	for _, r := range rows {
		var b strings.Builder
		for i, s := range r {
			s = Line(s)
			b.WriteString(s + strings.Repeat(" ", max(widths[i]-utf8.RuneCountInString(s), 2)))
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}

// Count is a number and what is counted: "1 site", "2,048 sites", "3 queries".
func Count[N int | int64](n N, what string) string {
	if n != 1 {
		if stem, ok := strings.CutSuffix(what, "ry"); ok {
			what = stem + "rie"
		}
		if strings.HasSuffix(what, "ch") {
			what += "e"
		}
		what += "s"
	}
	return Grouped(n) + " " + what
}

// Are is the verb for so many.
func Are[N int | int64](n N) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// Grouped writes 9608704 as 9,608,704.
func Grouped[N int | int64](n N) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Size is a number of bytes: "800 bytes", "1.5 MB".
func Size(n int64) string {
	units := []string{"bytes", "kB", "MB", "GB", "TB"}
	f := float64(n)
	for f >= 1000 && len(units) > 1 {
		f, units = f/1000, units[1:]
	}
	return strconv.FormatFloat(f, 'g', 4, 64) + " " + units[0]
}

// First is the first of some texts, and how many more there are.
func First(texts []string, most int) string {
	s := strings.Join(texts[:min(most, len(texts))], ", ")
	if n := len(texts) - most; n > 0 {
		s += fmt.Sprintf(", and %d more", n)
	}
	return s
}

// Numbered is how many numbers there are, and the first of them: "2: [3 7]".
func Numbered(v []int) string {
	if len(v) == 0 {
		return "0"
	}
	s := fmt.Sprint(v[:min(len(v), 10)])
	if len(v) > 10 {
		s += " …"
	}
	return fmt.Sprintf("%d: %s", len(v), s)
}

// Line is a text on one line, without the characters by which names in hostile files would do
// something to a terminal.
func Line(s string) string { return printable(s, ' ') }

// Lines is Line of a text that may have several.
func Lines(s string) string { return printable(s, '\n') }

// Message is Lines of what is said to a person, with the middle of a very long line left out.
func Message(s string) string {
	const begin, end = 1500, 500
	lines := strings.Split(Lines(s), "\n")
	for i, line := range lines {
		r := []rune(line)
		if n := len(r) - begin - end; n > 0 {
			lines[i] = fmt.Sprintf("%s … (%s) … %s", string(r[:begin]), Count(n, "more character"), string(r[begin+n:]))
		}
	}
	return strings.Join(lines, "\n")
}

func printable(s string, newline rune) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return newline
		case r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, s)
}
