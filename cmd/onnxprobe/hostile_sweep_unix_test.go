//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
)

// Bounds on one command line: what it has for itself, beyond what it is told.
const (
	sweepTime   = 20 * time.Second
	sweepMemory = 3 << 29 // the worker's with what the system and the program take
	sweepModels = 2000
)

// sweep counts how the command lines of TestHostileGrammar ended.
type sweep struct {
	mu       sync.Mutex
	ended    map[string]int
	accepted int
	slowest  time.Duration
	largest  int64
	worst    string
}

// Whatever a model of the grammar holds, every command ends in time, within its memory and
// in words. A twentieth of 2,000 models is tried; ONNXPROBE_MODELS=FROM:TO takes others.
func TestHostileGrammar(t *testing.T) {
	needORT(t)
	as, used := operatorTables()
	from, to, step := 7, sweepModels, 20
	if s := os.Getenv("ONNXPROBE_MODELS"); s != "" {
		step = 1
		if _, err := fmt.Sscanf(s, "%d:%d", &from, &to); err != nil {
			t.Fatalf("ONNXPROBE_MODELS=%s: %v; want FROM:TO", s, err)
		}
	}
	numbers := make(chan int)
	s := &sweep{ended: map[string]int{}}
	var at sync.WaitGroup
	for range runtime.NumCPU() {
		dir := t.TempDir()
		at.Go(func() {
			for n := range numbers {
				s.try(t, dir, hostileModel(n, as, used))
			}
		})
	}
	count := 0
	for n := from; n < to; n += step {
		numbers <- n
		count++
	}
	close(numbers)
	at.Wait()
	t.Logf("%d models, of which ONNX Runtime takes %d; %v; the slowest took %v, the largest %d MiB: %s",
		count, s.accepted, s.ended, s.slowest.Round(time.Millisecond), s.largest>>20, s.worst)
	if count >= 50 && 4*s.accepted < count {
		t.Errorf("ONNX Runtime takes %d models of %d, want a quarter", s.accepted, count)
	}
}

// try sends a model through every command.
func (s *sweep) try(t *testing.T, dir string, g *grammar) {
	path := filepath.Join(dir, "m.onnx")
	if err := os.WriteFile(path, g.model.encode(), 0o644); err != nil {
		t.Error(err)
		return
	}
	limits := []string{"--timeout", "5s", "--max-memory", "1GiB"}
	for _, args := range [][]string{
		append([]string{"inspect", path, "--engines", "--json"}, limits...),
		{"attach", path, "-o", "probed.onnx", "--force"},
		append([]string{"run", path, "--random", "2", "--isolate"}, limits...),
	} {
		out, messages, state, took := ended(t, dir, args)
		if state == nil {
			continue
		}
		code, said := state.ExitCode(), messages
		memory := state.SysUsage().(*syscall.Rusage).Maxrss
		if runtime.GOOS == "linux" {
			memory <<= 10
		}
		var fault string
		switch {
		case code < 0 || code > exitUnavailable || code == exitUsage && !strings.Contains(said, "; give --input"): // for a shape or a value that the model leaves open
			fault = fmt.Sprintf("ends with %v after %v", state, took)
		case strings.Contains(said, "internal error"), strings.Contains(said, "\ngoroutine "), strings.Contains(said, "fatal error: "), strings.Contains(out, "internal error"):
			fault = "panics"
		case took > sweepTime:
			fault = fmt.Sprintf("takes %v", took)
		case memory > max(sweepMemory, ownPeak()): // a process begins with the peak of the one that starts it
			fault = fmt.Sprintf("takes %d MiB", memory>>20)
		}
		if fault != "" {
			t.Errorf("%s: %s %s:\n%.2000s", g, args[0], fault, said)
		}
		s.count(args[0], code, took, memory, out, fmt.Sprintf("%s of %s", args[0], g))
	}
}

// count adds one command line to the sums.
func (s *sweep) count(verb string, code int, took time.Duration, memory int64, out, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended[fmt.Sprint(verb, " ", code)]++
	if took > s.slowest {
		s.slowest, s.worst = took, what
	}
	s.largest = max(s.largest, memory)
	if verb == "inspect" && code == 0 {
		var found struct{ Backends []probes.Trial }
		if json.Unmarshal([]byte(out), &found) == nil && len(found.Backends) > 0 && (found.Backends[0].Runs || found.Backends[0].Plain) {
			s.accepted++
		}
	}
}

// ended is the program's end on a command line, killed where it takes too long.
func ended(t *testing.T, dir string, args []string) (out, messages string, state *os.ProcessState, took time.Duration) {
	self, err := os.Executable()
	if err != nil {
		t.Error(err)
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), sweepTime+time.Second)
	defer stop()
	cmd := exec.CommandContext(ctx, self, args...)
	var o, e bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append(os.Environ(), asProgram+"=1"), &o, &e
	cmd.WaitDelay = time.Second
	at := time.Now()
	_ = cmd.Run()
	return o.String(), e.String(), cmd.ProcessState, time.Since(at)
}

// ownPeak is the most memory that this process had.
func ownPeak() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return int64(u.Maxrss) << 10
}

// The models are of every operator and by every production, and each is the same every time.
func TestHostileGrammarIsWhole(t *testing.T) {
	as, used := operatorTables()
	done, said := map[int]int{}, ""
	for n := range sweepModels {
		g := hostileModel(n, as, used)
		said += g.String() + "\n"
		for _, i := range g.did {
			done[i]++
		}
		if n < 100 && !bytes.Equal(g.model.encode(), hostileModel(n, as, used).model.encode()) {
			t.Errorf("%s: it is another the second time", g)
		}
	}
	for i := range productions {
		if done[i] < 10 {
			t.Errorf("production %d is taken %d times", i, done[i])
		}
	}
	for _, way := range []string{"by Neg", "by Sub", "by Cast", "by Identity", "from the data", "by reference in a function", "Div by -1, ", "Mod by 0, ",
		"in a circle: true", "200 functions of", "Loop, 9223372036854775807 turns", "Scan, ", "batch_dims", "declared"} {
		if !strings.Contains(said, way) {
			t.Errorf("no model is spoiled %s", way)
		}
	}
	if sweepModels < 5*len(onnx.Operators) {
		t.Errorf("%d models for %d operators", sweepModels, len(onnx.Operators))
	}
	for _, o := range onnx.Operators {
		if len(used[o.Name]) == 0 || as[o.Name].opset == 0 {
			t.Errorf("%s: %d signatures, opset %d", o.Name, len(used[o.Name]), as[o.Name].opset)
		}
	}
}
