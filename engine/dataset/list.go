package dataset

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/onnxprobe/onnxprobe/engine/internal/safe"
)

// Lists of image files. A relative path is relative to the list. Every line is
// an item, whatever is wrong with it; empty lines are none.

// listKinds are the readers of lists, by the extension of the file's name.
var listKinds = map[string]func(r *bufio.Reader, l *listing) error{
	".csv": readTable(','), ".tsv": readTable('\t'), ".jsonl": readJSONLines, ".ndjson": readJSONLines, ".txt": readPathLines,
}

// maxLine bounds a line of a list.
const maxLine = 1 << 20

// The usual names of columns and fields.
var (
	pathColumns  = []string{"path", "image", "file", "filename", "file_name", "filepath", "file_path", "image_path", "img_path", "img"}
	labelColumns = []string{"label", "cls", "class_id", "label_id", "target", "labels", "y"}
	classColumns = []string{"class", "class_name", "label_name", "category"}
)

func looksListed(fsys fs.FS, path string) bool {
	return listKinds[strings.ToLower(filepath.Ext(path))] != nil && isFile(fsys, path)
}

// listing is what the lines of a list say.
type listing struct {
	column string
	names  texts
	bad    map[int]error // of lines that say nothing of use
	labels labelling
	class  labelling
	line   int // that is being read
}

func (l *listing) add(name, label, class string) error {
	switch {
	case name == "":
		return l.fail(errors.New("the line has no path"))
	case strings.ContainsRune(name, 0):
		return l.fail(errors.New("the path has a NUL byte in it"))
	}
	l.labels.add(label)
	l.class.add(class)
	return l.names.add(name)
}

// fail adds a line that cannot be used. Its name is the line's number.
func (l *listing) fail(err error) error {
	if l.bad == nil {
		l.bad = map[int]error{}
	}
	l.bad[l.names.len()] = err
	return l.add(fmt.Sprintf("line %d", l.line), "", "")
}

func openListed(path string, o Options) ([]source, error) {
	read := listKinds[strings.ToLower(filepath.Ext(path))]
	if read == nil {
		return nil, errors.New("a list's name ends in .csv, .tsv, .jsonl, .ndjson or .txt")
	}
	f, err := o.shared.file(path)
	if err != nil {
		return nil, err
	}
	defer f.forget()
	x := &listing{column: o.Column}
	x.names.b = make([]byte, 0, min(f.is.Size(), 1<<30)) // what the paths can take, and nearly do
	r := bufio.NewReaderSize(f.section(), 1<<16)
	if b, _ := r.Peek(3); string(b) == "\xef\xbb\xbf" { // a byte order mark
		_, _ = r.Discard(3)
	}
	if err := read(r, x); err != nil {
		return nil, err
	}
	l := &listed{encoded: encoded{part: part{path: path, format: "list"}}, names: x.names.clip(), bad: x.bad}
	l.labels, l.class = x.labels.settle()
	of, names := x.class.settle()
	l.unlabelled = cmp.Or(x.labels.why(), x.class.why())
	switch {
	case l.labels.n == 0:
		l.labels, l.class = of, names
	case l.class == nil: // numbers, with names beside them
		l.beside, l.besides = of, names
	}
	l.where, l.label = l.file, l.labels.at
	l.root = sync.OnceValue(func() string { return common(l.names.len(), l.file) })
	l.load = func(i int) ([]byte, error) {
		if err := l.bad[i]; err != nil {
			return nil, err
		}
		return readRegular(o.FS, l.file(i), l.o.MaxFileBytes)
	}
	return []source{l}, l.settle(o, l.names.len())
}

// listed is the image files that a file names.
type listed struct {
	encoded
	names   texts
	bad     map[int]error
	labels  labels
	beside  labels // of the names in besides, which are not the labels'
	besides []string
}

func (l *listed) file(i int) string {
	if l.bad[i] != nil {
		return l.path + " " + l.names.at(i)
	}
	if filepath.IsAbs(l.names.at(i)) {
		return l.names.at(i)
	}
	return filepath.Join(filepath.Dir(l.path), l.names.at(i))
}

func (l *listed) distinct() (string, bool) { return "", false }

func (l *listed) Item(i int) Item {
	id := l.names.at(i)
	if l.bad[i] != nil {
		return l.item(l.before+filepath.Base(l.path)+" "+id, i)
	}
	if !filepath.IsAbs(id) {
		id = l.before + id
	}
	it := l.item(id, i)
	it.Path = l.file(i)
	if k := l.beside.at(i); k >= 0 {
		it.Class = l.besides[k]
	}
	return it
}

// limited is a reader that ends with an error when one record is too long.
type limited struct {
	r    io.Reader
	left int
}

