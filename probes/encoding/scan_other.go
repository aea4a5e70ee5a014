//go:build !amd64

package encoding

func fastScanners() []scanner { return nil }
