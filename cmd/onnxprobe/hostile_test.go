package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// field is a length-delimited protobuf field.
func field(number int, content []byte) []byte {
	b := binary.AppendUvarint(nil, uint64(number)<<3|2)
	return append(binary.AppendUvarint(b, uint64(len(content))), content...)
}

// Whatever a model file holds, it is a message and an exit code: run recovers from
// nothing, so that a panic ends this test.
func TestHostileModels(t *testing.T) {
	good := []byte(slurp(t, mlp))
	opset := field(8, []byte{0x10, 20})
	// with is a node with an attribute, integer one, node has none, and whole is an int64
	// by itself.
	with := func(attr []byte, op string, names ...string) (b []byte) {
		for _, n := range names[:len(names)-1] {
			b = append(b, field(1, []byte(n))...)
		}
		return field(1, bytes.Join([][]byte{b, field(2, []byte(names[len(names)-1])), field(4, []byte(op)), attr}, nil))
	}
	node := func(op string, names ...string) []byte { return with(nil, op, names...) }
	integer := func(name string, v int64) []byte {
		return field(5, append(append(field(1, []byte(name)), 0xa0, 1, 2, 0x18), binary.AppendUvarint(nil, uint64(v))...))
	}
	whole := func(name string, v int64) []byte {
		return field(5, append([]byte{0x10, 7}, append(field(8, []byte(name)), field(9, binary.LittleEndian.AppendUint64(nil, uint64(v)))...)...))
	}
	graph := func(parts ...[]byte) []byte {
		return append(append([]byte{0x08, 8}, field(7, bytes.Join(parts, nil))...), opset...)
	}
	io := append(field(11, field(1, []byte("x"))), field(12, field(1, []byte("y")))...)
	deep := []byte{}
	for range 20_000 {
		deep = field(7, deep)
	}
	external := func(location string) []byte {
		entry := append(field(1, []byte("location")), field(2, []byte(location))...)
		tensor := append([]byte{0x08, 1, 0x10, 1, 0x70, 1}, append(field(8, []byte("w")), field(13, entry)...)...)
		return graph(field(5, tensor), node("Add", "x", "w", "a"), node("Relu", "a", "y"), io)
	}
	models := map[string][]byte{
		"empty": nil, "one byte": {0x0a}, "text": []byte("hello, world\n"), "zeros": make([]byte, 4096),
		"ones": bytes.Repeat([]byte{0xff}, 4096), "html": []byte("<!DOCTYPE html><html>"), "pointer": []byte("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"),
		"half": good[:len(good)/2], "all but a byte": good[:len(good)-1], "doubled": append(bytes.Clone(good), good...),
		"deep": deep, "no graph": opset, "empty graph": graph(), "no opset": field(7, node("Relu", "x", "y")),
		"cycle":           graph(node("Relu", "b", "a"), node("Relu", "a", "b"), io),
		"undefined input": graph(node("Relu", "nothing", "y"), io), "unknown operator": graph(node("Nope", "x", "y"), io),
		"no outputs of a node": graph(field(1, append(field(1, []byte("x")), field(4, []byte("Relu"))...)), node("Relu", "x", "y"), io),
		"outputs left out":     graph(field(1, append(append(field(1, []byte("x")), append(field(2, nil), field(2, nil)...)...), field(4, []byte("MaxPool"))...)), node("Relu", "x", "y"), io),
		"division by 0":        graph(whole("a", 1), whole("b", 0), node("Div", "a", "b", "d"), node("Relu", "x", "y"), io),
		"remainder by 0":       graph(whole("a", 1), whole("b", 0), node("Mod", "a", "b", "d"), node("Relu", "x", "y"), io),
		"least by -1":          graph(whole("a", math.MinInt64), whole("b", -1), node("Div", "a", "b", "d"), node("Relu", "x", "y"), io),
		"parts of 0":           graph(whole("b", 0), node("SplitToSequence", "x", "b", "d"), node("Relu", "x", "y"), io),
		"batch_dims":           graph(whole("a", 0), with(integer("batch_dims", -3), "GatherND", "x", "a", "d"), node("Relu", "d", "y"), io),
		"group":                graph(whole("a", 0), with(integer("group", 0), "Conv", "x", "a", "d"), node("Relu", "d", "y"), io),
		"heads":                graph(with(integer("q_num_heads", 0), "Attention", "x", "x", "x", "d"), node("Relu", "d", "y"), io),
		"no inputs":            graph(node("Relu", "y"), io), "nothing bends": graph(node("Identity", "x", "y"), io), "made twice": graph(node("Relu", "x", "y"), node("Relu", "x", "y"), io),
		"any shape": graph(node("Relu", "x", "y"), io), "long string": append([]byte{0x12, 0xff, 0xff, 0xff, 0xff, 0x07}, good[:100]...),
		"outside": external("../secret"), "absolute": external("/etc/passwd"), "NUL": external("a\x00b"), "device": external("/dev/zero"), "missing": external("w.bin"),
	}
	why := map[string]string{"no outputs of a node": "has no output", "outputs left out": "has no output", "division by 0": `by the constant "b"`, "remainder by 0": `by the constant "b"`,
		"least by -1": "the least of int64, by -1", "parts of 0": "split is 0; want 1 or more", "batch_dims": "batch_dims is -3", "group": "group is 0", "heads": "q_num_heads is 0"}
	for n := 0; n < len(good); n += len(good)/40 + 1 {
		models[fmt.Sprintf("cut at %d", n)] = good[:n]
		flipped := bytes.Clone(good)
		flipped[n] ^= 0x55
		models[fmt.Sprintf("flipped at %d", n)] = flipped
	}
	dir := t.TempDir()
	for name, content := range models {
		path := spill(t, filepath.Join(dir, "m.onnx"), content)
		for _, args := range [][]string{{"inspect", path}, {"attach", path, "-o", filepath.Join(dir, "p.onnx"), "--force"},
			{"codes", path, "--random", "2", "--input-size", "1x8x8", "-o", "-"}, {"run", path, "--random", "2", "--input-size", "1x8x8"}} {
			r := do(args...)
			if r.code < 0 || r.code > 4 || r.code == exitUsage || r.code != 0 && strings.TrimSpace(r.messages) == "onnxprobe:" {
				t.Errorf("%s: %s ends with %d: %s", name, args[0], r.code, r.messages)
			}
			if !strings.Contains(r.messages, why[name]) {
				t.Errorf("%s: %s says %q, want %q", name, args[0], r.messages, why[name])
			}
			if strings.HasPrefix(name, "flipped") || name == "doubled" || name == "any shape" || name == "nothing bends" && args[0] != "attach" && args[0] != "codes" || (name == "unknown operator" || name == "no inputs" || name == "empty graph") && args[0] == "inspect" {
				continue // some of these can be used
			}
			if r.code != exitFailed {
				t.Errorf("%s: %s ends with %d, want 1: %s", name, args[0], r.code, r.messages)
			}
		}
	}
}

