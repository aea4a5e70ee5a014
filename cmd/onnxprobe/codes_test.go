package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// pictures are the arguments that make model inputs of the digits.
func pictures(verb string, model string, data ...string) []string {
	return with([]string{verb, model, "--preprocess", "mnist-01"}, data...)
}

// codesOf is a run of codes on standard output.
func codesOf(t *testing.T, args ...string) []map[string]any {
	t.Helper()
	return rows(t, stdoutOf(t, with(args, "-o", "-")...))
}

func column(rs []map[string]any, name string) []any {
	var out []any
	for _, r := range rs {
		out = append(out, r[name])
	}
	return out
}

// From PNG files through the whole program to the bits that PyTorch gave; bits
// whose value rounding may put on either side of the knot are marked in near.
func TestCodesOfPicturesAreThoseOfPyTorch(t *testing.T) {
	needORT(t)
	for name, model := range map[string]string{"resnet_basic": resnet, "cnn": cnn, "vit": vit, "acts": data + "models/acts_torchscript.onnx"} {
		t.Run(name, func(t *testing.T) {
			g := readGolden(t, name)
			path := filepath.Join(t.TempDir(), "codes.npy")
			stdoutOf(t, with(pictures("codes", model, g.paths()...), "-o", path)...)
			got, want, near := readArray(t, path), g.arrays["code"], g.arrays["near"]
			if !slices.Equal(got.Shape, want.Shape) || got.DType != tensor.Uint8 {
				t.Fatalf("%s %v, want uint8 %v", got.DType, got.Shape, want.Shape)
			}
			w, n, rounded := tensor.Data[uint8](want), tensor.Data[uint8](near), 0
			for i, b := range tensor.Data[uint8](got) {
				if d := b ^ w[i]; d&^n[i] != 0 {
					t.Fatalf("byte %d is %08b, PyTorch's %08b, near the knot only %08b", i, b, w[i], n[i])
				} else if d != 0 {
					rounded++
				}
			}
			if rounded > len(w)/1000 {
				t.Errorf("%d of %d bytes differ, more than rounding explains", rounded, len(w))
			}
		})
	}
}

func TestFormatsAgree(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	args := with(pictures("codes", resnet, digits), "--sketch", "100", "--seed", "7")
	text := stdoutOf(t, with(args, "-o", "-")...)
	want := rows(t, text)
	if len(want) != 100 {
		t.Fatalf("%d rows, want 100", len(want))
	}
	file := func(name string) string {
		path := filepath.Join(dir, name)
		if out := stdoutOf(t, with(args, "-o", path)...); out != "" {
			t.Errorf("-o FILE wrote %q to standard output", out)
		}
		return path
	}
	if got := slurp(t, file("a.jsonl")); got != text {
		t.Error("the .jsonl file is not what -o - prints")
	}
	if got := stdoutOf(t, with(args, "--json")...); got != text {
		t.Error("--json alone is not what -o - prints")
	}
	var said struct {
		Output, Manifest string
		Summary          result.Summary
	}
	summed := filepath.Join(dir, "summed.npy")
	decode(t, stdoutOf(t, with(args, "--json", "-o", summed)...), &said)
	if said.Output != summed || said.Manifest != result.ManifestPath(summed) || said.Summary.Items != 100 {
		t.Errorf("--json with -o FILE prints %+v", said)
	}
	array := file("a.npy")
	codes, items := tensor.Data[uint8](readArray(t, array)), rows(t, slurp(t, result.ItemsPath(array)))
	type record struct {
		ID     string `parquet:"id"`
		Class  string `parquet:"class"`
		Label  *int64 `parquet:"label,optional"`
		Digest string `parquet:"digest,optional"`
		Code   []byte `parquet:"code,optional"`
		Sketch []byte `parquet:"sketch,optional"`
	}
	table, err := parquet.ReadFile[record](file("a.parquet"))
	if err != nil || len(table) != 100 || len(items) != 100 || len(codes) != 100*400 {
		t.Fatalf("%d rows of parquet (error %v), %d items, %d bytes of code", len(table), err, len(items), len(codes))
	}
	for i, w := range want {
		code := codes[i*400 : (i+1)*400]
		p := table[i]
		if hex.EncodeToString(code) != w["code"] || hex.EncodeToString(p.Code) != w["code"] {
			t.Fatalf("row %d: the codes differ", i)
		}
		if d := probes.DigestOf(code).String(); w["digest"] != d || items[i]["digest"] != d || p.Digest != d {
			t.Fatalf("row %d: digests %v, %v and %v of a code whose digest is %v", i, w["digest"], items[i]["digest"], p.Digest, d)
		}
		if s := w["sketch"].(string); len(s) != 26 || items[i]["sketch"] != s || hex.EncodeToString(p.Sketch) != s {
			t.Fatalf("row %d: sketches %q, %v and %x", i, s, items[i]["sketch"], p.Sketch)
		}
		if w["id"] != items[i]["id"] || w["id"] != p.ID || w["class"] != p.Class || float64(*p.Label) != w["label"] || !strings.HasPrefix(p.ID, p.Class+"/") {
			t.Fatalf("row %d: %v, %v, %+v", i, w["id"], items[i]["id"], p)
		}
	}
}

