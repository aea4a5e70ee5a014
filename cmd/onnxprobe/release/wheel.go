package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/onnxprobe/onnxprobe/engine/ort/install"
)

// wheel is a Python package that holds a program and no Python.
type wheel struct {
	version  string // as Python writes it
	tag      string // such as py3-none-win_amd64
	program  []byte
	name     string // the program's
	cgo      bool   // it has a use for Python's onnxruntime
	license  []byte // onnxprobe's
	licenses []byte // of what the program holds
}

func (w *wheel) file() string { return "onnxprobe-" + w.version + "-" + w.tag + ".whl" }

// bytes is the wheel: a zip file with the program, what pip wants to know of it, and a list
// of both with their sums. The same wheel has the same bytes.
func (w *wheel) bytes() ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	var record strings.Builder
	add := func(name string, content []byte, mode os.FileMode) error {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
		h.SetMode(mode)
		f, err := z.CreateHeader(h)
		if err == nil {
			_, err = f.Write(content)
		}
		sum := sha256.Sum256(content)
		fmt.Fprintf(&record, "%s,sha256=%s,%d\n", name, base64.RawURLEncoding.EncodeToString(sum[:]), len(content))
		return err
	}
	base := "onnxprobe-" + w.version
	info := base + ".dist-info/"
	for _, f := range []struct {
		name    string
		content []byte
		mode    os.FileMode
	}{
		{base + ".data/scripts/" + w.name, w.program, 0o755},
		{info + "METADATA", w.metadata(), 0o644},
		{info + "WHEEL", w.tags(), 0o644},
		{info + "licenses/LICENSE", w.license, 0o644},
		{info + "licenses/LICENSES-OF-OTHERS", w.licenses, 0o644},
	} {
		if err := add(f.name, f.content, f.mode); err != nil {
			return nil, fmt.Errorf("writing %s into a wheel: %w", f.name, err)
		}
	}
	list := record.String() + info + "RECORD,,\n" // which cannot hold its own sum
	if err := add(info+"RECORD", []byte(list), 0o644); err != nil {
		return nil, fmt.Errorf("writing the list of a wheel: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("writing a wheel: %w", err)
	}
	return b.Bytes(), nil
}

// metadata is what pip shows and obeys.
func (w *wheel) metadata() []byte {
	head := "Metadata-Version: 2.4\nName: onnxprobe\nVersion: " + w.version + "\n" +
		"Summary: Activation codes and local complexity of ONNX networks\n" +
		"License-Expression: Apache-2.0\nLicense-File: LICENSE\nLicense-File: LICENSES-OF-OTHERS\n" +
		"Project-URL: Source, https://github.com/onnxprobe/onnxprobe\nRequires-Python: >=3.8\nDescription-Content-Type: text/plain\n"
	body := "This package puts the program onnxprobe on PATH. It has no Python module to import.\n\n"
	if w.cgo {
		head += "Provides-Extra: ort\nRequires-Dist: onnxruntime==" + install.Pinned + "; extra == \"ort\"\n"
		body += "It runs networks in pure Go or, where the package onnxruntime " + install.Pinned + " lies beside it, by ONNX Runtime:\n" +
			"pip install \"onnxprobe[ort]\". \"onnxprobe runtime list\" shows what it finds.\n"
	} else {
		body += "It runs networks in pure Go. This build has no use for the package onnxruntime.\n"
	}
	return []byte(head + "\n" + body)
}

// tags is the file WHEEL: a line for each of the tags that the name holds.
func (w *wheel) tags() []byte {
	text := "Wheel-Version: 1.0\nGenerator: onnxprobe-release\nRoot-Is-Purelib: false\n"
	i := strings.LastIndex(w.tag, "-")
	for _, platform := range strings.Split(w.tag[i+1:], ".") {
		text += "Tag: " + w.tag[:i+1] + platform + "\n"
	}
	return []byte(text)
}

var tagged = regexp.MustCompile(`^v(\d+\.\d+\.\d+)(?:-(alpha|beta|rc)\.?(\d+))?$`)

// pythonVersion is a version as Python's packages write theirs: v1.2.3-rc.1 is 1.2.3rc1, and
// of a commit the version before any, with the commit.
func pythonVersion(v string) string {
	if m := tagged.FindStringSubmatch(v); m != nil {
		return m[1] + map[string]string{"": "", "alpha": "a", "beta": "b", "rc": "rc"}[m[2]] + m[3]
	}
	local := strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(strings.TrimPrefix(v, "devel")), "."), ".")
	if local == "" {
		return "0.0.0.dev0"
	}
	return "0.0.0.dev0+" + local
}
