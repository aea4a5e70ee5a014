package encoding

import "golang.org/x/sys/cpu"

//go:noescape
func scan1x2AVX512(a *scanArgs)

//go:noescape
func scan1x4AVX512(a *scanArgs)

//go:noescape
func scan1x8AVX512(a *scanArgs)

//go:noescape
func scan1AVX512(a *scanArgs)

//go:noescape
func scan4x2AVX512(a *scanArgs)

//go:noescape
func scan4x4AVX512(a *scanArgs)

//go:noescape
func scan4AVX512(a *scanArgs)

//go:noescape
func scan1AVX2(a *scanArgs)

//go:noescape
func scan4AVX2(a *scanArgs)

func fastScanners() (s []scanner) {
	x := &cpu.X86
	if x.HasAVX2 {
		s = append(s, scanner{"AVX2",
			func(int) func(*scanArgs) { return scan4AVX2 },
			func(int) func(*scanArgs) { return scan1AVX2 }})
	}
	if x.HasAVX512F && x.HasAVX512DQ && x.HasAVX512BW && x.HasAVX512VPOPCNTDQ {
		s = append(s, scanner{"AVX-512", four512, one512})
	}
	return s
}

func four512(words int) func(*scanArgs) {
	switch words {
	case 2:
		return scan4x2AVX512
	case 4:
		return scan4x4AVX512
	}
	return scan4AVX512
}

func one512(words int) func(*scanArgs) {
	switch words {
	case 2:
		return scan1x2AVX512
	case 4:
		return scan1x4AVX512
	case 8:
		return scan1x8AVX512
	}
	return scan1AVX512
}
