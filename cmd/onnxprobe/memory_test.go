package main

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"strings"
	"testing"
)

// vast is a model of x [N, 4] that declares an output of 4 TiB.
func vast(t *testing.T) string {
	dim := func(n uint64) []byte { return field(1, append([]byte{0x08}, binary.AppendUvarint(nil, n)...)) }
	port := func(name string, dims ...[]byte) []byte {
		typ := field(1, append([]byte{0x08, 1}, field(2, bytes.Join(dims, nil))...))
		return append(field(1, []byte(name)), field(2, typ)...)
	}
	shape := append([]byte{0x08, 2, 0x10, 7}, field(8, []byte("s"))...) // int64 [2]
	shape = append(shape, field(9, binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, 1<<20), 1<<20))...)
	node := append(append(field(1, []byte("s")), field(2, []byte("y"))...), field(4, []byte("ConstantOfShape"))...)
	graph := bytes.Join([][]byte{field(1, node), field(2, []byte("g")), field(5, shape),
		field(11, port("x", field(1, field(2, []byte("N"))), dim(4))), field(12, port("y", dim(1<<20), dim(1<<20)))}, nil)
	return spill(t, filepath.Join(t.TempDir(), "vast.onnx"), bytes.Join([][]byte{{0x08, 8}, field(7, graph), field(8, []byte{0x10, 17})}, nil))
}

// A model that asks for more memory than there is ends with a message, on every engine
// and before any.
func TestMemoryIsLimited(t *testing.T) {
	path := vast(t)
	for _, args := range [][]string{{}, {"--max-memory", "64GiB"}, {"--max-memory", "3TiB", "--backend", "gorgonia"}, {"--max-memory", "2000000000"}} {
		r := do(append([]string{"run", path, "--random", "2"}, args...)...)
		if r.code != exitFailed || !strings.Contains(r.messages, `"y"`) || !strings.Contains(r.messages, "[1048576 1048576]") ||
			!strings.Contains(r.messages, "4398046511104 bytes (4 TiB)") || !strings.Contains(r.messages, "--max-memory") {
			t.Errorf("%q: exit code %d: %s", args, r.code, r.messages)
		}
	}
	if r := do("inspect", path, "--engines"); r.code != 0 || strings.Count(r.stdout, "does not run on") < 2 || !strings.Contains(r.stdout, "--max-memory") {
		t.Errorf("inspect: exit code %d: %s%s", r.code, r.stdout, r.messages)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--max-memory", "much"}, exitUsage, `--max-memory "much" is no size: write a number of bytes, or one with`},
		{[]string{"--max-memory", "-1GB"}, exitUsage, `--max-memory "-1GB"`},
		{[]string{"--max-memory", "0"}, exitUsage, `--max-memory "0"`},
		{[]string{"--max-memory", "1KB", "--batch", "8"}, exitFailed, "takes 2048 bytes (2 KiB), and the limit is 1000 bytes: take a smaller batch"},
		{[]string{"--max-memory", "64KB", "--batch", "1"}, 0, ""},
	} {
		r := do(append([]string{"codes", mlp, "--random", "8", "-o", "-"}, c.args...)...)
		if r.code != c.code || !strings.Contains(r.messages, c.want) {
			t.Errorf("%q: exit code %d, want %d: %s", c.args, r.code, c.code, r.messages)
		}
	}
}

// Every verb that has an engine has the limit.
func TestEveryEngineIsLimited(t *testing.T) {
	for _, verb := range []string{"run", "codes", "complexity", "affine", "bench", "compare", "dynamics", "phases", "regions", "inspect", "hash run"} {
		r := do(append(strings.Fields(verb), "--help-all")...)
		if has := strings.Contains(r.stdout, "--backend"); has != strings.Contains(r.stdout, "--max-memory SIZE") && verb != "compare" {
			t.Errorf("%s: an engine: %v; its help:\n%s", verb, has, r.stdout)
		} else if !strings.Contains(r.stdout, "--max-memory SIZE") {
			t.Errorf("%s has no --max-memory", verb)
		}
	}
}
