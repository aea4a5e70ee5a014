//go:build unix

package main

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// watched is standard output that says when something was written to it.
type watched struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	first chan struct{}
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.buf.Len() == 0 && len(p) > 0 {
		close(w.first)
	}
	return w.buf.Write(p)
}

// An interrupt ends a run at once and leaves nothing behind.
func TestInterrupt(t *testing.T) {
	needORT(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		signal os.Signal
		args   []string
	}{
		"complexity": {syscall.SIGINT, []string{"complexity", resnet, "--random", "1000000", "-o", "lc.parquet"}},
		"very long":  {syscall.SIGINT, []string{"complexity", resnet, "--random", "1000000000000", "-o", "lc.npy"}},
		"terminated": {syscall.SIGTERM, []string{"run", resnet, "--random", "1000000000", "-o", "lc.npy"}},
		"compare":    {syscall.SIGINT, []string{"compare", resnet, "--random", "1000000000"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			model, err := filepath.Abs(c.args[1])
			if err != nil {
				t.Fatal(err)
			}
			args := append([]string{c.args[0], model}, c.args[2:]...)
			cmd := exec.Command(self, args...)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), asProgram+"=1")
			messages := &watched{first: make(chan struct{})}
			cmd.Stderr = messages
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			if c.args[0] != "compare" {
				begun(t, dir)
			} else {
				time.Sleep(500 * time.Millisecond)
			}
			at := time.Now()
			if err := cmd.Process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			err = cmd.Wait()
			if took := time.Since(at); took > 2*time.Second {
				t.Errorf("it went on for %v", took)
			}
			if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(messages.buf.String(), "interrupted") {
				t.Errorf("exit code %d (%v):\n%s", code, err, messages.buf.String())
			}
			if left := list(t, dir); len(left) > 0 {
				t.Errorf("it left %q", left)
			}
		})
	}
}

// begun waits until a run has made files and had a moment to go on.
func begun(t *testing.T, dir string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if found, err := fs.ReadDir(os.DirFS(dir), "."); err == nil && len(found) > 0 {
			time.Sleep(300 * time.Millisecond)
			return
		}
	}
	t.Fatal("the run made no file")
}

// Rows go out as they come, so that a pipe's reader sees them early.
func TestRowsStream(t *testing.T) {
	needORT(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "complexity", resnet, "--random", "1000000", "-o", "-")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	rows := &watched{first: make(chan struct{})}
	cmd.Stdout = rows
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-rows.first:
	case <-time.After(20 * time.Second):
		t.Error("no row came")
	}
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait()
	if !bytes.HasPrefix(rows.buf.Bytes(), []byte(`{"id":"random[0]"`)) || !bytes.HasSuffix(rows.buf.Bytes(), []byte("}\n")) {
		t.Errorf("%d bytes that are not whole rows", rows.buf.Len())
	}
}
