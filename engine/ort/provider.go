//go:build cgo

package ort

// #include "ortapi.h"
import "C"

import (
	"fmt"
	"strconv"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/onnxprobe/onnxprobe/engine"
)

// cudaSettings are the options of ONNX Runtime's CUDA provider, as
// OrtCUDAProviderOptionsV2 reads them.
func cudaSettings(o engine.Options) map[string]string {
	// The provider's own default, an exhaustive search, may pick another algorithm
	// each time, which rounds differently.
	search := map[string]string{"": "HEURISTIC", "heuristic": "HEURISTIC", "default": "DEFAULT", "exhaustive": "EXHAUSTIVE"}
	yes := map[bool]string{false: "0", true: "1"}
	s := map[string]string{
		"device_id":              strconv.Itoa(o.Device.Index),
		"use_tf32":               yes[o.AllowTF32],
		"cudnn_conv_algo_search": search[o.Tune],
		// The fastest algorithms want much memory beside the arena.
		"cudnn_conv_use_max_workspace": yes[o.MemoryLimit == 0],
		// A batch's shape is fixed, so the arena grows once; doubling would take up to
		// twice what is needed.
		"arena_extend_strategy": "kSameAsRequested",
		// Copies on a stream of their own race with the kernels.
		"do_copy_in_default_stream": "1",
		"enable_cuda_graph":         yes[o.CUDAGraph],
	}
	if o.MemoryLimit > 0 {
		s["gpu_mem_limit"] = strconv.FormatInt(o.MemoryLimit, 10)
	}
	return s
}

// cudaEntries are the session's configuration entries that go with it.
func cudaEntries(o engine.Options) map[string]string {
	if o.Fallback {
		return nil
	}
	return map[string]string{"session.disable_cpu_ep_fallback": "1"}
}

// addCUDA asks for one GPU and, without o.Fallback, for nothing but that GPU.
func addCUDA(so *ort.SessionOptions, o engine.Options) error {
	for k, v := range cudaEntries(o) {
		if err := so.AddSessionConfigEntry(k, v); err != nil {
			return err
		}
	}
	_, err := keepSignals(func() (struct{}, error) {
		p, err := ort.NewCUDAProviderOptions()
		if err != nil {
			return struct{}{}, err
		}
		defer p.Destroy()
		if err := p.Update(cudaSettings(o)); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, so.AppendExecutionProviderCUDA(p)
	})
	if err != nil {
		return unavailable(fmt.Sprintf("the CUDA provider does not take %s: %v", o.Device, err), cudaRemedy.listed())
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
