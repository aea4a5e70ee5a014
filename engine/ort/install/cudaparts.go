package install

import (
	"debug/elf"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Part is a set of NVIDIA's libraries that ONNX Runtime's CUDA provider
// needs, all of one release: they are taken from one folder or not at all.
type Part struct {
	Name string
	Libs []string // sonames, in the order to load them
	// Beside is what Libs load by name, later, from their own folder: patterns of
	// file names.
	Beside []string
	// linked says that the provider names Libs as needed; the others it opens
	// while it runs.
	linked bool
	// Optional says what does not work without the part; "" when nothing does.
	Optional string
	// pin is the package that Install takes; without a file, none is pinned.
	pin artifact
}

// DriverLibrary is the soname of NVIDIA's driver.
const DriverLibrary = "libcuda.so.1"

// CUDARemedy says how to come by what runs on CUDA need.
const CUDARemedy = "install the build for CUDA, or put the folders of your own CUDA and cuDNN in LD_LIBRARY_PATH"

// The names of the options of Install that remedies are about, as in an onnx.RemedyError.
const (
	OptionCUDA = "install.Options.CUDA"
	OptionAll  = "install.Options.All"
)

// pinnedParts is what the CUDA provider of Pinned needs. Its shared libraries are
// those of CUDA 13 and cuDNN 9.
func pinnedParts() []Part {
	pin := func(pkg string) artifact {
		i := slices.IndexFunc(cudaPackages, func(a artifact) bool {
			return a.pkg == pkg && a.goos == runtime.GOOS && a.goarch == runtime.GOARCH
		})
		if i < 0 {
			return artifact{}
		}
		return cudaPackages[i]
	}
	return []Part{
		{Name: "CUDA runtime", Libs: []string{"libcudart.so.13"}, linked: true, pin: pin("nvidia-cuda-runtime")},
		{Name: "cuBLAS", Libs: []string{"libcublasLt.so.13", "libcublas.so.13"}, linked: true, pin: pin("nvidia-cublas")},
		{Name: "cuRAND", Libs: []string{"libcurand.so.10"}, linked: true, pin: pin("nvidia-curand")},
		{Name: "NVRTC", Libs: []string{"libnvrtc.so.13"}, Beside: []string{"libnvrtc-builtins.so.13.*"}, pin: pin("nvidia-cuda-nvrtc")},
		{Name: "cuFFT", Libs: []string{"libcufft.so.12"}, Optional: "the operators Rfft and Irfft", pin: pin("nvidia-cufft")},
		{Name: "cuDNN", Libs: []string{"libcudnn.so.9"}, Beside: []string{
			"libcudnn_graph.so.9", "libcudnn_ops.so.9", "libcudnn_cnn.so.9", "libcudnn_adv.so.9", "libcudnn_heuristic.so.9",
			"libcudnn_engines_precompiled.so.9", "libcudnn_engines_runtime_compiled.so.9",
		}, pin: pin("nvidia-cudnn-cu13")},
	}
}

// partsOf lists what the CUDA provider at path needs, with the CUDA release it
// was built for. For the pinned provider that is pinnedParts; another may link to
// other releases, which no package is pinned for, and to more.
func partsOf(provider string) (parts []Part, major int, err error) {
	_, needed, err := dynamic(provider)
	if err != nil {
		return nil, 0, err
	}
	links := map[string]string{} // by stem
	for _, n := range needed {
		links[stem(n)] = n
	}
	major = soMajor(links["libcudart"])
	for _, p := range pinnedParts() {
		if p.linked && !slices.ContainsFunc(p.Libs, func(l string) bool { return links[stem(l)] != "" }) {
			continue
		}
		parts = append(parts, p.forRelease(links, major))
	}
	for _, n := range needed {
		if nvidias(n) && !slices.ContainsFunc(parts, func(p Part) bool { return slices.Contains(p.Libs, n) }) {
			parts = append(parts, Part{Name: stem(n), Libs: []string{n}, linked: true})
		}
	}
	return parts, major, nil
}

// forRelease is p with the sonames that a provider for this CUDA release uses.
func (p Part) forRelease(links map[string]string, major int) Part {
	libs := slices.Clone(p.Libs)
	for i, l := range libs {
		switch s := stem(l); {
		case links[s] != "":
			libs[i] = links[s]
		case major == 0:
		case s == "libnvrtc":
			libs[i] = fmt.Sprintf("libnvrtc.so.%d", major)
			p.Beside = []string{fmt.Sprintf("libnvrtc-builtins.so.%d.*", major)}
		case s == "libcufft": // one behind since CUDA 11
			libs[i] = fmt.Sprintf("libcufft.so.%d", major-1)
		}
	}
	if !slices.Equal(libs, p.Libs) || major != 0 && major != pinnedCUDA {
		p.pin = artifact{}
	}
	p.Libs = libs
	return p
}

// nvidias reports whether a soname is of a library that NVIDIA's packages bring,
// not the system and not the driver.
func nvidias(soname string) bool {
	return soname != DriverLibrary && (strings.HasPrefix(soname, "libcu") || strings.HasPrefix(soname, "libnv")) &&
		!strings.HasPrefix(soname, "libnvidia-") && !strings.HasPrefix(soname, "libcurl")
}

func stem(soname string) string {
	s, _, _ := strings.Cut(soname, ".so")
	return s
}

// soMajor is the number after ".so.", 0 when there is none.
func soMajor(soname string) int {
	_, v, _ := strings.Cut(soname, ".so.")
	v, _, _ = strings.Cut(v, ".")
	n, _ := strconv.Atoi(v)
	return n
}

// dynamic reads what a shared library calls itself and what it links to.
func dynamic(path string) (soname string, needed []string, err error) {
	f, err := openLibrary(path)
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	if needed, err = f.ImportedLibraries(); err != nil {
		return "", nil, fmt.Errorf("reading what %s links to: %w", path, err)
	}
	if names, err := f.DynString(elf.DT_SONAME); err == nil && len(names) > 0 {
		soname = names[0]
	} else {
		soname = filepath.Base(path)
	}
	return soname, needed, nil
}
