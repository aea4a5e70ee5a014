package report

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/onnxprobe/onnxprobe/probes/text"
)

// long digits are those of a number that stands alone, not part of a name or behind a point.
var longDigits = regexp.MustCompile(`(^|[ (=±])([0-9]{4,15})\b`)

// separated parts the digits of whole numbers in words of ours, 12345 to 12,345.
func separated(s string) string {
	return longDigits.ReplaceAllStringFunc(s, func(m string) string {
		at := strings.IndexAny(m, "0123456789")
		n := int64(0)
		for _, r := range m[at:] {
			n = 10*n + int64(r-'0')
		}
		return m[:at] + text.Grouped(n)
	})
}

// breaks are where a name may go on in the next line.
const breaks = "/\\_-."

// wrapped is a name as HTML that breaks behind one of breaks only.
func wrapped(s string) string {
	var b strings.Builder
	for part, rest := "", name(s, 1000); rest != ""; {
		at := strings.IndexAny(rest, breaks)
		if at < 0 {
			at = len(rest) - 1
		}
		part, rest = rest[:at+1], rest[at+1:]
		b.WriteString(escape(part))
		if rest != "" {
			b.WriteString("<wbr/>")
		}
	}
	return b.String()
}

// tail is the longest end of a name that begins behind one of breaks and fits, or where there
// is none the last characters.
func tail(s string, most int) string {
	r := []rune(name(s, 1000))
	if len(r) <= most {
		return string(r)
	}
	r = r[len(r)-most+1:]
	if at := strings.IndexAny(string(r[:len(r)-1]), breaks); at >= 0 && at < len(string(r))/2 {
		return "…" + string(r)[at+1:]
	}
	return "…" + string(r)
}

// shortened is the end of a name that is long, from one of breaks on; the last part is whole.
func shortened(s string) string {
	const most = 48
	for utf8.RuneCountInString(s) > most {
		at := strings.IndexAny(strings.TrimPrefix(s, "…"), breaks)
		if at < 0 {
			break
		}
		rest := strings.TrimPrefix(s, "…")[at+1:]
		if rest == "" || !strings.ContainsAny(rest, breaks) && utf8.RuneCountInString(rest) < 8 {
			break
		}
		s = "…" + rest
	}
	return s
}