func TestParts(t *testing.T) {
	needORT(t)
	args := pictures("codes", resnet, digits+"/3")
	whole := codesOf(t, args...)
	inspection := inspectJSON(t, resnet)
	offset := map[string]int{}
	for i, r := range codesOf(t, with(args, "--by-site")...) {
		parts, all := r["code"].(map[string]any), ""
		for _, s := range inspection.Sites {
			offset[s.Name] = len(all) / 2
			all += parts[s.Name].(string)
		}
		if all != whole[i]["code"] || r["digest"] != whole[i]["digest"] || len(parts) != len(inspection.Sites) {
			t.Fatalf("row %d: the parts together are not the code", i)
		}
	}
	some := codesOf(t, with(args, "--sites", "layer1.*", "--sites", "layer3.0.relu_1")...)
	for i, r := range some {
		code := whole[i]["code"].(string)
		if want := code[2*64:2*5*64] + code[2*offset["layer3.0.relu_1"]:]; r["code"] != want {
			t.Fatalf("row %d: the code of the chosen sites is not cut from the whole", i)
		}
	}
	for i, r := range codesOf(t, with(args, "--code=false")...) {
		if _, has := r["code"]; has || r["digest"] != whole[i]["digest"] {
			t.Fatalf("--code=false: %v", r)
		}
	}
	all := codesOf(t, with(args, "--fragile", "1e9")...)
	few := codesOf(t, with(args, "--fragile", "0.01")...)
	none := codesOf(t, with(args, "--fragile", "1e-30")...)
	for i := range all {
		a, f, n := all[i]["fragile"].(float64), few[i]["fragile"].(float64), none[i]["fragile"].(float64)
		if a != 3200 || !(0 < f && f < a) || n > f {
			t.Errorf("row %d: %v units lie within 1e9 of a knot, %v within 0.01, %v within 1e-30; want all 3200, some and hardly any", i, a, f, n)
		}
		if few[i]["code"] != whole[i]["code"] {
			t.Errorf("row %d: --fragile changes the code", i)
		}
	}
}

func TestMaxPoolSites(t *testing.T) {
	needORT(t)
	args := pictures("codes", cnn, digits+"/3")
	plain, pooled := codesOf(t, with(args, "--by-site")...), codesOf(t, with(args, "--by-site", "--include-maxpool")...)
	for i := range plain {
		p, q := plain[i]["code"].(map[string]any), pooled[i]["code"].(map[string]any)
		if len(q) <= len(p) {
			t.Fatalf("sites %v and, with max-pooling, %v", len(p), len(q))
		}
		for name, code := range p {
			if q[name] != code {
				t.Errorf("row %d: --include-maxpool changes the code of %s", i, name)
			}
		}
	}
}

func TestSourcesOfData(t *testing.T) {
	needORT(t)
	want := column(codesOf(t, pictures("codes", resnet, digits+"/3")...), "code")
	var files []string
	for _, name := range list(t, digits+"/3") {
		files = append(files, digits+"/3/"+name)
	}
	for name, r := range map[string]outcome{
		"list":         feed(strings.Join(files, "\n"), pictures("codes", resnet, "-", "-o", "-")...),
		"list of NULs": feed(strings.Join(files, "\x00"), pictures("codes", resnet, "-", "-o", "-")...),
		"glob":         do(pictures("codes", resnet, digits+"/3/*.png", "-o", "-")...),
		"files":        do(with(pictures("codes", resnet, files...), "-o", "-")...),
		"flag last":    do("codes", "-o", "-", "--preprocess=mnist-01", resnet, digits+"/3"),
		"one worker":   do(pictures("codes", resnet, digits+"/3", "-o", "-", "--decoders", "1")...),
		"one thread":   do(pictures("codes", resnet, digits+"/3", "-o", "-", "--threads", "1", "--no-arena")...),
		"limit":        do(pictures("codes", resnet, digits+"/3", digits+"/4", "-o", "-", "--limit", fmt.Sprint(len(files)))...),
	} {
		if got := column(rows(t, r.stdout), "code"); !slices.Equal(got, want) {
			t.Errorf("%s: %d codes that differ from those of the folder (exit code %d)\n%s", name, len(got), r.code, r.messages)
		}
	}
}

func TestSeed(t *testing.T) {
	needORT(t)
	args := pictures("codes", resnet, digits+"/3", "--sketch", "64", "-o", "-", "--seed")
	one, again, two := stdoutOf(t, with(args, "1")...), stdoutOf(t, with(args, "1")...), stdoutOf(t, with(args, "2")...)
	if one != again {
		t.Error("one seed, two results")
	}
	if slices.Equal(column(rows(t, one), "sketch"), column(rows(t, two), "sketch")) {
		t.Error("two seeds, one sketch")
	}
	args = []string{"complexity", resnet, "--random", "5", "-o", "-", "--radius", "0.5", "--seed"}
	one, again, two = stdoutOf(t, with(args, "1")...), stdoutOf(t, with(args, "1")...), stdoutOf(t, with(args, "2")...)
	if one != again || one == two {
		t.Error("complexity does not follow the seed")
	}
}

