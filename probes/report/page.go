package report

import (
	_ "embed"
	"fmt"
	"html"
	"html/template"
	"io"
	"strings"
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
	// Path is where the result lies, Notes what is to be known of it.
	Path    string
	Notes   []string
	Tables  []Table
	Figures []*Figure
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

//go:embed page.css
var pageStyle string

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"svg": func(f *Figure) (template.HTML, error) {
		s, err := f.inline()
		return template.HTML(s), err // ours: texts of files in it are escaped
	},
	"style": func() template.CSS { return template.CSS(pageStyle) },
	"wide":  func(f *Figure) bool { return f.width > figureWidth },
	"id":    func(i int) string { return fmt.Sprintf("result-%d", i+1) },
}).Parse(pageHTML))

// WritePage writes the report as one HTML page: no script, no other file, readable on a
// phone, on paper, and in light and dark.
func WritePage(w io.Writer, p Page) error {
	var b strings.Builder
	if err := pageTemplate.Execute(&b, p); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	_, err := io.WriteString(w, strings.Map(printable, strings.ToValidUTF8(b.String(), "\uFFFD")))
	return err
}

// printable replaces what neither HTML nor XML can hold.
func printable(r rune) rune {
	if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r == 0xfffe || r == 0xffff {
		return '\uFFFD'
	}
	return r
}

func escape(s string) string { return html.EscapeString(name(s, 1000)) }
