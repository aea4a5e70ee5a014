//go:build cgo

package ort

// #include "ortapi.h"
import "C"

import (
	"debug/elf"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"
)

const cudaRemedy = "run \"onnxprobe runtime install --cuda\" for the CUDA build and provide CUDA and cuDNN, or take --device cpu"

// cudaAvailable is nil when the library in use can be expected to run on CUDA.
// ONNX Runtime itself only logs what its CUDA provider lacks, so what that
// provider links to is looked for here, by name.
func cudaAvailable() error {
	loaded.Lock()
	path, providers := loaded.path, loaded.providers
	loaded.Unlock()
	if !slices.Contains(strings.Split(providers, ","), "CUDAExecutionProvider") {
		return unavailable(fmt.Sprintf("%s is a build of ONNX Runtime without CUDA (it has %s)", path, providers), cudaRemedy)
	}
	provider := cudaProvider(path)
	if !exists(provider) {
		return unavailable(fmt.Sprintf("the CUDA provider %s is not beside the library", provider), cudaRemedy)
	}
	if runtime.GOOS != "linux" {
		return nil
	}
	if missing := missingLibraries(provider); len(missing) > 0 {
		reason := fmt.Sprintf("the CUDA provider needs %s, which the system does not find", strings.Join(missing, ", "))
		if slices.Contains(missing, "libcuda.so.1") {
			reason += " (libcuda.so.1 comes with the NVIDIA driver: without it there is no usable GPU)"
		}
		return unavailable(reason, "install them and put their folders in LD_LIBRARY_PATH, or take --device cpu")
	}
	return nil
}

// missingLibraries lists the libraries that the CUDA provider needs and the
// loader does not find. Those that Python packages keep beside ONNX Runtime are
// loaded by path, after which the loader knows them.
func missingLibraries(provider string) []string {
	f, err := elf.Open(provider)
	if err != nil {
		return []string{fmt.Sprintf("a readable provider (%v)", err)}
	}
	defer f.Close()
	needed, err := f.ImportedLibraries()
	if err != nil {
		return []string{fmt.Sprintf("a readable provider (%v)", err)}
	}
	needed = append(needed, "libcudnn.so.9") // loaded by name, not linked
	dir := filepath.Dir(provider)
	var missing []string
	// cuBLAS needs cuBLASLt, listed before it, and so on: one pass is enough.
	for _, name := range needed {
		found := try(name) || try(filepath.Join(dir, name))
		if !found {
			beside, _ := filepath.Glob(filepath.Join(dir, "..", "..", "nvidia", "*", "lib", name))
			found = slices.ContainsFunc(beside, try)
		}
		if !found {
			missing = append(missing, name)
		}
	}
	return missing
}

// try loads a shared library for good.
func try(name string) bool {
	s := C.CString(name)
	defer C.free(unsafe.Pointer(s))
	var msg *C.char
	h := C.op_open(s, &msg)
	C.free(unsafe.Pointer(msg))
	return h != nil
}

// addCUDA asks for one GPU and for nothing but that GPU.
func addCUDA(so *ort.SessionOptions, device int) error {
	if err := so.AddSessionConfigEntry("session.disable_cpu_ep_fallback", "1"); err != nil {
		return err
	}
	_, err := keepSignals(func() (struct{}, error) {
		o, err := ort.NewCUDAProviderOptions()
		if err != nil {
			return struct{}{}, err
		}
		defer o.Destroy()
		err = o.Update(map[string]string{
			"device_id": strconv.Itoa(device),
			"use_tf32":  "0",
			// The default, an exhaustive search, may pick another algorithm each
			// time, which rounds differently.
			"cudnn_conv_algo_search": "HEURISTIC",
		})
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, so.AppendExecutionProviderCUDA(o)
	})
	if err != nil {
		return unavailable(fmt.Sprintf("the CUDA provider does not take cuda:%d: %v", device, err), cudaRemedy)
	}
	return nil
}

// keepSignals calls f, which may load the CUDA provider, and puts the program's
// signal handlers back.
func keepSignals[T any](f func() (T, error)) (T, error) {
	var old C.op_signals
	C.op_save_signals(&old)
	defer C.op_restore_signals(&old)
	return f()
}
