//go:build cgo

package ort

/*
#cgo !windows LDFLAGS: -ldl
#include "ortapi.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/ort/install"
)

// apiVersion is the C interface that onnxruntime_go v1.36.0 asks for.
const apiVersion = install.MinMinor

// loaded is the one ONNX Runtime of the process. The library keeps global
// state, so a process can hold only one.
var loaded struct {
	sync.Mutex
	ok        bool
	path      string // as found
	from      string
	passed    []string // those found before it, and why they were not taken
	file      os.FileInfo
	version   string
	providers string
	api       C.op_api
	memory    unsafe.Pointer // OrtMemoryInfo of the CPU
	own       unsafe.Pointer // OrtCustomOpDomain of our operators, once needed
}

// goError takes over a C message; nil for none.
func goError(msg *C.char) error {
	if msg == nil {
		return nil
	}
	defer C.free(unsafe.Pointer(msg))
	return errors.New(strings.TrimSpace(C.GoString(msg)))
}

// open loads the library at path far enough to know that it is an ONNX Runtime
// this program can use.
func open(path string) (handle unsafe.Pointer, api C.op_api, version string, err error) {
	abs, err := filepath.Abs(path) // a bare name would be looked for elsewhere
	if err != nil {
		return nil, nil, "", err
	}
	name := C.CString(abs)
	defer C.free(unsafe.Pointer(name))
	var msg *C.char
	handle = C.op_open(name, &msg)
	if handle == nil {
		return nil, nil, "", fmt.Errorf("it does not load: %w", goError(msg))
	}
	base := C.op_base_of(handle)
	if base == nil {
		C.op_close(handle)
		return nil, nil, "", errors.New("it is not ONNX Runtime: it has no OrtGetApiBase")
	}
	version = C.GoString(C.op_version(base))
	if err = install.CheckVersion(version); err == nil {
		if api = C.op_get(base, apiVersion); api == nil {
			err = fmt.Errorf("ONNX Runtime %s refuses interface version %d", version, apiVersion)
		}
	}
	if err != nil {
		C.op_close(handle)
		return nil, nil, version, err
	}
	return handle, api, version, nil
}

// loadable is nil when the library loads and can be used. It leaves nothing
// loaded.
func loadable(path string) error {
	h, _, _, err := open(path)
	if err == nil {
		C.op_close(h)
	}
	return err
}

// load makes ONNX Runtime ready with the first library that find lists and that
// works; one that was asked for is the only one listed. Once a library is in use, "" means that one, and another is an error. A failure is
// not remembered: after an install the same call can succeed.
func load(library string) error {
	loaded.Lock()
	defer loaded.Unlock()
	if loaded.ok {
		return sameLibrary(library)
	}
	found := install.Find(library)
	for i := range found {
		c := &found[i]
		if c.Fault == nil {
			c.Fault = start(*c)
		}
		if c.Fault == nil {
			loaded.from, loaded.passed = c.From, faultsOf(found[:i])
			return nil
		}
	}
	return unusable(found)
}

// sameLibrary is nil when a library of this name is the one in use.
func sameLibrary(library string) error {
	from := install.FromFlag
	if library == "" {
		if library, from = os.Getenv(install.EnvLibrary), install.FromEnv; library == "" {
			return nil
		}
	}
	info, err := os.Stat(library)
	if err != nil {
		return unavailable(fmt.Sprintf("no usable ONNX Runtime library: %s (%s): %v", library, from, err), remedy)
	}
	if !os.SameFile(info, loaded.file) {
		return unavailable(fmt.Sprintf("this process already uses the ONNX Runtime library %s and cannot load %s (%s) as well", loaded.path, library, from),
			remedies{text: "use one library, or two processes"})
	}
	return nil
}

// start loads c for good and makes the global environment.
func start(c install.Candidate) error {
	info, err := os.Stat(c.Path)
	if err != nil {
		return err
	}
	if err := c.Check(); err != nil {
		return err
	}
	_, api, version, err := open(c.Path)
	if err != nil {
		return err
	}
	abs, err := filepath.Abs(c.Path)
	if err != nil {
		return err
	}
	// DisableTelemetry comes too late for the files that it makes in the temporary folder.
	if err := os.Setenv("ORT_DISABLE_TELEMETRY", "1"); err != nil {
		return err
	}
	ort.SetSharedLibraryPath(abs)
	// Every error is also returned; logged, it would be written to stderr, even
	// for a cancelled run.
	if err := ort.InitializeEnvironment(ort.WithLogLevelFatal()); err != nil {
		return err
	}
	err = ort.DisableTelemetry()
	var list *C.char
	if err == nil {
		err = goError(C.op_providers(api, &list))
	}
	if err == nil {
		err = goError(C.op_cpu_memory(api, &loaded.memory))
	}
	if err != nil {
		return errors.Join(err, ort.DestroyEnvironment())
	}
	loaded.providers = C.GoString(list)
	C.free(unsafe.Pointer(list))
	loaded.path, loaded.file = abs, info
	loaded.ok, loaded.version, loaded.api = true, version, api
	return nil
}

// addOwn makes our operators known to a session's options. ONNX Runtime keeps
// pointing at their domain, so it is never released.
func addOwn(so *ort.SessionOptions) error {
	options, err := field(so, "o")
	if err != nil {
		return fmt.Errorf("adding the operator %s to a session: %w; pack the codes with standard operators", engine.SignPack, err)
	}
	loaded.Lock()
	defer loaded.Unlock()
	if loaded.own == nil {
		if err := goError(C.op_own(loaded.api, &loaded.own)); err != nil {
			return fmt.Errorf("making the operator %s: %w", engine.SignPack, err)
		}
	}
	if err := goError(C.op_add_own(loaded.api, options, loaded.own)); err != nil {
		return fmt.Errorf("adding the operator %s to a session: %w", engine.SignPack, err)
	}
	return nil
}

// addWeights gives a session's options the bytes of weightsFile, which must not be Go's
// memory: they stay in use until the session is made.
func addWeights(so *ort.SessionOptions, weights []byte) error {
	options, err := field(so, "o")
	if err != nil {
		return fmt.Errorf("adding weights to a session: %w", err)
	}
	name := C.CString(weightsFile)
	defer C.free(unsafe.Pointer(name))
	if err := goError(C.op_add_file(loaded.api, options, name, unsafe.Pointer(unsafe.SliceData(weights)), C.size_t(len(weights)))); err != nil {
		return fmt.Errorf("adding weights to a session: %w", err)
	}
	return nil
}