// png is a picture whose header says w x h, with the given compressed pixels.
func png(w, h uint32, pixels []byte) []byte {
	b := []byte("\x89PNG\r\n\x1a\n")
	chunk := func(kind string, content []byte) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(content)))
		start := len(b)
		b = append(append(b, kind...), content...)
		b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[start:]))
	}
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)
	chunk("IHDR", append(head, 8, 0, 0, 0, 0))
	chunk("IDAT", pixels)
	chunk("IEND", nil)
	return b
}

// Every bad picture is a row with an error; the good ones between them have the
// codes they have alone, and names are one line of UTF-8.
func TestHostilePictures(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	good := []byte(slurp(t, digits+"/0/0276.png"))
	bad := map[string][]byte{
		"empty.png": nil, "html.jpg": []byte("<html></html>"), "text.png": []byte("hello"), "cut.png": good[:len(good)/2], "signature.png": good[:8],
		"huge.png": png(65535, 65535, nil), "vast.png": png(1<<31-1, 1<<31-1, nil), "flat.png": png(0, 8, nil), "no pixels.png": png(8, 8, nil),
		"jpeg.jpg": []byte("\xff\xd8\xff\xe0\x00\x10JFIF"), "gif.gif": []byte("GIF89a\xff\xff\xff\xff\x00\x00\x00"), "webp.webp": []byte("RIFF\xff\xff\xff\xffWEBPVP8 "),
		"bmp.bmp": append([]byte("BM"), bytes.Repeat([]byte{0xff}, 60)...), "tiff.tiff": append([]byte("II*\x00"), bytes.Repeat([]byte{0xff}, 60)...),
	}
	for name, content := range bad {
		spill(t, filepath.Join(dir, name), content)
	}
	if err := os.Symlink("loop.png", filepath.Join(dir, "loop.png")); err == nil {
		bad["loop.png"] = nil
	}
	if err := os.Mkdir(filepath.Join(dir, ".hidden"), 0o755); err != nil {
		t.Fatal(err)
	}
	names := []string{"good.png", "with\nnewline.png", "with\ttab \"quotes\".png", "-flag.png", "*.png", "ünïcode.png"}
	if f, err := os.Create(filepath.Join(dir, "latin\xe9.png")); err == nil { // not every file system has such names
		f.Close()
		names = append(names, "latin\xe9.png")
	}
	for _, name := range names {
		spill(t, filepath.Join(dir, name), good)
	}
	want := codesOf(t, pictures("codes", resnet, digits+"/0/0276.png")...)[0]["code"]
	for _, form := range []string{"jsonl", "npy", "parquet"} {
		out := filepath.Join(t.TempDir(), "out."+form)
		r := do(pictures("codes", resnet, dir, "-o", out)...)
		if r.code != exitSomeFailed || !utf8.ValidString(r.messages) {
			t.Fatalf("%s: exit code %d, want 3: %q", form, r.code, r.messages)
		}
		if form != "jsonl" {
			continue
		}
		rs := rows(t, slurp(t, out))
		if len(rs) != len(bad)+len(names) {
			t.Errorf("%d rows, want %d", len(rs), len(bad)+len(names))
		}
		ids := map[string]bool{}
		for _, row := range rs {
			id := row["id"].(string)
			_, isBad := bad[id]
			if ids[id] || strings.ContainsAny(id, "\n\r") || !utf8.ValidString(id) {
				t.Errorf("id %q is not unique, or not a line", id)
			}
			ids[id] = true
			if isBad != (row["status"] == "error") || isBad != (row["code"] == nil) || !isBad && row["code"] != want {
				t.Errorf("%q: status %v, error %v", id, row["status"], row["error"])
			}
		}
	}
}

