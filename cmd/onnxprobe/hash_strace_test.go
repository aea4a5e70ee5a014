//go:build linux

package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// everyFault asks for all faults, kills and seeds, where a test takes a seeded part.
const everyFault = "ONNXPROBE_EVERY_FAULT"

// fileCalls are the calls of the system by which a job touches files.
var fileCalls = []string{"openat", "read", "pread64", "write", "pwrite64", "newfstatat", "fstat", "getdents64", "fsync", "ftruncate", "renameat", "linkat", "unlinkat", "mkdirat", "flock", "lseek"}

// Whatever call of the system fails, with whatever error of the machine, the same command
// makes the job that it would have made undisturbed, with no row that says an error.
func TestHashEveryCallFails(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("it needs strace: ", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	top := t.TempDir()
	log := filepath.Join(top, "log")
	traced := func(dir string, options ...string) (int, string) {
		cmd := exec.Command(strace, append(append([]string{"-f", "-o", log}, options...), append([]string{self}, pureJob(dir, "--quiet")...)...)...)
		cmd.Env = append(os.Environ(), asProgram+"=1", "GOMAXPROCS=2")
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), string(out)
	}
	want := filepath.Join(top, "want")
	if code, out := traced(want, "-e", "trace="+strings.Join(fileCalls, ",")); code != exitDone {
		t.Skipf("strace does not work here: exit code %d\n%s", code, out)
	}
	line := regexp.MustCompile(`(?m)^(\d+) +([a-z0-9]+)\(`)
	count := map[[2]string]int{}
	for _, m := range line.FindAllStringSubmatch(slurp(t, log), -1) {
		count[[2]string{m[1], m[2]}]++ // strace counts for each thread
	}
	most := map[string]int{}
	for of, n := range count {
		most[of[1]] = max(most[of[1]], n)
	}
	type fault struct {
		call, err string
		at        int
	}
	var all, others []fault
	for _, call := range slices.Sorted(maps.Keys(most)) {
		for at := 1; at <= most[call]; at++ {
			for _, e := range []string{"EMFILE", "ENOSPC", "EIO"} {
				all = append(all, fault{call, e, at})
			}
			for _, e := range []string{"ENFILE", "ENOMEM", "ESTALE", "EDQUOT", "EFBIG", "EROFS", "ETIMEDOUT"} {
				others = append(others, fault{call, e, at})
			}
		}
	}
	r := rand.New(rand.NewPCG(15, 0))
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	r.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	chosen := append(slices.Clone(all[:min(20, len(all))]), others[:min(10, len(others))]...)
	if os.Getenv(everyFault) != "" {
		chosen = all
		for e, taken := range map[string]int{"ENFILE": 0, "ENOMEM": 0, "ESTALE": 0, "EDQUOT": 0, "EFBIG": 0, "EROFS": 0, "ETIMEDOUT": 0} {
			for _, f := range others {
				if f.err == e && taken < 50 {
					chosen, taken = append(chosen, f), taken+1
				}
			}
		}
	}
	ended, foreign := 0, 0
	for k, f := range chosen {
		dir := filepath.Join(top, fmt.Sprint(k))
		code, out := traced(dir, "-e", "trace="+f.call, "-e", fmt.Sprintf("inject=%s:error=%s:when=%d", f.call, f.err, f.at))
		what := fmt.Sprintf("%s at %s %d", f.err, f.call, f.at)
		_, made := os.Stat(dir)
		switch {
		case code == exitFailed:
			ended++
		case code != exitDone && (made != nil && !strings.Contains(out, "onnxprobe:") || strings.Contains(out, "runtime: netpollBreak write failed")):
			foreign++ // the loader's or Go's own call
		case code != exitDone:
			t.Errorf("%s: exit code %d\n%s", what, code, out)
		}
		if r := do(pureJob(dir, "--quiet")...); r.code != exitDone {
			t.Errorf("%s: then again: exit code %d\n%s\nfirst: %s", what, r.code, r.messages, out)
			continue
		}
		sameTree(t, dir, want)
		if t.Failed() {
			t.Fatalf("%s: the job is another\n%s", what, out)
		}
		os.RemoveAll(dir)
	}
	t.Logf("%d faults of %d: %d ended a run, %d the loader or Go's own runtime", len(chosen), len(all)+len(others), ended, foreign)
	if ended < len(chosen)/3 {
		t.Errorf("only %d faults of %d ended a run", ended, len(chosen))
	}
}
