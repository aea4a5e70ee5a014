//go:build cgo

package ort

/*
#include "cudadriver.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"github.com/onnxprobe/onnxprobe/engine/ort/install"
)

// cudaReady says that the libraries were loaded: for good, so it is never unset.
var cudaReady struct {
	sync.Mutex
	ok bool
}

// cudaAvailable is nil when the library in use can be expected to run on CUDA. It
// asks the driver first: without one nothing else is read or loaded.
func cudaAvailable() error {
	cudaReady.Lock()
	defer cudaReady.Unlock()
	if cudaReady.ok {
		return nil
	}
	if _, err := askDriver(0); err != nil {
		return unavailable("the device cuda: "+err.Error(), driverRemedy.listed())
	}
	if err := preloadCUDA(); err != nil {
		return err
	}
	cudaReady.ok = true
	return nil
}

// preloadCUDA loads what the CUDA provider of the library in use needs, each by
// its path, so that the provider finds it loaded: the loader reads
// LD_LIBRARY_PATH when a process starts and knows no Python package.
func preloadCUDA() error {
	loaded.Lock()
	path, providers := loaded.path, loaded.providers
	loaded.Unlock()
	if !slices.Contains(strings.Split(providers, ","), "CUDAExecutionProvider") {
		reason := fmt.Sprintf("%s is a build of ONNX Runtime without CUDA (it has %s)", path, providers)
		return unavailable(reason, cudaRemedy.listed())
	}
	provider := install.CUDAProvider(path)
	if _, err := os.Stat(provider); err != nil {
		return unavailable(fmt.Sprintf("the CUDA provider %s is not beside the library", provider), cudaRemedy.listed())
	}
	if runtime.GOOS != "linux" {
		return nil
	}
	found, major, err := install.FindCUDA(provider)
	if err != nil {
		return unavailable(err.Error(), cudaRemedy.listed())
	}
	if _, err := askDriver(major); err != nil {
		return unavailable("the device cuda: "+err.Error(), driverRemedy.listed())
	}
	if reason := install.Lacking(found); reason != "" {
		return unavailable("the CUDA provider "+provider+" needs "+reason, missing(found, major).listed())
	}
	_, err = keepSignals(func() (struct{}, error) { return struct{}{}, preload(found, major) })
	return err
}

// preload loads the found parts in their order.
func preload(found []install.Found, major int) error {
	for _, p := range found {
		if p.Missing() {
			continue // an optional one
		}
		for _, path := range p.Paths() {
			if err := dlopen(path); err != nil {
				return unavailable(fmt.Sprintf("%s (%s) does not load: %v", path, p.From, err),
					partsRemedy.listed())
			}
		}
		if p.Name == "cuDNN" && major != 0 {
			if got := int(C.op_cudnn_cuda()) / 1000; got != 0 && got != major {
				return unavailable(fmt.Sprintf("the cuDNN in %s (%s) is for CUDA %d, the CUDA provider for %d", p.Dir, p.From, got, major),
					partsRemedy.listed())
			}
		}
	}
	return nil
}

func dlopen(path string) error {
	s := C.CString(path)
	defer C.free(unsafe.Pointer(s))
	var why [1024]C.char
	if C.op_preload(s, &why[0], C.size_t(len(why))) != 0 {
		return errors.New(C.GoString(&why[0]))
	}
	return nil
}
