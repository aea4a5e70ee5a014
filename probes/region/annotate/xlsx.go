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
	var shared struct {
		Texts []richText `xml:"si"`
	}
	if err := workbookPart(z, "xl/sharedStrings.xml", &shared); err != nil && !errors.Is(err, errNoPart) {
		return nil, err
	}
	var sheet struct {
		Rows []sheetRow `xml:"sheetData>row"`
	}
	const name = "xl/worksheets/sheet1.xml"
	if err := workbookPart(z, name, &sheet); err != nil {
		return nil, err
	}
	rows, err := sheetRows(sheet.Rows, shared.Texts)
	if err != nil {
		err = fmt.Errorf("the workbook's %s: %w", name, err)
	}
	return rows, err
}

var errNoPart = errors.New("the workbook has no such part")

func workbookPart(z *zip.Reader, name string, v any) error {
	for _, f := range z.File {
		if f.Name != name {
			continue
		}
		r, err := f.Open()
		if err == nil {
			defer r.Close()
			err = xml.NewDecoder(io.LimitReader(r, maxSheet)).Decode(v)
		}
		if err != nil {
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

type sheetRow struct {
	Number int `xml:"r,attr"`
	Cells  []struct {
		At     string   `xml:"r,attr"`
		Type   string   `xml:"t,attr"`
		Value  string   `xml:"v"`
		Inline richText `xml:"is"`
	} `xml:"c"`
}

func sheetRows(all []sheetRow, shared []richText) ([][]string, error) {
	var rows [][]string
	cells := 0
	for _, r := range all {
		at := len(rows)
		if r.Number > 0 {
			at = r.Number - 1
		}
		if at < len(rows) || at >= maxRows {
			return nil, fmt.Errorf("got row %d after %d rows, want rows in order and at most %d", at+1, len(rows), maxRows)
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
				return nil, fmt.Errorf("row %d got cell %.20q, want cells in order and at most %d", at+1, c.At, maxColumns)
			}
			for len(row) < k {
				row = append(row, "")
			}
			text := c.Value
			switch c.Type {
			case "s":
				i, err := strconv.Atoi(text)
				if err != nil || i < 0 || i >= len(shared) {
					return nil, fmt.Errorf("row %d got string %.20q, want one of the %d shared ones", at+1, text, len(shared))
				}
				text = shared[i].String()
			case "inlineStr":
				text = c.Inline.String()
			}
			row = append(row, text)
		}
		if cells += len(row); cells > maxCells {
			return nil, fmt.Errorf("got more than %d cells", maxCells)
		}
		rows = append(rows, row)
	}
	return rows, nil
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
