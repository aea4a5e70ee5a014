package ort

import (
	"cmp"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/ort/install"
)

// Piece is one of the things that runs need, as found on this machine or missing.
type Piece struct {
	Name    string `json:"piece"`            // such as "ONNX Runtime" or "cuDNN"
	Soname  string `json:"soname,omitempty"` // of a library of CUDA's
	Version string `json:"version"`          // "" when unknown
	From    string `json:"from"`             // the rule that found it; "" when it is missing
	Path    string `json:"path"`
	CUDA    bool   `json:"cuda"` // it is of use for CUDA alone or, as ONNX Runtime, for CUDA too
	Usable  bool   `json:"usable"`
	// Optional pieces may be missing.
	Optional bool   `json:"optional,omitempty"`
	Why      string `json:"why,omitempty"`    // not usable, or what was passed over
	Remedy   string `json:"remedy,omitempty"` // how to come by a piece that is not usable
	// Options are the names of what Remedy is about, as in an onnx.RemedyError.
	Options []string `json:"-"`
}

// missing says how to come by the missing parts of CUDA.
func missing(found []install.Found, major int) remedies {
	text := install.PartsRemedy(found, major)
	if text != install.CUDARemedy {
		return remedies{text: text}
	}
	return remedies{text, []string{install.OptionCUDA}}
}

// List is every candidate in the order the backend tries them; the first one
// without a fault is the one a plain run uses.
func List() []install.Candidate {
	found := install.Find("")
	for i := range found {
		if c := &found[i]; c.Fault == nil {
			if c.Fault = c.Check(); c.Fault == nil {
				c.Fault = loadable(c.Path)
			}
		}
	}
	return found
}

// Inventory lists what runs on the CPU and on CUDA need: the ONNX Runtime
// libraries in the order they are tried, then, where CUDA is supported, the CUDA
// provider, each library that it needs, the driver, and the GPUs. It loads the
// ONNX Runtime libraries for a moment and the driver for good, but no library of
// CUDA's.
func Inventory() []Piece {
	var out []Piece
	first := -1 // what a plain run uses
	for _, c := range List() {
		p := Piece{Name: "ONNX Runtime", Version: c.Version, From: c.From, Path: c.Path, CUDA: c.CUDA, Usable: c.Fault == nil}
		if c.Fault != nil {
			p.Why, p.Remedy, p.Options = c.Fault.Error(), remedy.text, remedy.options
		} else if first < 0 {
			first = len(out)
		}
		out = append(out, p)
	}
	if first < 0 {
		out = append(out, Piece{Name: "ONNX Runtime", Why: "not found", Remedy: remedy.text, Options: remedy.options})
	}
	if runtime.GOOS != "linux" {
		return out
	}
	provider := Piece{Name: "CUDA provider", CUDA: true, Why: "not found", Remedy: install.CUDARemedy,
		Options: []string{install.OptionCUDA}}
	if first >= 0 {
		lib := out[first]
		provider.Why = "the first usable ONNX Runtime, " + lib.Path + ", is a build without CUDA"
		if lib.CUDA {
			provider.Path, provider.Version, provider.From = install.CUDAProvider(lib.Path), lib.Version, lib.From
			provider.Usable, provider.Why, provider.Remedy, provider.Options = true, "", "", nil
		}
	}
	found, major, err := install.FindCUDA(provider.Path)
	if err != nil {
		provider.Usable, provider.Why = false, err.Error()
		provider.Remedy, provider.Options = install.CUDARemedy, []string{install.OptionCUDA}
	}
	out = append(out, provider)
	for _, p := range found {
		out = append(out, piecesOf(p, major)...)
	}
	return append(out, driverPieces(major)...)
}

// piecesOf is one for each library of a part.
func piecesOf(p install.Found, major int) []Piece {
	var out []Piece
	for _, l := range p.Libs {
		q := Piece{Name: p.Name, Soname: l, CUDA: true, Optional: p.Optional != "", Usable: !p.Missing(), Why: strings.Join(p.Passed, "; ")}
		if q.Usable {
			q.Path, q.From, q.Version = filepath.Join(p.Dir, l), p.From, p.Version
		} else {
			q.Why = cmp.Or(q.Why, "not found")
			r := missing([]install.Found{p}, major)
			q.Remedy, q.Options = r.text, r.options
			if q.Optional {
				q.Why += "; only " + p.Optional + " need it"
				q.Remedy, q.Options = "install every part of CUDA", []string{install.OptionAll}
			}
		}
		out = append(out, q)
	}
	return out
}

