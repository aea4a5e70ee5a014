package engine

import (
	"cmp"
	"fmt"
	"path/filepath"
)

// LostError says that an engine which runs in a process of its own has lost it: the engine
// crashed, or was ended since it went beyond a limit. The program goes on; a session of the
// engine starts another process when it is run again.
type LostError struct {
	// Engine is what the engine is called, such as "ONNX Runtime".
	Engine string
	// Model is the model's file, "" for one made in memory.
	Model string
	// Doing is what the engine was at: "prepared the model", "ran the model".
	Doing string
	// Signal is what the engine crashed with, such as "SIGSEGV"; "" where it did not crash.
	Signal string
	// Why says what happened where it was no crash: "needed more than 4 GiB".
	Why error
}

func (e *LostError) Error() string {
	what := fmt.Sprintf("%s %s while it %s", cmp.Or(e.Engine, "the engine"), e.what(), e.Doing)
	if e.Model == "" {
		return what
	}
	return filepath.ToSlash(e.Model) + ": " + what
}

func (e *LostError) what() string {
	if e.Signal != "" {
		return "crashed with " + e.Signal
	}
	return e.Why.Error()
}

// Unwrap is Why.
func (e *LostError) Unwrap() error { return e.Why }

// Crashed says whether the engine crashed, which what it was given may have done.
func (e *LostError) Crashed() bool { return e.Signal != "" }