// Arrays, labels, frames and preprocessing files are hostile too.
func TestHostileFiles(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	npy := func(header string) []byte {
		return append(binary.LittleEndian.AppendUint16([]byte("\x93NUMPY\x01\x00"), uint16(len(header))), header...)
	}
	for name, content := range map[string][]byte{
		"empty": nil, "magic": []byte("\x93NUMPY"), "no header": npy(""), "objects": npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n"),
		"overflow": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9223372036854775807), }\n"),
		"negative": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 8), }\n"),
		"short":    npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1, 8, 8), }\n"), "zip": []byte("PK\x03\x04"), "text": []byte("hello"),
	} {
		path := spill(t, filepath.Join(dir, "x.npy"), content)
		for _, args := range [][]string{{"codes", resnet, path, "-o", "-"}, {"complexity", resnet, "--random", "1", "--frame", path, "-o", "-"},
			{"codes", resnet, path, "-o", "-", "--format", "mnist"}, {"codes", resnet, path, "-o", "-", "--format", "cifar10"}} {
			if r := do(args...); r.code != exitFailed || r.stdout != "" {
				t.Errorf("%s: %q ends with %d: %s", name, args, r.code, r.messages)
			}
		}
		if r := do("codes", resnet, digits, "--preprocess", path, "-o", "-"); r.code != exitUsage {
			t.Errorf("%s as preprocessing ends with %d: %s", name, r.code, r.messages)
		}
	}
	wrong := saveArray(t, filepath.Join(dir, "wrong.npy"), tensor.Of(make([]float32, 12), 1, 3, 2, 2))
	if r := do("codes", resnet, wrong, "-o", "-"); r.code != exitFailed || !strings.Contains(r.messages, "[3 2 2]") || !strings.Contains(r.messages, "[1 8 8]") {
		t.Errorf("an array of another shape: exit code %d: %s", r.code, r.messages)
	}
}
