package kernel

import "golang.org/x/sys/cpu"

//go:noescape
func tile32AVX2(k int, a, b, c *float32, ldc int)

//go:noescape
func tile64AVX2(k int, a, b, c *float64, ldc int)

//go:noescape
func tile32AVX512(k int, a, b, c *float32, ldc int)

//go:noescape
func tile64AVX512(k int, a, b, c *float64, ldc int)

//go:noescape
func row32AVX2(n int, y, x *float32, off *int, w *float32, taps int)

//go:noescape
func row64AVX2(n int, y, x *float64, off *int, w *float64, taps int)

//go:noescape
func gather32AVX2(k int, dst *float32, nr int, src *float32, off *int, runs *run, n int)

//go:noescape
func gather64AVX2(k int, dst *float64, nr int, src *float64, off *int, runs *run, n int)

var (
	micros32 = []*micro[float32]{
		plain:  plainKernels[float32](),
		avx2:   {"AVX2", 6, 16, tile32AVX2, 8, row32AVX2, gather32AVX2},
		avx512: {"AVX-512", 8, 32, tile32AVX512, 8, row32AVX2, gather32AVX2},
	}
	micros64 = []*micro[float64]{
		plain:  plainKernels[float64](),
		avx2:   {"AVX2", 6, 8, tile64AVX2, 4, row64AVX2, gather64AVX2},
		avx512: {"AVX-512", 8, 16, tile64AVX512, 4, row64AVX2, gather64AVX2},
	}
)

func detect() int {
	switch {
	case !cpu.X86.HasAVX2:
		return plain
	case !cpu.X86.HasAVX512F:
		return avx2
	}
	return avx512
}