var errLongLine = fmt.Errorf("it is longer than %d bytes, the limit for a line", maxLine)

func (l *limited) Read(b []byte) (int, error) {
	if l.left <= 0 {
		return 0, errLongLine
	}
	n, err := l.r.Read(b[:min(len(b), l.left)])
	l.left -= n
	return n, err
}

// readTable reads comma- or tab-separated values. Without a header the first
// column is the path, and the second the label where it is a number.
func readTable(comma rune) func(*bufio.Reader, *listing) error {
	return func(r *bufio.Reader, l *listing) error {
		in := &limited{r: r}
		c := csv.NewReader(in)
		c.Comma, c.FieldsPerRecord, c.ReuseRecord = comma, -1, true
		if comma == '\t' {
			c.LazyQuotes = true
		}
		path, label, class := 0, -1, -1
		for first := true; ; first = false {
			in.left = maxLine
			fields, err := c.Read()
			if err == io.EOF {
				return nil
			}
			if len(fields) > 0 {
				l.line, _ = c.FieldPos(0)
			}
			var syntax *csv.ParseError
			if errors.As(err, &syntax) {
				l.line = syntax.StartLine
			}
			if errors.Is(err, errLongLine) {
				return l.fail(fmt.Errorf("this line and what follows cannot be read: %w", err))
			}
			if err != nil {
				if syntax == nil {
					return safe.Reason(err)
				}
				if err := l.fail(syntax); err != nil {
					return err
				}
				continue
			}
			if first {
				if at := columnOf(fields, pathColumns, l.column); at >= 0 {
					path, label, class = at, columnOf(fields, labelColumns, ""), columnOf(fields, classColumns, "")
					continue
				}
				if l.column != "" {
					return fmt.Errorf("it has no column %q, only %q", l.column, slices.Clone(fields))
				}
				if len(fields) > 1 {
					if _, ok := wholeNumber(strings.TrimSpace(fields[1])); ok {
						label = 1
					}
				}
			}
			field := func(at int) string {
				if at < 0 || at >= len(fields) {
					return ""
				}
				return strings.TrimSpace(fields[at])
			}
			if err := l.add(field(path), field(label), field(class)); err != nil {
				return err
			}
		}
	}
}

// columnOf is the place of the column that is asked for, or of the first usual
// one; -1 without.
func columnOf(header, usual []string, asked string) int {
	if asked != "" {
		return slices.Index(header, asked)
	}
	for _, name := range usual {
		for i, h := range header {
			if strings.EqualFold(strings.TrimSpace(h), name) {
				return i
			}
		}
	}
	return -1
}

// lines gives each line without its end; a line that is too long is an error in
// its place.
func (l *listing) lines(r *bufio.Reader, each func(line []byte, err error) error) error {
	var line []byte
	long := false
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			long = true
		}
		if !long {
			line = append(line, part...)
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil && err != io.EOF {
			return safe.Reason(err)
		}
		l.line++
		var e error
		if long {
			e = each(nil, errLongLine)
		} else if text := strings.TrimRight(string(line), "\r\n"); strings.TrimSpace(text) != "" {
			e = each([]byte(text), nil)
		}
		if e != nil || err == io.EOF {
			return e
		}
		line, long = line[:0], false
	}
}

func readPathLines(r *bufio.Reader, l *listing) error {
	return l.lines(r, func(line []byte, err error) error {
		if err != nil {
			return l.fail(err)
		}
		return l.add(string(line), "", "")
	})
}

func readJSONLines(r *bufio.Reader, l *listing) error {
	usual := pathColumns
	if l.column != "" {
		usual = []string{l.column}
	}
	return l.lines(r, func(line []byte, err error) error {
		if err != nil {
			return l.fail(err)
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(line, &fields); err != nil {
			return l.fail(fmt.Errorf("it is not a JSON object: %w", err))
		}
		pick := func(usual []string, text func(json.RawMessage) string) string {
			for _, name := range usual {
				if w := text(fields[name]); w != "" {
					return w
				}
			}
			return ""
		}
		path := pick(usual, jsonText)
		if path == "" {
			return l.fail(fmt.Errorf("it has no path: none of the fields %s is a string", strings.Join(usual, ", ")))
		}
		label := pick(labelColumns, jsonWord)
		if label == "" && slices.ContainsFunc(labelColumns, func(name string) bool { return isNested(fields[name]) }) {
			l.labels.odd++
		}
		return l.add(path, label, pick(classColumns, jsonWord))
	})
}

// jsonText is a JSON string; "" when it is none.
func jsonText(raw json.RawMessage) (s string) {
	if len(raw) == 0 || json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}
