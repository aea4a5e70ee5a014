package picture

import (
	"archive/zip"
	"io"
	"strings"
	"testing"
)

// A damaged JPEG has a warning, and memory that is used again does not carry it on.
func TestJPEGWarning(t *testing.T) {
	z, err := zip.OpenReader("../../../testdata/golden/jpeg/pictures.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, c := range []struct{ name, want string }{
		{"420 cut at 10/64", "a scan that ends early"},
		{"420 64x48", ""},
		{"colours 2, 9 scans", "progressive scans are missing"},
	} {
		var b []byte
		for _, f := range z.File {
			if f.Name == c.name+".jpg" {
				r, err := f.Open()
				if err != nil {
					t.Fatal(err)
				}
				if b, err = io.ReadAll(r); err != nil {
					t.Fatal(err)
				}
			}
		}
		p, err := Decode(b, 0, nil)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !strings.Contains(p.Warning, c.want) || (c.want == "") != (p.Warning == "") {
			t.Errorf("%s: warning %q, want one with %q", c.name, p.Warning, c.want)
		}
		p.Release()
	}
}
