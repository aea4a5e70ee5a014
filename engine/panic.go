package engine

import (
	"fmt"
	"runtime/debug"
)

// PanicError is a panic that became an error: a defect of the program, not of what it
// was given.
type PanicError struct {
	Value any    // what was thrown
	Stack []byte // where
}

func (e *PanicError) Error() string { return fmt.Sprintf("internal error: %v", e.Value) }

// Catch, deferred with the address of a goroutine's error, makes its panic a
// *PanicError. A panic that a goroutine does not catch itself ends the process: nothing
// that waits for it can.
func Catch(err *error) {
	if p := recover(); p != nil {
		if e, ok := p.(*PanicError); ok {
			*err = e
			return
		}
		*err = &PanicError{p, debug.Stack()}
	}
}