func TestManifest(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "a.npy")
	stdoutOf(t, pictures("codes", resnet, digits, "-o", path, "--sketch", "64", "--seed", "3", "--batch", "7", "--threads", "1")...)
	m := readManifest(t, path)
	model := sha256.Sum256([]byte(slurp(t, resnet)))
	if len(m.SHA256) != 1 || m.SHA256[filepath.Base(resnet)] != hex.EncodeToString(model[:]) {
		t.Errorf("SHA-256 %v, want %x", m.SHA256, model)
	}
	var sum result.Summary
	if err := m.Summed(&sum); err != nil {
		t.Fatal(err)
	}
	settings := settingsOf(t, m)
	for what, c := range map[string][2]any{
		"tool": {m.Tool, "onnxprobe"}, "verb": {m.Kind, "codes"}, "model": {m.Model, resnet}, "input": {m.Input, "input"},
		"sample": {fmt.Sprint(m.Sample), "[1 8 8]"}, "batch": {m.Batch, 7}, "backend": {m.Backend, "ort"}, "device": {m.Device, "cpu"},
		"threads": {m.Threads, 1}, "optimize": {m.Optimize, "all"}, "seed": {settings["seed"], 3.0}, "sketch": {settings["sketch"], 64.0},
		"items": {sum.Items, 100}, "bit order": {m.BitOrder, "big (numpy.packbits)"}, "units": {m.Units, 3200},
		"preprocessing": {m.Dataset.Sources[0].Preprocess.Name, "mnist-01"}, "source": {m.Dataset.Sources[0].Path, digits},
		"classes": {len(m.Dataset.Classes), 10}, "version": {m.Version, result.Version()},
	} {
		if c[0] != c[1] {
			t.Errorf("%s is %v, want %v", what, c[0], c[1])
		}
	}
	if m.Runtime == "" || m.Precision == "" || m.Dataset.IDs == "" || m.Version == "" {
		t.Errorf("fields are empty: %+v", m)
	}
	offset, units := 0, 0
	for _, s := range m.Sites {
		if s.Offset != offset || s.Bytes != (s.Units*s.Planes+7)/8 {
			t.Errorf("site %s has %d bytes at %d, want %d at %d", s.Name, s.Bytes, s.Offset, (s.Units*s.Planes+7)/8, offset)
		}
		offset, units = offset+s.Bytes, units+s.Units
	}
	if offset != m.CodeBytes || units != m.Units || len(m.Sites) != 9 {
		t.Errorf("%d sites of %d units and %d bytes; the whole says %d and %d", len(m.Sites), units, offset, m.Units, m.CodeBytes)
	}

	// The command in the manifest makes the same bytes again.
	first := map[string]string{}
	for _, name := range list(t, dir) {
		first[name] = slurp(t, filepath.Join(dir, name))
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	stdoutOf(t, m.Command[1:]...)
	for name, want := range first {
		if slurp(t, filepath.Join(dir, name)) != want {
			t.Errorf("%s is different after %q", name, m.Command)
		}
	}
	if len(first) != 3 {
		t.Errorf("the result has files %v, want 3", first)
	}
}

func readManifest(t *testing.T, path string) *result.Manifest {
	t.Helper()
	m, err := result.ReadManifest(result.ManifestPath(path))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func settingsOf(t *testing.T, m *result.Manifest) (settings map[string]any) {
	t.Helper()
	if err := m.Setting(&settings); err != nil {
		t.Fatal(err)
	}
	return settings
}

// Every verb's manifest says what was drawn at random.
func TestManifestOfRandomPoints(t *testing.T) {
	needORT(t)
	for _, verb := range []string{"run", "complexity"} {
		path := filepath.Join(t.TempDir(), "a.jsonl")
		stdoutOf(t, verb, resnet, "--random", "4", "--low", "-1", "--high", "2", "--seed", "9", "-o", path)
		s := settingsOf(t, readManifest(t, path))
		if s["random"] != 4.0 || s["low"] != -1.0 || s["high"] != 2.0 || s["seed"] != 9.0 {
			t.Errorf("%s: settings %v", verb, s)
		}
	}
}

// Smooth activations have no linear regions; every output says so.
func TestSignCodesAreCalledSo(t *testing.T) {
	needORT(t)
	path := filepath.Join(t.TempDir(), "a.npy")
	r := do(pictures("codes", vit, digits+"/3", "-o", path)...)
	if r.code != 0 || !strings.Contains(r.messages, "sign codes") || !strings.Contains(strings.Join(readManifest(t, path).Notes, " "), "sign codes") {
		t.Errorf("exit code %d:\n%s", r.code, r.messages)
	}
}
