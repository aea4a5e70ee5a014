//go:build unix

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program is a command line as a process of its own.
func program(t testing.TB, args ...string) (*exec.Cmd, *watched) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	messages := &watched{first: make(chan struct{})}
	cmd.Stderr = messages
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	return cmd, messages
}

// Killed at random moments and started again, a job ends as one that was left alone.
func TestHashKilled(t *testing.T) {
	needORT(t)
	slow := func(dir string, more ...string) []string {
		return job20(dir, append([]string{"--directions", "40", "--max-tries", "0"}, more...)...)
	}
	start := time.Now()
	want := whole(t, slow)
	took := time.Since(start)
	dir := filepath.Join(t.TempDir(), "killed")
	middle := 0 // runs that were killed while they worked
	for killed, mode := 0, "incremental"; killed < 20; {
		cmd, _ := program(t, slow(dir, "--mode", mode)...)
		time.Sleep(time.Duration(rand.Int64N(int64(took/5 + 100*time.Millisecond))))
		cmd.Process.Kill()
		mode = "incremental"
		if cmd.Wait(); cmd.ProcessState.ExitCode() == -1 {
			killed++
		} else {
			mode = "overwrite" // it came to its end: begin anew
		}
		if found, _ := filepath.Glob(filepath.Join(dir, "*_tries/*")); len(found) > 0 {
			middle++
		}
	}
	t.Logf("killed 20 times, %d of them while a shard was made; a whole run takes %v", middle, took)
	if middle < 3 {
		t.Errorf("only %d of 20 runs were killed while they made a shard", middle)
	}
	stdoutOf(t, slow(dir)...)
	sameTree(t, dir, want)
}

// Workers of one slice do each other no harm.
func TestHashTogether(t *testing.T) {
	needORT(t)
	want := whole(t, job20)
	dir := filepath.Join(t.TempDir(), "together")
	stdoutOf(t, planOf(job20(dir))...)
	var workers []*exec.Cmd
	var said []*watched
	for range 4 { // more at once than --max-tries
		cmd, messages := program(t, "hash", "run", dir, "--threads", "1")
		workers, said = append(workers, cmd), append(said, messages)
	}
	for i, cmd := range workers {
		if err := cmd.Wait(); err != nil {
			t.Errorf("worker %d: %v\n%s", i, err, said[i].buf.String())
		}
	}
	stdoutOf(t, "hash", "finish", dir)
	sameTree(t, dir, want)
}

// Four whole jobs at once in one folder all come to their end, however they meet.
func TestHashWholeTogether(t *testing.T) {
	want := filepath.Join(t.TempDir(), "want")
	stdoutOf(t, pureJob(want)...)
	rounds := 3
	if os.Getenv("ONNXPROBE_EVERY_FAULT") != "" {
		rounds = 50
	}
	for range rounds {
		dir := filepath.Join(t.TempDir(), "together")
		var all []*exec.Cmd
		var said []*watched
		for range 4 {
			cmd, messages := program(t, pureJob(dir)...)
			all, said = append(all, cmd), append(said, messages)
		}
		for i, cmd := range all {
			if err := cmd.Wait(); err != nil {
				t.Fatalf("process %d: %v\n%s", i, err, said[i].buf.String())
			}
		}
		sameTree(t, dir, want)
	}
}

