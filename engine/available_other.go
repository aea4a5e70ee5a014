//go:build !linux

package engine

// available is not known here.
func available() int64 { return 0 }
