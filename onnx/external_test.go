//go:build unix

package onnx

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A model in dir/model may read dir/model/w.bin (8 bytes) and nothing of
// dir/outside. Every way out that the text of a location, the file system or a
// size offers must be refused, by Load, without reading or waiting.
func TestExternalData(t *testing.T) {
	const outside = "more than one hard link|symbolic link|plain path inside"
	cases := []struct {
		name, location string
		rest           []string
		want           string // fragments, any of which does; "" loads
		links          string // with AllowLinks; "" loads
	}{
		{"beside", "w.bin", nil, "", ""},
		{"in a folder", "sub/w.bin", nil, "", ""},
		{"dotted", "./w.bin", nil, "", ""},
		{"a link inside", "inside", nil, "", ""},
		{"with an offset", "w.bin", []string{"offset", "2", "length", "4"}, "", ""},
		{"up", "../outside/w.bin", nil, "plain path", "plain path"},
		{"up and back", "../model/w.bin", nil, "plain path", "plain path"},
		{"through a folder", "sub/../w.bin", nil, "plain path", "plain path"},
		{"absolute", "/etc/passwd", nil, "plain path", "plain path"},
		{"drive", `C:\w.bin`, nil, "plain path", "plain path"},
		{"drive, relative", `C:w.bin`, nil, "plain path", "plain path"},
		{"share", `\\server\share\w.bin`, nil, "plain path", "plain path"},
		{"share with slashes", `//server/share/w.bin`, nil, "plain path", "plain path"},
		{"NUL", "w.bin\x00.onnx", nil, "not a file name", "not a file name"},
		{"empty", "", nil, "no location", "no location"},
		{"longer than a path", strings.Repeat("a/", 50_000) + "w.bin", nil, "(100005 bytes) is no file name", "(100005 bytes) is no file name"},
		{"missing", "none.bin", nil, "no such file", "no such file"},
		{"a folder", "sub", nil, "a folder", "a folder"},
		{"the folder itself", ".", nil, "a folder", "a folder"},
		{"a link out", "link", nil, outside, ""},
		{"a linked folder", "linked/w.bin", nil, outside, ""},
		{"an absolute link", "absolute", nil, outside, ""},
		{"a hard link", "hard", nil, outside, ""},
		{"a link to itself", "loop", nil, "symbolic link", "too many"},
		{"a pipe", "fifo", nil, "a pipe", "a pipe"},
		{"a device", "zero", nil, outside, "a device"},
		{"negative offset", "w.bin", []string{"offset", "-1"}, "not a size", "not a size"},
		{"negative length", "w.bin", []string{"length", "-4"}, "not a size", "not a size"},
		{"offset not a number", "w.bin", []string{"offset", "0x10"}, "not a size", "not a size"},
		{"offset with a sign", "w.bin", []string{"offset", "+0"}, "not a size", "not a size"}, // ONNX Runtime refuses it
		{"length with a sign", "w.bin", []string{"length", "+4"}, "not a size", "not a size"},
		{"offset with a space", "w.bin", []string{"offset", " 0"}, "not a size", "not a size"},
		{"offset beyond int64", "w.bin", []string{"offset", "9223372036854775808"}, "not a size", "not a size"},
		{"offset past the end", "w.bin", []string{"offset", "9"}, "which has 8", "which has 8"},
		{"largest offset", "w.bin", []string{"offset", "9223372036854775807"}, "which has 8", "which has 8"},
		{"end past the end", "w.bin", []string{"offset", "5"}, "which has 8", "which has 8"},
		{"length of another size", "w.bin", []string{"length", "8"}, "length 8", "length 8"},
	}
	dir := externalFolder(t)
	for _, c := range cases {
		file := modelOf(pb{}.b(5, externalTensor("w", 4, append([]string{"location", c.location}, c.rest...)...)))
		path := write(t, filepath.Join(dir, "m.onnx"), file)
		for _, links := range []bool{false, true} {
			want := c.want
			if links {
				want = c.links
			}
			m, err := LoadWith(path, LoadOptions{AllowLinks: links})
			if want == "" && err == nil {
				_, err = m.Values(m.Graph.Initializers[0])
			}
			ok := want == "" && err == nil
			for _, f := range strings.Split(want, "|") {
				ok = ok || want != "" && err != nil && strings.Contains(err.Error(), f)
			}
			if !ok {
				t.Errorf("%s, links %v: got %v, want %q", c.name, links, err, want)
			}
		}
	}
}

