package onnx

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What is being written when a program ends in haste is removed, and gets no name after.
func TestAbandon(t *testing.T) {
	var all temporaries
	dir := t.TempDir()
	done, err := all.begin(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer done.Close()
	named := filepath.Join(dir, "m.onnx")
	if err := all.publish(done.Name(), named); err != nil {
		t.Fatal(err)
	}
	all.end(done.Name())
	half, err := all.begin(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	all.abandon()
	late := make(chan error, 1)
	go func() { late <- all.publish(half.Name(), named) }() // waits for ever
	select {
	case err := <-late:
		t.Errorf("it was published after all: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 || left[0].Name() != "m.onnx" {
		t.Errorf("the folder has %v, %v", left, err)
	}
}
