//go:build unix

package main

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// relus writes a model of n activations, one after the other.
func relus(t *testing.T, path string, n int) string {
	t.Helper()
	shape := []onnx.Dim{{Size: -1, Param: "N"}, {Size: 4}}
	g := &onnx.Graph{Name: "relus", Inputs: []*onnx.Value{onnx.NewValue("v0", tensor.Float32, shape)},
		Outputs: []*onnx.Value{onnx.NewValue(fmt.Sprint("v", n), tensor.Float32, shape)}}
	for i := range n {
		g.Nodes = append(g.Nodes, &onnx.Node{Op: "Relu", Name: fmt.Sprint("n", i), Inputs: []string{fmt.Sprint("v", i)}, Outputs: []string{fmt.Sprint("v", i+1)}})
	}
	m := &onnx.Model{IR: 8, Opsets: []onnx.Opset{{Version: 17}}, Graph: g}
	if err := m.Save(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// blank writes a black PNG of edge x edge pixels, which is small as a file.
func blank(t *testing.T, path string, edge int) string {
	t.Helper()
	var out bytes.Buffer
	out.WriteString("\x89PNG\r\n\x1a\n")
	chunk := func(kind string, b []byte) {
		binary.Write(&out, binary.BigEndian, uint32(len(b)))
		b = append([]byte(kind), b...)
		out.Write(b)
		binary.Write(&out, binary.BigEndian, crc32.ChecksumIEEE(b))
	}
	var head []byte
	head = binary.BigEndian.AppendUint32(head, uint32(edge))
	head = binary.BigEndian.AppendUint32(head, uint32(edge))
	chunk("IHDR", append(head, 8, 0, 0, 0, 0))
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	for row := make([]byte, 1+edge); edge > 0; edge-- {
		if _, err := z.Write(row); err != nil {
			t.Fatal(err)
		}
		if edge == 1 {
			break
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	chunk("IDAT", packed.Bytes())
	chunk("IEND", nil)
	return spill(t, path, out.Bytes())
}

// sketches writes a result with n random sketches.
func sketches(t *testing.T, path string, n int) string {
	t.Helper()
	const width = 128
	r := rand.New(rand.NewPCG(1, 2))
	ids, status, labels, bits := make([]string, n), make([]string, n), make([]int64, n), make([]byte, n*width)
	for i := range ids {
		ids[i], status[i], labels[i] = fmt.Sprint(i), "ok", int64(i%100)
	}
	for i := range bits {
		bits[i] = byte(r.Uint32())
	}
	to, err := result.Create(path, result.Options{})
	if err == nil {
		err = to.Write([]result.Column{{Name: "id", Values: ids}, {Name: "status", Values: status}, {Name: "label", Values: labels}, {Name: "sketch", Values: bits, Width: width}})
	}
	if err == nil {
		err = to.Commit(map[string]any{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// started is the test binary at work as the program itself, in a folder.
func started(t *testing.T, dir string, args ...string) (*exec.Cmd, *watched) {
	t.Helper()
	return limited(t, dir, "", args...)
}

// limited is started where no file may become larger than so many bytes; "" is no limit.
func limited(t *testing.T, dir, most string, args ...string) (*exec.Cmd, *watched) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), asProgram+"=1", fileLimit+"="+most)
	messages := &watched{first: make(chan struct{})}
	cmd.Stderr = messages
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	return cmd, messages
}

// limitFiles is what fileLimit asks for.
func limitFiles(bytes int) error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
		return err
	}
	l.Cur = 0
	for range bytes { // its type is not the same everywhere
		l.Cur++
	}
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l)
}

// A signal ends every stage within a second, whether the stage looks at it or not, and a
// second signal at once. The tests allow another second, since machines that run them
// have other things to do.
func TestSignalEndsEveryStage(t *testing.T) {
	needORT(t)
	made := t.TempDir()
	model, err := filepath.Abs(mlp)
	if err != nil {
		t.Fatal(err)
	}
	large := relus(t, filepath.Join(made, "large.onnx"), 1_000_000)
	many := relus(t, filepath.Join(made, "many.onnx"), 40_000)
	blank(t, filepath.Join(made, "p/0.png"), 12_000)
	for i := range 7 {
		if err := os.Link(filepath.Join(made, "p/0.png"), filepath.Join(made, fmt.Sprintf("p/%d.png", i+1))); err != nil {
			t.Fatal(err)
		}
	}
	codes := sketches(t, filepath.Join(made, "codes.parquet"), 200_000)
	for name, c := range map[string]struct {
		after time.Duration // when the stage is under way
		args  []string
	}{
		"load":     {300 * time.Millisecond, []string{"inspect", large}},
		"attach":   {time.Second, []string{"attach", many, "-o", "probed.onnx"}},
		"decode":   {700 * time.Millisecond, []string{"codes", model, filepath.Join(made, "p"), "--preprocess", "mnist-01", "--decoders", "1", "-o", "codes.parquet"}},
		"hash":     {700 * time.Millisecond, []string{"hash", model, filepath.Join(made, "p"), "--preprocess", "mnist-01", "--decoders", "1", "-o", "job"}},
		"regions":  {700 * time.Millisecond, []string{"regions", filepath.Join(made, "p"), "--regions", "slic:100", "--output-format", "yolo", "-o", "labels"}},
		"search":   {time.Second, []string{"search", codes, "--all", "-o", "found.parquet"}},
		"kmeans":   {time.Second, []string{"evaluate", codes, "--kmeans", "--clusters", "500"}},
		"kernel":   {time.Second, []string{"evaluate", codes, "--kernel-score", "--unlabeled", "--sample", "2048"}},
		"logistic": {time.Second, []string{"evaluate", codes, "--test", codes, "--logistic"}},
	} {
		for _, second := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, second signal %v", name, second), func(t *testing.T) {
				dir := t.TempDir()
				cmd, messages := started(t, dir, c.args...)
				time.Sleep(c.after)
				at := time.Now()
				_ = cmd.Process.Signal(syscall.SIGTERM)
				most := time.Second
				if second {
					most = 100 * time.Millisecond
					time.Sleep(50 * time.Millisecond)
					_ = cmd.Process.Signal(os.Interrupt)
				}
				_ = cmd.Wait()
				took := time.Since(at)
				t.Logf("ended after %v", took.Round(time.Millisecond))
				if took > most+time.Second {
					t.Errorf("it went on for %v", took)
				}
				said := messages.buf.String()
				if code := cmd.ProcessState.ExitCode(); code != exitFailed || strings.Count(said, "onnxprobe: interrupted") != 1 {
					t.Errorf("exit code %d, want 1 and one line:\n%s", code, said)
				}
				left := list(t, dir)
				if name == "hash" { // no try of the shard counts
					if left = list(t, filepath.Join(dir, "job")); !slices.ContainsFunc(left, func(n string) bool { return strings.HasPrefix(n, ".") || strings.HasSuffix(n, "_tries") }) {
						return
					}
				} else if !strings.Contains(said, "no result was written") {
					t.Errorf("it says %s", said)
				}
				if len(left) > 0 {
					t.Errorf("it left %q", left)
				}
			})
		}
	}
}

// A pipe that nobody writes to is no model, and nothing waits for it.
func TestPipeForAModel(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe.onnx")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	cmd, messages := started(t, dir, "inspect", pipe)
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("it waits")
	}
	if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(messages.buf.String(), "pipe") {
		t.Errorf("exit code %d, want 1:\n%s", code, messages.buf.String())
	}
}