// gpu is one GPU that the driver shows to this process.
type gpu struct {
	name       string
	memory     int64  // bytes
	capability string // such as "9.0"
}

// driver is what NVIDIA's driver says of itself.
type driver struct {
	path    string // of its library
	version string // the driver's own, such as 580.65.06; "" when the file does not tell
	cuda    int    // the newest CUDA release it runs: 13000 is 13.0
	gpus    []gpu
}

func (d driver) release() string { return fmt.Sprintf("%d.%d", d.cuda/1000, d.cuda%1000/10) }

// GPUs names the GPUs that NVIDIA's driver shows to this process, by their index as
// devices. That there are none is an *engine.UnavailableError.
func GPUs() (names []string, err error) {
	d, err := askDriver(0)
	if err == nil && len(d.gpus) == 0 {
		err = fmt.Errorf("GPUs cannot be counted under %s", runtime.GOOS)
	}
	if err != nil {
		return nil, unavailable(err.Error(), driverRemedy)
	}
	for _, g := range d.gpus {
		names = append(names, g.name)
	}
	return names, nil
}

// DeviceName is part of engine.Namer.
func (Backend) DeviceName(d engine.Device) string {
	if d.Kind != "cuda" {
		return ""
	}
	names, err := GPUs()
	if err != nil || d.Index >= len(names) {
		return ""
	}
	return names[d.Index]
}

// driverPieces is the driver and its GPUs.
func driverPieces(major int) []Piece {
	d, err := askDriver(major)
	p := Piece{Name: "NVIDIA driver", Soname: install.DriverLibrary, CUDA: true, Version: d.version, Path: d.path, Usable: err == nil}
	if d.path != "" {
		p.From = install.FromSystem
	}
	if d.cuda > 0 {
		p.Version = strings.TrimSpace(d.version + " (CUDA " + d.release() + ")")
	}
	if err != nil {
		p.Why, p.Remedy, p.Options = err.Error(), driverRemedy.text, driverRemedy.options
	}
	out := []Piece{p}
	for i, g := range d.gpus {
		out = append(out, Piece{Name: fmt.Sprintf("cuda:%d", i), CUDA: true, Usable: true, From: "driver",
			Version: "compute capability " + g.capability, Path: g.name + ", " + fmt.Sprintf("%.1f GB", float64(g.memory)/1e9)})
	}
	return out
}

// Check is nil when nothing that runs on device d need is missing from an
// inventory; else an *engine.UnavailableError that names each missing piece.
func Check(pieces []Piece, d engine.Device) error {
	var why, texts, options []string
	cuda := d.Kind == "cuda"
	runs := slices.ContainsFunc(pieces, func(p Piece) bool { return p.Name == "ONNX Runtime" && p.Usable })
	gpus := 0
	for _, p := range pieces {
		if strings.HasPrefix(p.Name, "cuda:") {
			gpus++
		}
		if p.Usable || p.Optional || p.Name == "ONNX Runtime" && runs || p.Name != "ONNX Runtime" && !cuda {
			continue
		}
		why = append(why, cmp.Or(p.Soname, p.Name)+" ("+p.Why+")")
		if !slices.Contains(texts, p.Remedy) {
			texts, options = append(texts, p.Remedy), append(options, p.Options...)
		}
	}
	if why == nil && cuda && d.Index >= gpus && runtime.GOOS == "linux" {
		why = append(why, fmt.Sprintf("GPU %d (the driver shows %d, counted from 0)", d.Index, gpus))
	}
	if why == nil {
		return nil
	}
	reason := fmt.Sprintf("the device %s lacks %s", d, strings.Join(why, ", "))
	return unavailable(reason, remedies{strings.Join(texts, "; "), options})
}
