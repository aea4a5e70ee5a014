//go:build !linux

package main

// available is not known here.
func available() int64 { return 0 }
