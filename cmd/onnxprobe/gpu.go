package main

import (
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/engine"
)

// gpuFlags are settings of --device cuda, as the user wrote them.
type gpuFlags struct {
	tf32, graph, cpuNodes bool
	tune, memory          string
}

func (f *gpuFlags) add(fs *pflag.FlagSet) {
	fs.BoolVar(&f.tf32, "allow-tf32", false, "")
	fs.StringVar(&f.tune, "tune", "", "")
	fs.StringVar(&f.memory, "device-memory", "", "")
	fs.BoolVar(&f.graph, "cuda-graph", false, "")
	fs.BoolVar(&f.cpuNodes, "allow-cpu-nodes", false, "")
}

// set puts the settings into o; what goes with no such device is wrong usage.
func (f *gpuFlags) set(o *engine.Options) error {
	o.AllowTF32, o.Tune, o.CUDAGraph, o.Fallback = f.tf32, f.tune, f.graph, f.cpuNodes
	if f.memory != "" {
		var err error
		if o.MemoryLimit, err = engine.ParseBytes(f.memory); err != nil {
			return usagef("--device-memory %w", err)
		}
	}
	if err := o.CheckGPU(); err != nil {
		return usageError{err}
	}
	return nil
}
