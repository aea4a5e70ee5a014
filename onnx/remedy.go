package onnx

// RemedyError is an error that a setting of the call would mend. The text of Err says so in
// words; Options are the settings' names, so that a front end can add what it calls them,
// as the command line does with its flags. A name is that of a field, a function or a
// constant of this module with its package, such as "engine.Options.MaxMemory", or "Batch"
// for the size of batches; "=" and the value to give may follow it. Errors with a type of
// their own have the method RemedyOptions instead.
type RemedyError struct {
	Err     error
	Options []string
}

// Remedy is err with the names of the options that mend it.
func Remedy(err error, options ...string) error { return &RemedyError{err, options} }

func (e *RemedyError) Error() string { return e.Err.Error() }

func (e *RemedyError) Unwrap() error { return e.Err }

// RemedyOptions is Options.
func (e *RemedyError) RemedyOptions() []string { return e.Options }

// Remedied is an error that names options which mend it.
type Remedied interface {
	error
	RemedyOptions() []string
}

// Remedies are those that an error is or wraps, outer ones first.
func Remedies(err error) []Remedied {
	var all []Remedied
	if r, ok := err.(Remedied); ok && len(r.RemedyOptions()) > 0 {
		all = append(all, r)
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		if below := e.Unwrap(); below != nil {
			all = append(all, Remedies(below)...)
		}
	case interface{ Unwrap() []error }:
		for _, below := range e.Unwrap() {
			all = append(all, Remedies(below)...)
		}
	}
	return all
}
