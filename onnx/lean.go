package onnx

import (
	"runtime"
	"slices"
	"strconv"
	"unsafe"
)

// leanLeast is the size of the initializers that MarshalLean leaves where they are.
const leanLeast = 4096

// MarshalLean is Marshal without the large initializers' data: they refer to external
// data in a file called location, whose bytes are file, the model file as it is
// mapped. It makes neither a copy nor a file. file is valid while m is in use. Where
// nothing can be left out it is nil, and proto is what Marshal makes: the model was not
// mapped, or has other external data, which it keeps by reference anyway.
func (m *Model) MarshalLean(location string) (proto, file []byte, err error) {
	defer runtime.KeepAlive(m)
	if m.Graph == nil || m.files == nil || m.files.model == nil || len(m.files.model.data) <= smallFile || m.HasExternal() {
		proto, err = m.Marshal()
		return proto, nil, err
	}
	src := m.files.model
	lean, g := *m, *m.Graph
	g.Initializers, lean.Graph = slices.Clone(g.Initializers), &g
	for i, t := range g.Initializers {
		if t.src == src && t.hasRaw && !t.typed && len(t.raw) >= leanLeast {
			g.Initializers[i], file = t.at(location, uintptr(unsafe.Pointer(&t.raw[0]))-uintptr(unsafe.Pointer(&src.data[0]))), src.data
		}
	}
	proto, err = lean.Marshal()
	return proto, file, err
}

// at is t with its data in a file at an offset.
func (t *Tensor) at(location string, offset uintptr) *Tensor {
	r := &rope{}
	for _, d := range t.Dims {
		r.varint(1, uint64(d))
	}
	r.varint(2, uint64(t.DType))
	r.str(8, t.Name)
	r.props(13, []Prop{{"location", location}, {"offset", strconv.FormatUint(uint64(offset), 10)}, {"length", strconv.Itoa(len(t.raw))}})
	r.varint(14, 1) // external
	return &Tensor{msg: slices.Concat(r.parts...)}
}