// Killed at random moments of any step, and a job done again is the undisturbed one, with
// nothing left over.
func TestHashKilledAnywhere(t *testing.T) {
	dir, want := filepath.Join(t.TempDir(), "job"), filepath.Join(t.TempDir(), "want")
	extend := func(dir string) []string {
		return []string{"hash", mlp, digits + "/3", digits + "/5", digits + "/7", "--preprocess", "mnist-01", "--backend", "gorgonia", "--faiss", "--shard-size", "5", "--mode", "extend", "--max-tries", "0", "-o", dir}
	}
	steps := func(dir string) [][]string {
		return [][]string{planOf(pureJob(dir)), {"hash", "run", dir, "--backend", "gorgonia", "--max-tries", "0"}, {"hash", "verify", dir}, {"hash", "finish", dir},
			{"hash", "verify", dir}, extend(dir)}
	}
	took := make([]time.Duration, len(steps(want)))
	for i, step := range steps(want) {
		begun := time.Now()
		cmd, messages := program(t, step...)
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%q: %v\n%s", step, err, messages.buf.String())
		}
		took[i] = time.Since(begun)
	}
	kills, middle := 24, 0
	if os.Getenv("ONNXPROBE_EVERY_FAULT") != "" {
		kills = 300
	}
	killed := 0
	for killed < kills {
		for i, step := range steps(dir) {
			for {
				begun := time.Now()
				cmd, messages := program(t, step...)
				most := 2 * took[i]
				timer := time.AfterFunc(time.Duration(rand.Int64N(int64(most)+1)), func() { cmd.Process.Kill() })
				cmd.Wait()
				timer.Stop()
				if code := cmd.ProcessState.ExitCode(); code == exitDone {
					took[i] = time.Since(begun)
					break
				} else if code != -1 {
					t.Fatalf("%q: exit code %d\n%s", step, code, messages.buf.String())
				}
				killed++
				if len(list(t, filepath.Dir(dir))) > 0 {
					middle++
				}
			}
		}
		sameTree(t, dir, want)
		if t.Failed() {
			t.FailNow()
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("killed %d times, %d of them with a job begun", killed, middle)
}

// A pipe in the place of a job's file is named and refused, and nothing waits for it.
func TestHashPipes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "job")
	stdoutOf(t, pureJob(dir)...)
	others := [][]string{{"hash", "status", dir}, {"hash", "run", dir, "--backend", "gorgonia"}, {"hash", "finish", dir}, {"search", dir, "--all", "--json"}, {"report", dir, "-o", filepath.Join(t.TempDir(), "r.html"), "--force"}}
	tried := slices.Concat(list(t, dir), list(t, dir))
	for k, name := range tried {
		steps := others
		if k < len(tried)/2 {
			steps = [][]string{{"hash", "verify", dir}}
		}
		path := filepath.Join(dir, name)
		if err := os.Rename(path, path+".was"); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(path, 0o666); err != nil {
			t.Skip(err)
		}
		for _, step := range steps {
			done := make(chan outcome, 1)
			go func() { done <- do(step...) }()
			select {
			case r := <-done:
				if step[1] == "verify" && (r.code != exitFailed || !strings.Contains(r.messages, name)) {
					t.Errorf("%s: %q: exit code %d\n%s", name, step, r.code, r.messages)
				}
				if r.code == exitDone && step[1] == "finish" {
					t.Errorf("%s: %q: it is finished\n%s", name, step, r.messages)
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("%s: %q waits", name, step)
			}
		}
		if err := os.Rename(path+".was", path); err != nil {
			t.Fatal(err)
		}
		stdoutOf(t, pureJob(dir)...)
		stdoutOf(t, "hash", "verify", dir)
	}
}

// waitFor waits until a glob in dir matches.
func waitFor(t testing.TB, dir, glob string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if found, _ := filepath.Glob(filepath.Join(dir, glob)); len(found) > 0 {
			return
		}
	}
	t.Fatalf("no %s came in %s: %q", glob, dir, list(t, dir))
}

// Told to stop, a worker drops the shard it is at, and leaves whole ones alone.
func TestHashStopped(t *testing.T) {
	needORT(t)
	slow := func(dir string, more ...string) []string {
		return job20(dir, append([]string{"--directions", "60"}, more...)...)
	}
	dir := filepath.Join(t.TempDir(), "stopped")
	for _, signal := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		before := len(list(t, filepath.Dir(dir)))
		cmd, messages := program(t, slow(dir)...)
		if before == 0 {
			waitFor(t, dir, "00001_stats.json")
		} else {
			waitFor(t, dir, "*_tries")
		}
		cmd.Process.Signal(signal)
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(messages.buf.String(), "the same command goes on from there") {
			t.Errorf("%v: exit code %d, want 1\n%s", signal, code, messages.buf.String())
		}
		for _, name := range list(t, dir) {
			if strings.HasPrefix(name, ".") || strings.HasSuffix(name, "_tries") || name == "_SUCCESS" {
				t.Errorf("%v left %s", signal, name)
			}
		}
	}
	stdoutOf(t, slow(dir)...)
	sameTree(t, dir, whole(t, slow))
}

