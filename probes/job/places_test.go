package job

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
)

// A root that is not there is of no use to try again; one that a network file system
// cannot give now is.
func TestUnreachable(t *testing.T) {
	for no, machine := range map[syscall.Errno]bool{syscall.ENOENT: false, syscall.EACCES: false, syscall.ENOTDIR: false, syscall.ESTALE: true, syscall.ETIMEDOUT: true, syscall.EIO: true} {
		err := unreachable("/data", &fs.PathError{Op: "stat", Path: "/data", Err: no})
		var lost *UnreachableError
		var fault *dataset.MachineError
		if errors.As(err, &lost) == machine || errors.As(err, &fault) != machine || !strings.Contains(err.Error(), no.Error()) {
			t.Errorf("%v: %v", no, err)
		}
	}
}

// Where the machine is at fault again and again, the rest is not tried, and it counts
// against no shard.
func TestMachineEndsRun(t *testing.T) {
	p, r := planned(t, func() error { return &fs.PathError{Op: "run", Path: "x", Err: syscall.ENOMEM} })
	w, err := p.NewWorker(r, WorkerOptions{MaxTries: 1})
	if err != nil {
		t.Fatal(err)
	}
	var got []Result
	for range 2 { // not even twice
		got = nil
		err := w.Run(context.Background(), p.Slice(0, 1), func(res Result) { got = append(got, res) })
		if !errors.Is(err, syscall.ENOMEM) || !strings.Contains(err.Error(), "3 shards are not done, one after the other") || len(got) != 3 {
			t.Errorf("after %d shards: %v", len(got), err)
		}
	}
	if s, err := p.Status(); err != nil || len(s.Missing) != 4 || len(s.Aside) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if dead, alive, err := p.tries(0); dead+alive != 0 || err != nil {
		t.Errorf("%d tries count: %v", dead+alive, err)
	}
}
