//go:build !amd64

package kernel

var (
	micros32 = []*micro[float32]{plainKernels[float32]()}
	micros64 = []*micro[float64]{plainKernels[float64]()}
)

func detect() int { return plain }
