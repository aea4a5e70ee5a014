package main

import (
	"math"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/engine"
)

// gpuFlags are settings of --device cuda, as the user wrote them.
type gpuFlags struct {
	tf32, graph, cpuNodes bool
	tune, memory          string
}

func (f *gpuFlags) add(fs *pflag.FlagSet) {
	fs.BoolVar(&f.tf32, "allow-tf32", false, "let the GPU round the factors of products to TF32: faster, and bits flip. Recorded")
	fs.StringVar(&f.tune, "tune", "", "how the GPU's algorithms are chosen: heuristic, default, or exhaustive, which may round differently each time")
	fs.StringVar(&f.memory, "device-memory", "", "most memory of the GPU to keep, a `SIZE` such as 8GiB or 500MB")
	fs.BoolVar(&f.graph, "cuda-graph", false, "record a run on the GPU and replay it")
	fs.BoolVar(&f.cpuNodes, "allow-cpu-nodes", false, "let nodes that the GPU has no kernel for run on the CPU; they are listed and recorded")
}

// set puts the settings into o; what goes with no such device is wrong usage.
func (f *gpuFlags) set(o *engine.Options) error {
	o.AllowTF32, o.Tune, o.CUDAGraph, o.Fallback = f.tf32, f.tune, f.graph, f.cpuNodes
	if f.memory != "" {
		n, ok := bytesOf(f.memory)
		if !ok {
			return usagef("--device-memory %q: write a number of bytes, or one with KB, MB, GB, KiB, MiB or GiB", f.memory)
		}
		o.MemoryLimit = n
	}
	if err := o.CheckGPU(); err != nil {
		return usageError{err}
	}
	return nil
}

var byteUnits = []struct {
	name  string
	bytes float64
}{{"KIB", 1 << 10}, {"MIB", 1 << 20}, {"GIB", 1 << 30}, {"TIB", 1 << 40}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"B", 1}}

// bytesOf reads a positive number of bytes.
func bytesOf(s string) (int64, bool) {
	s, times := strings.ToUpper(strings.TrimSpace(s)), 1.0
	for _, u := range byteUnits {
		if t, ok := strings.CutSuffix(s, u.name); ok {
			s, times = strings.TrimSpace(t), u.bytes
			break
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	n := v * times
	return int64(n), err == nil && n >= 1 && n < math.MaxInt64
}
