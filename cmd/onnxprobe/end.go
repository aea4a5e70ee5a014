package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime/debug"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/site"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// The exit codes, a contract with scripts.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitSomeFailed  = 3
	exitUnavailable = 4
)

// usageError is a mistake in the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// someFailed ends a run that finished although items could not be read.
type someFailed struct{ result.Summary }

func (e someFailed) Error() string {
	s := fmt.Sprintf("%d of %s could not be used; their rows say why", e.Failed, text.Count(e.Items, "item"))
	for _, m := range e.Errors[:min(3, len(e.Errors))] {
		s += "\n  " + m
	}
	return s
}

// noneUsed ends a run of whose items, called what, not one could be used: that is no
// result, also where the rows that say why are written.
type noneUsed struct {
	result.Summary
	what string
}

func (e noneUsed) Error() string {
	s := fmt.Sprintf("none of %s could be used", text.Count(e.Items, e.what))
	if len(e.Errors) > 0 {
		s += "; the first: " + strings.ReplaceAll(e.Errors[0], "\n", " ")
	}
	return s
}

// failed is how a run ends some or all of whose items could not be used, nil where none
// failed.
func failed(s result.Summary, what string) error {
	switch {
	case s.Failed == 0:
		return nil
	case s.Failed >= s.Items:
		return noneUsed{s, what}
	}
	return someFailed{s}
}

// stdout is standard output that remembers the first error: a table that did not reach
// its reader is a failure, and most of what prints looks at no error.
type stdout struct {
	w   io.Writer
	err error
}

func (o *stdout) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if o.err == nil {
		if o.err = err; err == nil && n < len(p) {
			o.err = io.ErrShortWrite
		}
	}
	return n, err
}

// end says on standard error how a command line ended, and gives its exit code.
func end(err error, out *stdout, stderr io.Writer) int {
	code := exitDone
	lost := out.err != nil
	if err != nil && !(lost && errors.Is(err, out.err)) {
		code = explain(err, stderr)
	}
	if lost && code != exitUsage {
		why := out.err
		var path *fs.PathError // which says "write /dev/stdout" again
		if errors.As(why, &path) {
			why = path.Err
		}
		fmt.Fprintln(stderr, "onnxprobe: writing to standard output:", why)
		return exitFailed
	}
	return code
}

// explain says an error, and gives its exit code.
func explain(err error, stderr io.Writer) int {
	var (
		usage       usageError
		pattern     *site.PatternError
		unavailable *engine.UnavailableError
		partial     someFailed
		aside       partly
		panicked    *engine.PanicError
	)
	words, code := withFlags(err), exitFailed
	switch {
	case errors.As(err, &panicked):
		fmt.Fprintf(stderr, "onnxprobe: internal error: %s; please report it with the command line and the model\n%s",
			text.Message(text.Line(fmt.Sprint(panicked.Value))), panicked.Stack)
		return exitFailed
	case errors.As(err, &partial), errors.As(err, &aside):
		code = exitSomeFailed
	case errors.As(err, &usage) && errors.Is(err, fs.ErrNotExist): // the words are right, the file is not there
	case errors.As(err, &usage), errors.As(err, &pattern):
		code = exitUsage
	case errors.As(err, &unavailable):
		code = exitUnavailable
	case errors.Is(err, context.Canceled):
		words = interrupted()
	}
	fmt.Fprintln(stderr, "onnxprobe:", text.Message(words))
	return code
}

// guarded is what f returns, or its panic: the runtime would end the program with 2,
// which means wrong usage here. Panics of goroutines that report errors come here as
// errors. What nothing can catch still ends it so: those of goroutines that libraries
// start, crashes in ONNX Runtime, and the runtime's own fatal errors, such as no memory.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			var before *engine.PanicError
			if e, ok := p.(error); ok && errors.As(e, &before) {
				err = before // with the stack of the goroutine that it comes from
			} else {
				err = &engine.PanicError{Value: p, Stack: debug.Stack()}
			}
		}
	}()
	return f()
}
