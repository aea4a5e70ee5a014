//go:build unix

package main

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A pipe in the place of a file is not opened, since nobody may ever write to it.
func TestPipesAreNotOpened(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	codes := filepath.Join(t.TempDir(), "c.parquet")
	stdoutOf(t, "codes", mlp, "--random", "3", "--backend", "gorgonia", "-o", codes)
	for _, args := range [][]string{
		{"inspect", pipe}, {"codes", mlp, pipe, "--preprocess", "mnist-01", "-o", "-"}, {"dedup", pipe}, {"search", codes, "--query", pipe},
		{"evaluate", codes, "--test", pipe}, {"compare", mlp, pipe}, {"phases", pipe, "--train", digits, "--test", digits, "-o", "r"},
	} {
		done := make(chan outcome, 1)
		go func() { done <- do(args...) }()
		select {
		case r := <-done:
			if r.code != exitFailed && r.code != exitUsage {
				t.Errorf("%q: exit code %d, %s", args, r.code, r.messages)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%q waits for a writer", args)
		}
	}
}
