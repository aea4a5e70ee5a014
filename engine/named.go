package engine

import (
	"errors"
	"path/filepath"
)

// ModelError is an error of a model, with its file.
type ModelError struct {
	Path string
	Err  error
}

func (e *ModelError) Error() string { return filepath.ToSlash(e.Path) + ": " + e.Err.Error() }

// Unwrap is Err.
func (e *ModelError) Unwrap() error { return e.Err }

// Named is err as a *ModelError of the model at path, once: not where err says it already or
// is the machine's, nor of a model made in memory, whose path is "".
func Named(path string, err error) error {
	var (
		named       *ModelError
		lost        *LostError
		unavailable *UnavailableError
	)
	if err == nil || path == "" || errors.As(err, &named) || errors.As(err, &lost) && lost.Model != "" || errors.As(err, &unavailable) {
		return err
	}
	return &ModelError{path, err}
}
