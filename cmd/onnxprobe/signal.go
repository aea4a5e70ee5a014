package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// grace is how long a verb has to end by itself after a signal. Most do at once: what
// goes through items, codes or bytes looks at the context. Loading a model, attaching
// probes, preparing a session and decoding one picture do not, and can take longer. What
// is left of a second is for removing files and giving memory back.
const grace = 600 * time.Millisecond

// kept says what of a verb's results stays, whatever becomes of the rest; nil for nothing.
var kept atomic.Pointer[string]

var (
	someKept = "what was complete before stays"
	goesOn   = "what was complete before stays, and the same command goes on from there"
)

// interrupted is what is said of a run that a signal ended.
func interrupted() string {
	if s := kept.Load(); s != nil {
		return "interrupted; " + *s
	}
	return "interrupted; no result was written"
}

// save is result.Save of a result of the verb.
func save(path string, force bool, manifest any, write func(io.Writer) error) error {
	return keeping(result.Save(path, force, manifest, write))
}

// commit completes a result of the verb.
func commit(to result.Sink, manifest any) error { return keeping(to.Commit(manifest)) }

func keeping(err error) error {
	if err == nil {
		kept.Store(&someKept)
	}
	return err
}

// signals are the signals that end the program: that of a lost terminal too, unless nohup
// has it ignored.
func signals() []os.Signal {
	all := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		all = append(all, syscall.SIGHUP)
	}
	return all
}

// watch ends the program when a signal came and grace is over, or another signal came.
// What the verb has not finished by then is removed.
func watch() {
	came := make(chan os.Signal, 2)
	signal.Notify(came, signals()...)
	go func() {
		<-came
		select {
		case <-came:
		case <-time.After(grace):
		}
		abandon(false)
		fmt.Fprintln(os.Stderr, "onnxprobe:", interrupted())
		os.Exit(exitFailed)
	}()
}

// abandon removes what is not finished; died says that the work ends the program, which is
// a job's to know.
func abandon(died bool) {
	cleared := make(chan struct{})
	go func() {
		defer close(cleared)
		onnx.AbandonSaves()
		result.Abandon(died)
	}()
	select {
	case <-cleared:
	case <-time.After(grace): // a file system that does not answer keeps nobody here
	}
}
