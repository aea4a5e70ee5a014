package annotate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// maxYAML bounds a data.yaml.
const maxYAML = 4 << 20

// ReadYAMLNames reads class names by number from the top-level key names of a data.yaml,
// as Ultralytics writes it (https://docs.ultralytics.com/datasets/detect): a list, or a map
// from 0 to the number of names less one, in block or in flow style, of plain and quoted
// names. It is nil where there is no such key. Other keys are passed over, and other
// YAML in the key is an error.
func ReadYAMLNames(r io.Reader) ([]string, error) {
	b, err := io.ReadAll(io.LimitReader(decodeText(r), maxYAML+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxYAML {
		return nil, fmt.Errorf("the file has more than %d bytes", maxYAML)
	}
	text := strings.Split(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n")
	at := -1
	for i, line := range text {
		switch key := namesKey.FindString(line); {
		case key == "":
		case at >= 0:
			return nil, fmt.Errorf("names, line %d: the key is on line %d already", i+1, at+1)
		default:
			at, text[i] = i, line[len(key):]
		}
	}
	if at < 0 {
		return nil, nil
	}
	y := yamlNames{line: at + 1, of: map[int]string{}}
	if rest := strings.TrimSpace(comment(text[at])); rest == "" {
		err = y.block(text[at+1:])
	} else {
		err = y.flow(strings.Join(append([]string{rest}, text[at+1:]...), "\n"))
	}
	var names []string
	if err == nil {
		names, err = y.names()
	}
	if err != nil {
		return nil, fmt.Errorf("names, line %d: %w", y.line, err)
	}
	return names, nil
}

// namesKey is the key at the start of a line, up to its colon.
var namesKey = regexp.MustCompile(`^(?:names|"names"|'names')[ \t]*:(?:[ \t]|$)`)

// yamlNames gathers names by number.
type yamlNames struct {
	line  int // of what was read last
	items int // of a list
	of    map[int]string
}

// add takes a name; the key is "" in a list.
func (y *yamlNames) add(key, name string) error {
	k := y.items
	if key == "" {
		y.items++
	} else {
		var err error
		if k, err = strconv.Atoi(key); err != nil || k < 0 {
			return fmt.Errorf("got the key %.40q, want the number of a class", key)
		}
	}
	if _, twice := y.of[k]; twice {
		return fmt.Errorf("class %d is named twice", k)
	}
	y.of[k] = name
	return nil
}

func (y *yamlNames) names() ([]string, error) {
	if len(y.of) == 0 {
		return nil, errors.New("got nothing, want a list or a map of names")
	}
	names := make([]string, len(y.of))
	for k, n := range y.of {
		if k >= len(names) {
			return nil, fmt.Errorf("got class %d among %d names, want the numbers from 0 to %d", k, len(names), len(names)-1)
		}
		names[k] = n
	}
	return names, nil
}

// block reads "- name" or "number: name" lines, of one indentation, until the next key.
func (y *yamlNames) block(text []string) error {
	depth, list := -1, false
	for _, line := range text {
		y.line++
		entry := strings.TrimLeft(line, " ")
		if t := strings.TrimSpace(comment(entry)); t == "" {
			continue
		} else if t == "---" || t == "..." {
			return nil
		}
		item, isItem := strings.CutPrefix(entry, "-")
		isItem = isItem && (item == "" || item[0] == ' ' || item[0] == '\t')
		at := len(line) - len(entry)
		if depth < 0 {
			depth, list = at, isItem
		}
		if at == 0 && !isItem {
			return nil
		}
		if at != depth || isItem != list {
			return fmt.Errorf("got %.60q, want entries of one kind and indentation", line)
		}
		if err := y.entry(item, isItem); err != nil {
			return err
		}
	}
	return nil
}

func (y *yamlNames) entry(text string, item bool) error {
	c := cursor{text: text}
	key := ""
	if !item {
		var err error
		if key, err = c.scalar(":"); err != nil {
			return err
		}
		if c.peek() != ':' {
			return fmt.Errorf("got %.60q, want NUMBER: NAME or - NAME", strings.TrimSpace(text))
		}
		c.at++
	}
	name, err := c.scalar("")
	if err != nil {
		return err
	}
	if c.peek() != 0 {
		return fmt.Errorf("got %.60q behind a name, want the line's end", c.text[c.at:])
	}
	return y.add(key, name)
}

// flow reads [name, ...] or {number: name, ...}, which may go over several lines.
func (y *yamlNames) flow(text string) error {
	first := y.line
	c := cursor{text: text}
	defer func() { y.line = first + strings.Count(text[:min(c.at, len(text))], "\n") }()
	open := c.peek()
	end := map[byte]byte{'[': ']', '{': '}'}[open]
	if end == 0 {
		line, _, _ := strings.Cut(text, "\n")
		return fmt.Errorf("got %.60q, want a list or a map of names", line)
	}
	c.at++
	for c.peek() != end {
		key := ""
		var err error
		if open == '{' {
			if key, err = c.scalar(":"); err == nil && c.peek() != ':' {
				err = fmt.Errorf("got %.40q without a colon, want NUMBER: NAME", key)
			}
			c.at++
		}
		var name string
		if err == nil {
			name, err = c.scalar(",[]{}")
		}
		if err == nil {
			err = y.add(key, name)
		}
		if err != nil {
			return err
		}
		if c.peek() == ',' {
			c.at++
		} else if c.peek() != end {
			return fmt.Errorf("the list got no %q or comma behind %.40q", end, name)
		}
	}
	rest, _, _ := strings.Cut(text[c.at+1:], "\n")
	if (&cursor{text: " " + rest}).peek() != 0 {
		return fmt.Errorf("got %.60q behind the names, want the line's end", rest)
	}
	return nil
}

// cursor reads YAML scalars.
type cursor struct {
	text string
	at   int
}

// peek is the next byte that is no blank and in no comment, 0 at the end.
func (c *cursor) peek() byte {
	for c.at < len(c.text) {
		switch b := c.text[c.at]; {
		case b == '#' && (c.at == 0 || strings.IndexByte(" \t\n", c.text[c.at-1]) >= 0):
			if n := strings.IndexByte(c.text[c.at:], '\n'); n >= 0 {
				c.at += n
			} else {
				c.at = len(c.text)
			}
		case strings.IndexByte(" \t\n", b) < 0:
			return b
		default:
			c.at++
		}
	}
	return 0
}

// scalar reads a quoted text, or a plain one up to a byte of stop, a comment or the end
// of the line.
func (c *cursor) scalar(stop string) (string, error) {
	switch b := c.peek(); b {
	case '\'', '"':
		return c.quoted(b)
	case 0, ',', ']', '}', ':':
		return "", errors.New("a name or number is missing")
	case '&', '*', '!', '|', '>', '%', '@', '`', '[', '{', '?':
		return "", fmt.Errorf("got %.40q, want a plain or quoted name", c.text[c.at:])
	}
	from := c.at
	for c.at < len(c.text) && c.text[c.at] != '\n' && strings.IndexByte(stop, c.text[c.at]) < 0 && !strings.HasPrefix(c.text[c.at:], " #") {
		c.at++
	}
	name := strings.TrimSpace(c.text[from:c.at])
	if strings.Contains(name, ": ") || strings.HasSuffix(name, ":") {
		return "", fmt.Errorf("got %.60q, which is a map; put quotes around a name with a colon and a blank", name)
	}
	return name, nil
}

func (c *cursor) quoted(mark byte) (string, error) {
	for i := c.at + 1; i < len(c.text) && c.text[i] != '\n'; i++ {
		switch {
		case mark == '"' && c.text[i] == '\\':
			i++
		case c.text[i] != mark:
		case mark == '\'' && i+1 < len(c.text) && c.text[i+1] == mark:
			i++
		case mark == '\'':
			name := strings.ReplaceAll(c.text[c.at+1:i], "''", "'")
			c.at = i + 1
			return name, nil
		default:
			var name string
			err := json.Unmarshal([]byte(c.text[c.at:i+1]), &name)
			if err != nil {
				return "", fmt.Errorf("got %.60s: %w; want the escapes of JSON", c.text[c.at:i+1], err)
			}
			c.at = i + 1
			return name, nil
		}
	}
	return "", fmt.Errorf("got %.40q, whose quote does not end on its line", c.text[c.at:])
}

// comment is a line without the comment that it may be.
func comment(line string) string {
	if t := strings.TrimLeft(line, " \t"); strings.HasPrefix(t, "#") {
		return ""
	}
	return line
}
