//go:build linux && (amd64 || arm64)

package isolate_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/isolate"
)

// asParent in the environment makes the test a program whose worker is at this stage.
const asParent = "ONNXPROBE_TEST_STAGE"

var stages = []string{"load", "run", "idle"}

// parent has a worker do what the stage says, for ever, and prints its number.
func parent(stage string) {
	go func() {
		for {
			if pids := childrenOf(os.Getpid()); len(pids) > 0 {
				time.Sleep(50 * time.Millisecond) // until it is busy
				fmt.Println(pids[0])
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	b := evilBackend(isolate.Limits{})
	producer := map[string]string{"load": "sleep"}[stage]
	s, err := b.Prepare(context.Background(), evilModel(producer), engine.Options{})
	if err != nil {
		fmt.Println(err)
		os.Exit(9)
	}
	if stage == "run" {
		_, _ = evilRun(context.Background(), s, hang)
	}
	for {
		time.Sleep(time.Hour)
	}
}

// state is a process's letter in /proc, "" for none.
func state(pid int) string {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, after, _ := strings.Cut(string(b), ") ")
	letter, _, _ := strings.Cut(after, " ")
	return letter
}

// However a program ends, its worker ends with it within a second, whatever it does.
func TestNoOrphans(t *testing.T) {
	for _, stage := range stages {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL, syscall.SIGQUIT, syscall.SIGHUP} {
			t.Run(fmt.Sprint(stage, " ", sig), func(t *testing.T) {
				t.Parallel()
				if signal.Ignored(sig) { // as nohup has it, of which programs started here know too
					t.Skip("this process ignores the signal")
				}
				self, err := os.Executable()
				if err != nil {
					t.Fatal(err)
				}
				cmd := exec.Command(self)
				cmd.Env = append(os.Environ(), asParent+"="+stage)
				out, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				line, _ := bufio.NewReader(out).ReadString('\n')
				worker, err := strconv.Atoi(strings.TrimSpace(line))
				if err != nil {
					t.Fatalf("it said %q", line)
				}
				if err := cmd.Process.Signal(sig); err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				_ = cmd.Wait()
				for state(worker) != "" && state(worker) != "Z" {
					if time.Since(start) > time.Second {
						_ = syscall.Kill(worker, syscall.SIGKILL)
						t.Fatalf("the worker is in state %q after a second", state(worker))
					}
					time.Sleep(5 * time.Millisecond)
				}
			})
		}
	}
}
