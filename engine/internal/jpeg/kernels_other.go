//go:build !amd64

package jpeg

var fast = plain