// A location of many parts costs what it is long, and its error does not repeat it.
func TestLocationsOfManyParts(t *testing.T) {
	dir, g := externalFolder(t), pb{}
	deep := strings.Repeat("sub/", 200)
	if err := os.MkdirAll(filepath.Join(dir, deep), 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		location := fmt.Sprintf("%s%sw%d.bin", []string{"", deep}[i%2], strings.Repeat("a/", 1500), i)
		g = g.b(5, externalTensor("w", 4, "location", location))
	}
	path, start := write(t, filepath.Join(dir, "m.onnx"), modelOf(g)), time.Now()
	_, err := Load(path)
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("a file of %d kB took %v", len(modelOf(g))/1000, took)
	}
	wantError(t, err, "no such file")
	for _, line := range strings.Split(err.Error(), "\n") {
		if len(line) > 500 {
			t.Errorf("a line of %d bytes: %.200s", len(line), line)
		}
	}
}

// The same references are found where the file is kept but not decoded.
func TestExternalDataInHiddenParts(t *testing.T) {
	dir := externalFolder(t)
	out := externalTensor("w", 4, "location", "../outside/w.bin")
	attr := pb{}.s(1, "value").b(5, out).v(20, 4)
	constant := pb{}.s(2, "c").s(4, "Constant").b(5, attr)
	sparse := pb{}.b(1, out)
	list := func(num int, p pb) pb {
		return modelOf(pb{}.b(1, pb{}.s(2, "c").s(4, "Constant").b(5, pb{}.s(1, "a").b(num, p))).b(12, pb{}.s(1, "c")))
	}
	for name, file := range map[string]pb{
		"function":           modelOf(nil).b(25, pb{}.s(1, "f").b(7, constant)),
		"function attribute": modelOf(nil).b(25, pb{}.s(1, "f").b(11, attr)),
		"training graph":     modelOf(nil).b(20, pb{}.b(2, pb{}.b(5, out))),
		"sparse initializer": modelOf(pb{}.b(15, sparse)),
		"constant":           modelOf(pb{}.b(1, constant).b(12, pb{}.s(1, "c"))),
		"tensors":            list(10, out),
		"sparse tensor":      list(22, sparse),
		"sparse tensors":     list(23, sparse),
	} {
		_, err := Load(write(t, filepath.Join(dir, "m.onnx"), file))
		if err == nil || !strings.Contains(err.Error(), "plain path") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNoData(t *testing.T) {
	dir := externalFolder(t)
	for location, want := range map[string]string{
		"none.bin": "", "sub/none.bin": "", "w.bin": "",
		"../none.bin": "plain path", "link": "symbolic link", "sub": "a folder",
	} {
		path := write(t, filepath.Join(dir, "m.onnx"), modelOf(pb{}.b(5, externalTensor("w", 4, "location", location))))
		m, err := LoadWith(path, LoadOptions{NoData: true})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", location, err)
		}
		if err == nil && location != "w.bin" {
			_, err = m.Values(m.Graph.Initializers[0])
			wantError(t, err, "no such file", location)
		}
	}
	m, err := parse(modelOf(pb{}.b(5, externalTensor("w", 4, "location", "w.bin"))), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Values(m.Graph.Initializers[0])
	wantError(t, err, "not loaded from a folder")
}

// The sums cover all files, and are of what was loaded.
func TestSum256(t *testing.T) {
	dir := externalFolder(t)
	path := write(t, filepath.Join(dir, "m.onnx"), modelOf(pb{}.
		b(5, externalTensor("a", 4, "location", "w.bin")).b(5, externalTensor("b", 4, "location", "sub/w.bin"))))
	sums := func(m *Model) map[string]string {
		t.Helper()
		s, err := m.Sum256()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	load := func() *Model {
		t.Helper()
		m, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := load()
	first := sums(m)
	if got := slices.Sorted(maps.Keys(first)); !slices.Equal(got, []string{"m.onnx", "sub/w.bin", "w.bin"}) {
		t.Fatalf("sums of %v", got)
	}
	// sha256sum of "12345678".
	if want := "ef797c8118f02dfb649607dd5d3f8c7623048c9c063d532cc95c5ed7a898a64f"; first["w.bin"] != want {
		t.Errorf("w.bin has the sum %s", first["w.bin"])
	}
	swapped := filepath.Join(dir, "swap")
	if err := os.Rename(write(t, swapped, []byte("87654321")), filepath.Join(dir, "w.bin")); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(sums(m.Clone()), first) {
		t.Error("the sums followed a file that was replaced after it was loaded")
	}
	if v, err := m.Values(m.Graph.Initializers[0]); err != nil || v.Data.([]uint8)[0] != '1' {
		t.Errorf("the values followed a file that was replaced: %v, %v", v, err)
	}
	if now := sums(load()); now["w.bin"] == first["w.bin"] || now["m.onnx"] != first["m.onnx"] {
		t.Error("replacing weights did not change the sums as it should")
	}
	_, err := small(value("x", 1)).Sum256()
	wantError(t, err, "not read from a file")
}

// A checksum is held against the file by whatever uses its data, and not before.
func TestChecksum(t *testing.T) {
	const right = "7c222fb2927d828af22f592134e8932480637c0d" // sha1sum of "12345678"
	wrong := strings.Repeat("0", 40)
	dir := externalFolder(t)
	path := filepath.Join(dir, "m.onnx")
	load := func(location string, rest ...string) *Model {
		t.Helper()
		m, err := LoadWith(write(t, path, modelOf(pb{}.
			b(5, externalTensor("a", 4, append([]string{"location", location}, rest...)...)).b(5, externalTensor("b", 4, "location", location)))), LoadOptions{NoData: true})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	uses := map[string]func(m *Model) error{
		"Values":      func(m *Model) error { _, err := m.Values(m.Graph.Initializers[0]); return err },
		"Values of b": func(m *Model) error { _, err := m.Values(m.Graph.Initializers[1]); return err },
		"Sum256":      func(m *Model) error { _, err := m.Sum256(); return err },
		"Marshal":     func(m *Model) error { _, err := m.Marshal(); return err },
		"MarshalLean": func(m *Model) error { _, _, err := m.MarshalLean("w"); return err },
		"Save":        func(m *Model) error { return m.Save(filepath.Join(dir, "saved.onnx")) },
	}
	for name, use := range uses {
		for _, sum := range []string{right, strings.ToUpper(right)} {
			if err := use(load("w.bin", "checksum", sum)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		m := load("w.bin", "checksum", wrong)
		for range 2 { // it is not forgotten
			wantError(t, use(m.Clone()), `external data "w.bin": its SHA-1 is `+right+`, and the model wants `+wrong)
		}
	}
	for name, use := range uses { // what is not there is another error, or none
		if err := use(load("none.bin", "checksum", wrong)); strings.HasPrefix(name, "Values") != (err != nil) && name != "Sum256" {
			t.Errorf("%s of a file that is not there: %v", name, err)
		}
	}
	for _, sum := range []string{"", "12", right + "00", strings.Repeat("x", 40)} {
		_, err := Load(write(t, path, modelOf(pb{}.b(5, externalTensor("a", 4, "location", "w.bin", "checksum", sum)))))
		wantError(t, err, "is not a SHA-1 in hex, which has 40 digits")
	}
}
