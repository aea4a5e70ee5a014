//go:build cgo

package ort

/*
#include "cudadriver.h"
*/
import "C"

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unsafe"

	"github.com/onnxprobe/onnxprobe/engine/ort/install"
)

// driverFor names the first driver that runs a CUDA release.
var driverFor = map[int]string{12: "525", 13: "580"}

// askDriver loads the driver's library, which is small, and starts it. major is
// the CUDA release that is wanted of it, 0 for any. The error says which of
// driver, release and GPU is missing.
func askDriver(major int) (driver, error) {
	if runtime.GOOS != "linux" {
		return driver{}, nil
	}
	var c C.op_driver
	// A driver's initialisation is foreign code: it may take over signals.
	keepSignals(func() (struct{}, error) { C.op_driver_ask(&c); return struct{}{}, nil })
	d := driver{path: C.GoString(&c.path[0]), cuda: int(c.version)}
	if d.path == "" {
		return d, fmt.Errorf("there is no NVIDIA driver: %s is not found", install.DriverLibrary)
	}
	if real, err := filepath.EvalSymlinks(d.path); err == nil {
		if _, v, ok := strings.Cut(filepath.Base(real), "libcuda.so."); ok && strings.Contains(v, ".") {
			d.version = v
		}
	}
	switch {
	case c.status == 34:
		return d, fmt.Errorf("%s is a stub to link with, not NVIDIA's driver", d.path)
	case c.status == 100 || c.status == 0 && c.count == 0:
		why := "NVIDIA's driver sees no GPU"
		if v, ok := os.LookupEnv("CUDA_VISIBLE_DEVICES"); ok {
			why += fmt.Sprintf(" with CUDA_VISIBLE_DEVICES=%q", v)
		}
		return d, fmt.Errorf("%s", why)
	case c.status != 0:
		return d, fmt.Errorf("NVIDIA's driver %s does not start: error %d, %s", d.path, int(c.status), C.GoString(&c.message[0]))
	}
	for i := range min(int(c.count), 64) {
		var g C.op_gpu
		if C.op_gpu_ask(&c, C.int(i), &g) == 0 {
			d.gpus = append(d.gpus, gpu{C.GoString((*C.char)(unsafe.Pointer(&g.name[0]))), int64(g.memory), fmt.Sprintf("%d.%d", int(g.major), int(g.minor))})
		}
	}
	if major != 0 && d.cuda/1000 < major {
		return d, fmt.Errorf("NVIDIA's driver %s runs CUDA up to %s, and this build of ONNX Runtime is for CUDA %d: it needs driver %s or newer",
			d.version, d.release(), major, orUnknown(driverFor[major]))
	}
	return d, nil
}

func orUnknown(s string) string {
	if s == "" {
		return "a newer one"
	}
	return s
}