// A shard that takes its process with it three times is set aside, and the job goes
// on without it.
func TestHashPoison(t *testing.T) {
	needORT(t)
	slow := func(dir string, more ...string) []string {
		return job20(dir, append([]string{"--directions", "60"}, more...)...)
	}
	dir := filepath.Join(t.TempDir(), "poison")
	stdoutOf(t, planOf(slow(dir))...)
	for i := range 3 {
		cmd, _ := program(t, "hash", "run", dir, "--shard", "1/20")
		for { // its i+1-th try is there
			if found, _ := filepath.Glob(filepath.Join(dir, "00001_tries/*")); len(found) == i+1 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		cmd.Process.Kill()
		cmd.Wait()
		if slices.Contains(list(t, dir), "00001_stats.json") {
			t.Skip("the shard was faster than the test")
		}
	}
	r := do("hash", "run", dir)
	if r.code != exitSomeFailed || !strings.Contains(r.messages, "shard 1 is set aside") {
		t.Errorf("exit code %d, want 3\n%s", r.code, r.messages)
	}
	if out := stdoutOf(t, "hash", "status", dir); !strings.Contains(out, "19 of 20") || !strings.Contains(out, "set aside               1: [1]") {
		t.Errorf("status:\n%s", out)
	}
	if r = do("hash", "finish", dir); r.code != exitSomeFailed || !strings.Contains(r.messages, "1 shard is set aside: [1]") || slices.Contains(list(t, dir), "_SUCCESS") {
		t.Errorf("finish: exit code %d, want 3\n%s", r.code, r.messages)
	}
	stdoutOf(t, "hash", "finish", dir, "--allow-failed")
	if m := slurp(t, filepath.Join(dir, "manifest.json")); !strings.Contains(m, `"set_aside"`) || !slices.Contains(list(t, dir), "_SUCCESS") {
		t.Error("the manifest does not say what is set aside, or there is no _SUCCESS")
	}
	if n := len(slurp(t, filepath.Join(dir, "sketches.faiss"))); n != 33+100*32 {
		t.Errorf("the index has %d bytes; items that are set aside have their place too", n)
	}
	stdoutOf(t, "hash", "run", dir, "--retry")
	stdoutOf(t, "hash", "finish", dir)
	sameTree(t, dir, whole(t, slow))
}

// A full disk, and one that cannot be written: an error that says so, nothing that
// counts as done without being so, and a run with room ends as it should.
func TestHashDiskFull(t *testing.T) {
	needORT(t)
	if runtime.GOOS != "linux" {
		t.Skip("mounts a small file system, as Linux does")
	}
	dir := t.TempDir()
	mount := func(options string) {
		t.Helper()
		if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", dir).CombinedOutput(); err != nil {
			t.Skipf("mounting a small file system: %v\n%s", err, out)
		}
	}
	mount("size=200k")
	t.Cleanup(func() { exec.Command("umount", dir).Run() })
	out := filepath.Join(dir, "job")
	r := do(job20(out)...)
	if r.code != exitFailed || !strings.Contains(r.messages, "the output cannot be written") || !strings.Contains(r.messages, "no space left on device") {
		t.Errorf("exit code %d, want 1\n%s", r.code, r.messages)
	}
	for _, name := range list(t, out) {
		if strings.HasPrefix(name, ".") || strings.HasSuffix(name, "_tries") {
			t.Errorf("it left %s", name)
		}
	}
	r = do("hash", "verify", out)
	if r.code != exitDone {
		t.Errorf("what counts as done is not: %s", r.messages)
	}
	mount2 := exec.Command("mount", "-o", "remount,ro", dir)
	if err := mount2.Run(); err == nil {
		if r := do("hash", "run", out); r.code != exitFailed || !strings.Contains(r.messages, "read-only file system") {
			t.Errorf("read-only: exit code %d\n%s", r.code, r.messages)
		}
		exec.Command("mount", "-o", "remount,rw", dir).Run()
	}
	if b, err := exec.Command("mount", "-o", "remount,size=20m", dir).CombinedOutput(); err != nil {
		t.Fatalf("making room: %v\n%s", err, b)
	}
	stdoutOf(t, job20(out)...)
	sameTree(t, out, whole(t, job20))
}

// A picture that vanishes while it is needed is no bad picture.
func TestHashInputVanishes(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	for i, name := range []string{"0/0276.png", "3/0213.png", "9/1176.png"} {
		for k := range 20 {
			duplicate(t, digits+"/"+name, filepath.Join(in, fmt.Sprintf("%d-%02d.png", i, k)))
		}
	}
	args := func(dir string) []string {
		return []string{"hash", resnet, in, "--preprocess", "mnist-01", "--shard-size", "1", "--complexity", "--directions", "60", "-o", dir}
	}
	stdoutOf(t, args(filepath.Join(dir, "want"))...)
	cmd, messages := program(t, args(out)...)
	waitFor(t, out, "00001_stats.json")
	last := filepath.Join(in, "2-19.png")
	if err := os.Rename(last, last+".away"); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(messages.buf.String(), "2-19.png: no such file") {
		t.Errorf("exit code %d, want 1\n%s", code, messages.buf.String())
	}
	if slices.Contains(list(t, out), "00059_stats.json") || slices.Contains(list(t, out), "_SUCCESS") {
		t.Error("the shard of the picture that is gone counts as done")
	}
	if err := os.Rename(last+".away", last); err != nil {
		t.Fatal(err)
	}
	stdoutOf(t, args(out)...)
	sameTree(t, out, filepath.Join(dir, "want"))
}

// The examples do what they say: Slurm's script for every index that Slurm would give
// it, and xargs.
func TestHashExamples(t *testing.T) {
	needORT(t)
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	want := whole(t, job20)
	script := func(env []string, args ...string) {
		t.Helper()
		cmd := exec.Command(bash, args...)
		cmd.Env = append(os.Environ(), append(env, asProgram+"=1", "ONNXPROBE="+self, "DEVICE=cpu")...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
	dir := filepath.Join(t.TempDir(), "slurm")
	stdoutOf(t, planOf(job20(dir))...)
	for i := range 3 {
		script([]string{"SLICES=3", fmt.Sprint("SLURM_ARRAY_TASK_ID=", i)}, "examples/slurm.sbatch", dir)
	}
	stdoutOf(t, "hash", "finish", dir)
	sameTree(t, dir, want)

	dir = filepath.Join(t.TempDir(), "xargs")
	stdoutOf(t, planOf(job20(dir))...)
	script(nil, "examples/xargs.sh", dir, "2")
	sameTree(t, dir, want)
}
