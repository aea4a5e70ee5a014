package annotate

import (
	"archive/zip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Bounds of a workbook.
const (
	maxSheet   = 256 << 20 // unpacked bytes of a part
	maxRows    = 1 << 20   // as many as a sheet may have
	maxColumns = 1 << 14
	maxCells   = 1 << 24 // empty ones between others included
)

// readSheet reads the first sheet of an Office Open XML workbook (ECMA-376) as rows of
// text. Empty rows are kept, so that row i is number i+1.
func readSheet(disk disk, path string) ([][]string, error) {
	f, err := disk.openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	at, ok := f.(io.ReaderAt)
	if !ok {
		return nil, errors.New("it cannot be read at any place")
	}
	return parseWorkbook(at, info.Size())
}

func parseWorkbook(r io.ReaderAt, size int64) ([][]string, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("the workbook: %w", err)
	}
	var strs []string
	err = workbookPart(z, "xl/sharedStrings.xml", func(d *xml.Decoder) (err error) {
		strs, err = sharedStrings(d)
		return err
	})
	if err != nil && !errors.Is(err, errNoPart) {
		return nil, err
	}
	var rows [][]string
	err = workbookPart(z, "xl/worksheets/sheet1.xml", func(d *xml.Decoder) (err error) {
		rows, err = sheetRows(d, strs)
		return err
	})
	return rows, err
}

var errNoPart = errors.New("the workbook has no such part")

func workbookPart(z *zip.Reader, name string, read func(*xml.Decoder) error) error {
	for _, f := range z.File {
		if f.Name != name {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return fmt.Errorf("the workbook's %s: %w", name, err)
		}
		defer r.Close()
		if err := read(xml.NewDecoder(io.LimitReader(r, maxSheet))); err != nil {
			return fmt.Errorf("the workbook's %s: %w", name, err)
		}
		return nil
	}
	return fmt.Errorf("%s: %w", name, errNoPart)
}

// richText is a text in one piece or in several.
type richText struct {
	T string   `xml:"t"`
	R []string `xml:"r>t"`
}

func (t richText) String() string { return t.T + strings.Join(t.R, "") }

func sharedStrings(d *xml.Decoder) ([]string, error) {
	var out []string
	err := eachElement(d, "si", func(e xml.StartElement) error {
		var t richText
		err := d.DecodeElement(&t, &e)
		out = append(out, t.String())
		return err
	})
	return out, err
}

// eachElement calls use with the elements of a name until the file ends.
func eachElement(d *xml.Decoder, name string, use func(xml.StartElement) error) error {
	for {
		t, err := d.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if e, ok := t.(xml.StartElement); ok && e.Name.Local == name {
			if err := use(e); err != nil {
				return err
			}
		}
	}
}

type sheetRow struct {
	Number int `xml:"r,attr"`
	Cells  []struct {
		At     string   `xml:"r,attr"`
		Type   string   `xml:"t,attr"`
		Value  string   `xml:"v"`
		Inline richText `xml:"is"`
	} `xml:"c"`
}

func sheetRows(d *xml.Decoder, strs []string) ([][]string, error) {
	var rows [][]string
	cells := 0
	err := eachElement(d, "row", func(e xml.StartElement) error {
		var r sheetRow
		if err := d.DecodeElement(&r, &e); err != nil {
			return err
		}
		at := len(rows)
		if r.Number > 0 {
			at = r.Number - 1
		}
		if at < len(rows) || at >= maxRows {
			return fmt.Errorf("got row %d after %d rows, want rows in order and at most %d", at+1, len(rows), maxRows)
		}
		for len(rows) < at {
			rows = append(rows, nil)
		}
		var row []string
		for _, c := range r.Cells {
			k := len(row)
			if c.At != "" {
				k = column(c.At)
			}
			if k < len(row) || k >= maxColumns {
				return fmt.Errorf("row %d got cell %.20q, want cells in order and at most %d", at+1, c.At, maxColumns)
			}
			for len(row) < k {
				row = append(row, "")
			}
			text := c.Value
			switch c.Type {
			case "s":
				i, err := strconv.Atoi(text)
				if err != nil || i < 0 || i >= len(strs) {
					return fmt.Errorf("row %d got string %.20q, want one of the %d shared ones", at+1, text, len(strs))
				}
				text = strs[i]
			case "inlineStr":
				text = c.Inline.String()
			}
			row = append(row, text)
		}
		if cells += len(row); cells > maxCells {
			return fmt.Errorf("got more than %d cells", maxCells)
		}
		rows = append(rows, row)
		return nil
	})
	return rows, err
}

// column is the number of a cell's column from 0 on: that of B7 is 1.
func column(at string) int {
	n := 0
	for _, c := range at {
		if c < 'A' || c > 'Z' || n > maxColumns {
			break
		}
		n = n*26 + int(c-'A') + 1
	}
	return n - 1
}
