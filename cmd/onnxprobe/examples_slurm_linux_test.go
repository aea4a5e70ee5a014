package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Slurm's example on a real Slurm of two nodes, as its comment says to submit it:
// an array that does all, one in which a shard is set aside, and one that loses a
// node with its tasks. The last waits until Slurm takes the node for dead, and asks
// for ONNXPROBE_TEST_SLURM=kill.
func TestSlurm(t *testing.T) {
	needORT(t)
	if testing.Short() {
		t.Skip("starts Slurm")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs("examples/slurm.sbatch")
	if err != nil {
		t.Fatal(err)
	}
	job := func(dir string, more ...string) []string {
		return with([]string{"hash", absolute(t, resnet), absolute(t, digits), "--preprocess", "mnist-01", "--shard-size", "1",
			"--complexity", "--directions", "64", "--radius", "0.002,0.004", "-o", dir}, more...)
	}
	s := startSlurm(t)
	// As it stands it asks for GPUs, in words that Slurm understands; there are none.
	if _, err := s.command("sbatch", "--test-only", script, "job"); err == nil || !strings.Contains(err.Error(), "Requested node configuration is not available") {
		t.Errorf("sbatch %s: %v; want no such nodes", script, err)
	}
	s.env = append(s.env, asProgram+"=1", "ONNXPROBE="+self, "DEVICE=cpu", "SLICES=4", "SBATCH_GPUS_PER_TASK=0")
	submit := func(dir string) (array, finish string) {
		array = s.submit("--array=0-3", script, dir)
		return array, s.submit("--dependency=afterany:"+array, "--wrap", self+" hash finish "+dir)
	}
	// ended is how many tasks ended in a way, STATE CODE.
	ended := func(id string) map[string]int {
		n := map[string]int{}
		for _, line := range s.tasks(id) {
			n[detail(line, "JobState")+" "+detail(line, "ExitCode")]++
		}
		return n
	}
	want := whole(t, job)

	t.Run("array", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "job")
		stdoutOf(t, planOf(job(dir))...)
		array, finish := submit(dir)
		s.wait(finish)
		if n := ended(array); n["COMPLETED 0:0"] != 4 {
			t.Errorf("the 4 tasks ended in %v", n)
		}
		if n := ended(finish); n["COMPLETED 0:0"] != 1 {
			t.Errorf("finish ended in %v\n%s", n, s.logs())
		}
		sameTree(t, dir, want)
	})

	t.Run("set aside", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "job")
		stdoutOf(t, planOf(job(dir))...)
		deadTries(t, dir, 1)
		array, finish := submit(dir)
		s.wait(finish)
		if n := ended(array); n["COMPLETED 0:0"] != 3 || n["FAILED 3:0"] != 1 {
			t.Errorf("with a shard that is set aside the 4 tasks ended in %v", n)
		}
		if n := ended(finish); n["FAILED 3:0"] != 1 {
			t.Errorf("finish ended in %v", n)
		}
		if done, _ := filepath.Glob(filepath.Join(dir, "*_stats.json")); len(done) != 99 {
			t.Errorf("%d shards are done, want 99", len(done))
		}
	})

	t.Run("killed node", func(t *testing.T) {
		if os.Getenv("ONNXPROBE_TEST_SLURM") != "kill" {
			t.Skip("Slurm takes half a minute to see that a node is dead; ONNXPROBE_TEST_SLURM=kill waits for it")
		}
		dir := filepath.Join(t.TempDir(), "job")
		stdoutOf(t, planOf(job(dir))...)
		start := time.Now()
		array, finish := submit(dir)
		var lost map[int]string
		for end := time.Now().Add(20 * time.Second); len(lost) == 0 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			lost = s.on("n2")
		}
		if len(lost) == 0 {
			t.Fatalf("no task runs on node n2: %q", s.tasks(array))
		}
		var before string
		for i := range lost {
			before = fmt.Sprintf("%05d_stats.json", i)
			waitFor(t, dir, before)
		}
		record := slurp(t, filepath.Join(dir, before))
		s.kill("n2")
		killed := time.Since(start)
		s.wait(finish)
		t.Logf("node n2 was killed with the tasks %v after %v, and all was done after %v", lost, killed.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
		if n := ended(array); n["COMPLETED 0:0"] != 4 {
			t.Errorf("the 4 tasks ended in %v", n)
		}
		again := 0
		for _, line := range s.tasks(array) {
			if detail(line, "Restarts") == "1" && detail(line, "BatchHost") == "n1" {
				again++
			}
		}
		if again == 0 {
			t.Errorf("no task was requeued: %q", s.tasks(array))
		}
		if down, _ := s.command("sinfo", "--noheader", "--nodes=n2", "--format=%T"); !strings.HasPrefix(down, "down") {
			t.Errorf("node n2 is %q, want down", down)
		}
		if slurp(t, filepath.Join(dir, before)) != record {
			t.Errorf("%s was made again, though it was done", before)
		}
		if !slices.Contains(list(t, dir), "_SUCCESS") {
			t.Fatalf("there is no _SUCCESS\n%s", s.logs())
		}
		sameTree(t, dir, want)
	})
}
