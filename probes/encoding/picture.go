package encoding

import (
	"os"
	"path/filepath"
	"regexp"
)

// Picture says where the picture of an item lies.
type Picture struct {
	// ID and Path are the item's, as results have them.
	ID, Path string
	// Region is the part of the picture that the item is; nil for all of it.
	Region *Region
	// Origin says which file a picture without one of its own is in; nil where it is not
	// known.
	Origin *Origin
}

// Picture is that of the item of a row.
func (c *Codes) Picture(row int) Picture {
	p := Picture{ID: c.ID(row), Path: c.Path(row), Origin: c.Origin}
	if r, ok := c.Region(row); ok {
		p.Region = &r
	}
	return p
}

// Image is the ID of the whole picture.
func (p *Picture) Image() string {
	if p.Region != nil {
		return p.Region.Image
	}
	return p.ID
}

// File is the file that holds the picture, alone or with others, "" when there is none;
// column is the one of a Parquet file, "" where any will do, and exif says whether the
// item is the picture turned as its EXIF tag says.
func (p *Picture) File() (path, column string, exif bool) {
	path, exif = p.Path, true
	if o := p.Origin; o != nil {
		if column = o.column; o.find != nil {
			path = o.find(path)
		}
	}
	if p.Region != nil { // whose box is on the picture as the model saw it
		exif = p.Origin != nil && p.Origin.exif
	}
	if st, err := os.Stat(path); path == "" || err != nil || !st.Mode().IsRegular() {
		path = p.Origin.fileOf(p.Image())
	}
	return path, column, exif
}

// element is how dataset names the rows of a Parquet file.
var element = regexp.MustCompile(`\[(\d+)\]$`)

// fileOf is the Parquet file that a row is in by its ID; "" when it is not known.
func (o *Origin) fileOf(id string) string {
	at := element.FindStringIndex(id)
	if o == nil || at == nil {
		return ""
	}
	name, found := id[:at[0]], ""
	for _, f := range o.files {
		switch {
		case filepath.ToSlash(f) == name:
			return f
		case filepath.Base(f) != name:
		case found != "":
			return "" // it could be either
		default:
			found = f
		}
	}
	return found
}
