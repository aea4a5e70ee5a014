package report

import (
	_ "embed"
	"fmt"
	"html"
	"html/template"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes/result"
)

// Page is a report.
type Page struct {
	Title    string
	Summary  []string
	Sections []Section
	// Skipped are the files that are not shown.
	Skipped []Skipped
}

// Section is one result.
type Section struct {
	Title string
	// Kind is the verb that made the result.
	Kind string
	// Path is where the result lies, Notes what is to be known of it.
	Path  string
	Notes []string
	// Found says in sentences what the result shows, Attention what of it somebody should
	// look at: together they are the verdict that a page begins with.
	Found, Attention []string

	Tables  []Table
	Figures []*Figure
	// Strips are the contact sheet: pictures of the items that the result is about, below
	// the figures.
	Strips []Strip
	// Manifest is how the result came about, as text.
	Manifest string
}

// Table is shown as it is. Columns from the second on are numbers where Numbers says so.
type Table struct {
	Caption string
	Head    []string
	Rows    [][]string
}

// Skipped is a file that is not shown, and why.
type Skipped struct{ Path, Reason string }

// Unshown are the files that are not shown for one reason.
type Unshown struct {
	Reason string
	Paths  []string
}

// Unshown groups Skipped by the reason, that of most files first.
func (p *Page) Unshown() (groups []Unshown) {
	for _, s := range p.Skipped {
		i := slices.IndexFunc(groups, func(u Unshown) bool { return u.Reason == s.Reason })
		if i < 0 {
			i, groups = len(groups), append(groups, Unshown{Reason: s.Reason})
		}
		groups[i].Paths = append(groups[i].Paths, s.Path)
	}
	slices.SortStableFunc(groups, func(a, b Unshown) int { return len(b.Paths) - len(a.Paths) })
	return groups
}

// Main is the figure that comes first, others is how many more there are; nil of a
// page without figures. One of a single bar, for which a page has a sentence, is it only
// where there is no other.
func (p *Page) Main() (main *Figure, others int) {
	for _, s := range p.Sections {
		for _, f := range s.Figures {
			if main == nil || main.says != "" && f.says == "" {
				main = f
			}
			if f.says == "" {
				others++
			}
		}
	}
	return main, max(0, others-1)
}

// Draw is how the page is written to a file of an extension: .html takes all of it, .svg and
// .png the first figure. said says which that is, and how many more there are.
func (p *Page) Draw(ext string) (write func(io.Writer) error, said string, err error) {
	if ext == ".html" {
		p.Title = p.Sections[0].Title
		return func(w io.Writer) error { return WritePage(w, *p) }, "", nil
	}
	main, others := p.Main()
	if main == nil {
		return nil, "", ErrNoData
	}
	if said = ": " + main.Title; others > 0 {
		more := map[bool]string{true: "figure", false: "figures"}[others == 1]
		said += fmt.Sprintf("; .html shows %d more %s", others, more)
	}
	if ext == ".png" {
		return main.PNG, said, nil
	}
	return main.SVG, said, nil
}

// WriteFigures writes every figure of more than one bar to a folder as SVG and PNG; with force also in place of
// files that are there, which else are an error that is fs.ErrExist.
func (p *Page) WriteFigures(dir string, force bool) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for _, s := range p.Sections {
		for _, f := range s.Figures {
			if f.says != "" {
				continue
			}
			for ext, write := range map[string]func(io.Writer) error{".svg": f.SVG, ".png": f.PNG} {
				path := filepath.Join(dir, f.Name+ext)
				if _, err := os.Lstat(path); err == nil && !force {
					return &fs.PathError{Op: "write", Path: path, Err: fs.ErrExist}
				}
				if err := result.Put(path, write); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

//go:embed page.css
var pageStyle string

// stripStyle is of pages with pictures.
//
//go:embed strips.css
var stripStyle string

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"style": func(all []Section) template.CSS {
		if slices.ContainsFunc(all, func(s Section) bool { return len(s.Strips) > 0 }) {
			return template.CSS(pageStyle + stripStyle)
		}
		return template.CSS(pageStyle)
	},
	"key":    func(f *Figure) *Figure { return f.key },
	"panels": func(f *Figure) []*Figure { return f.panels },
	"few":    func(paths []string) []string { return paths[:min(len(paths), 20)] },
	"more":   func(paths []string) int { return max(0, len(paths)-20) },
	"wrap":   func(s string) template.HTML { return template.HTML(wrapped(s)) }, // which escapes
	"id":     func(i int) string { return fmt.Sprintf("result-%d", i+1) },
	"drawn": func(all []*Figure) []*Figure {
		return slices.DeleteFunc(slices.Clone(all), func(f *Figure) bool { return f.says != "" || f.sheet })
	},
}).Parse(pageHTML))

// WritePage writes the report as one HTML page: no script, no other file, readable on a
// phone, on paper, and in light and dark.
func WritePage(w io.Writer, p Page) error {
	var b strings.Builder
	t := thumbnails{edge: edgeFor(p.pictures())}
	if err := pageTemplate.Execute(&b, struct {
		*Page
		Item   func(Item) template.HTML
		SVG    func(*Figure) (template.HTML, error)
		Stored func() template.HTML
	}{&p, t.item, t.svg, t.stored}); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	_, err := io.WriteString(w, strings.Map(printable, strings.ToValidUTF8(b.String(), "\uFFFD")))
	return err
}

// pictures is how many its sheets show.
func (p *Page) pictures() int {
	distinct := map[string]bool{}
	for _, s := range p.Sections {
		for k := range s.Strips {
			s.Strips[k].each(func(i *Item, _ bool) { distinct[i.Picture.Path+" "+i.Picture.ID] = true })
		}
	}
	return len(distinct)
}

// Alarms is how many sentences say what somebody should look at.
func (p *Page) Alarms() (n int) {
	for _, s := range p.Sections {
		n += len(s.Attention)
	}
	return n
}

// Verdicts says whether there is anything to say of the results in short.
func (p *Page) Verdicts() bool {
	return len(p.Sections) > 1 || slices.ContainsFunc(p.Sections, func(s Section) bool { return len(s.Found)+len(s.Attention) > 0 })
}

// printable replaces what neither HTML nor XML can hold.
func printable(r rune) rune {
	if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r == 0xfffe || r == 0xffff {
		return '\uFFFD'
	}
	return r
}

func escape(s string) string { return html.EscapeString(name(s, 1000)) }
