//go:build linux && (amd64 || arm64)

package isolate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/isolate"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// asForgetful is a home that makes the test a program that does not call Main, since a
// worker is told of it too; what follows says whether that ends by itself.
const asForgetful = "/forgetful/"

// asSleeper makes it one that runs a model for 2 seconds, of 3 that it may take.
const asSleeper = "ONNXPROBE_TEST_SLEEPER"

const stop, goOn = syscall.SIGSTOP, syscall.SIGCONT

func sleeper() {
	s, err := evilBackend(isolate.Limits{Time: 3 * time.Second}).Prepare(context.Background(), evilModel(""), engine.Options{})
	if err == nil {
		_, err = evilRun(context.Background(), s, slow)
	}
	out, again := evilRun(context.Background(), s, 3)
	fmt.Println(tensor.Data[float32](out[0]), errors.Join(err, again))
	os.Exit(0)
}

// forgetful is such a program.
func forgetful(how string) {
	fmt.Fprintln(os.Stderr, "a program begins")
	if os.Getenv("ONNXPROBE_WORKER") != "" { // it was started again
		if how == "serves" {
			select {}
		}
		os.Exit(0)
	}
	_, err := evilBackend(isolate.Limits{}).Prepare(context.Background(), evilModel(""), engine.Options{})
	fmt.Println(err)
	os.Exit(0)
}

// A program that forgets Main is told so, in time, and does not start itself for ever.
func TestForgottenMain(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"ends", "serves"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(self)
			cmd.Env = append(os.Environ(), "HOME="+asForgetful+how)
			var out bytes.Buffer
			cmd.Stdout = &out
			start := time.Now()
			if err := cmd.Run(); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); !strings.Contains(out.String(), "it is to call isolate.Main first of all in main") || took > 20*time.Second {
				t.Errorf("after %v: %s", took, out.String())
			}
		})
	}
}

// Time in which program and worker are stopped does not count.
func TestStoppedTimeDoesNotCount(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), asSleeper+"=1")
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	_ = cmd.Process.Signal(stop)
	time.Sleep(4 * time.Second)
	_ = cmd.Process.Signal(goOn)
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "[6 14] <nil>") {
		t.Errorf("%v: %s", err, out.String())
	}
}
