package onnx

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
)

// rope is a message under construction: small pieces are built, tensors are
// pointed to, so that writing a model copies no weight.
type rope struct {
	parts [][]byte
	size  int
}

func (r *rope) raw(b []byte) {
	if len(b) > 0 {
		r.parts, r.size = append(r.parts, b), r.size+len(b)
	}
}

func (r *rope) varint(num protowire.Number, v uint64) {
	r.raw(protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), v))
}

func (r *rope) bytes(num protowire.Number, b []byte) {
	r.raw(protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.BytesType), uint64(len(b))))
	r.raw(b)
}

func (r *rope) str(num protowire.Number, s string) {
	if s != "" {
		r.bytes(num, []byte(s))
	}
}

func (r *rope) message(num protowire.Number, c *rope) {
	r.raw(protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.BytesType), uint64(c.size)))
	r.parts, r.size = append(r.parts, c.parts...), r.size+c.size
}

func (r *rope) props(num protowire.Number, ps []Prop) {
	for _, p := range ps {
		c := &rope{}
		c.str(1, p.Key)
		c.str(2, p.Value)
		r.message(num, c)
	}
}

func (r *rope) opsets(num protowire.Number, os []Opset) {
	for _, o := range os {
		c := &rope{}
		c.str(1, o.Domain)
		c.varint(2, uint64(o.Version))
		r.message(num, c)
	}
}

func (m *Model) encode() *rope {
	r := &rope{}
	r.varint(1, uint64(m.IR))
	r.str(2, m.Producer)
	r.str(3, m.ProducerVersion)
	r.message(7, m.Graph.encode())
	r.opsets(8, m.Opsets)
	r.props(14, m.Meta)
	for _, f := range m.Functions {
		r.message(25, f.encode())
	}
	r.raw(m.unknown)
	return r
}

func (g *Graph) encode() *rope {
	r := &rope{}
	for _, n := range g.Nodes {
		r.message(1, n.encode())
	}
	r.str(2, g.Name)
	for _, t := range g.Initializers {
		t.encode(r)
	}
	for num, vs := range [][]*Value{g.Inputs, g.Outputs, g.Values} {
		for _, v := range vs {
			r.message(protowire.Number(11+num), v.encode())
		}
	}
	r.raw(g.unknown)
	return r
}

func (n *Node) encode() *rope {
	r := &rope{}
	for _, s := range n.Inputs {
		r.bytes(1, []byte(s)) // an omitted input is an empty string and must be written
	}
	for _, s := range n.Outputs {
		r.bytes(2, []byte(s))
	}
	r.str(3, n.Name)
	r.str(4, n.Op)
	for _, a := range n.Attrs {
		r.message(5, a.encode())
	}
	r.str(7, n.Domain)
	r.str(8, n.Overload)
	r.props(9, n.Meta)
	r.raw(n.unknown)
	return r
}

func (a *Attr) encode() *rope {
	r := &rope{}
	r.str(1, a.Name)
	switch {
	case a.Ref != "": // which has no value
	case a.Type == AttrFloat:
		r.raw(protowire.AppendFixed32(protowire.AppendTag(nil, 2, protowire.Fixed32Type), math.Float32bits(a.Float)))
	case a.Type == AttrInt:
		r.varint(3, uint64(a.Int))
	case a.Type == AttrString:
		r.bytes(4, a.String)
	}
	if a.Tensor != nil {
		a.Tensor.encode(r)
	}
	if a.Graph != nil {
		r.message(6, a.Graph.encode())
	}
	for _, f := range a.Floats {
		r.raw(protowire.AppendFixed32(protowire.AppendTag(nil, 7, protowire.Fixed32Type), math.Float32bits(f)))
	}
	for _, i := range a.Ints {
		r.varint(8, uint64(i))
	}
	for _, s := range a.Strings {
		r.bytes(9, s)
	}
	for _, g := range a.Graphs {
		r.message(11, g.encode())
	}
	if a.Type != 0 {
		r.varint(20, uint64(a.Type))
	}
	r.str(21, a.Ref)
	r.raw(a.unknown)
	return r
}

// encode adds a tensor to a graph or to an attribute, which both have it in field 5.
func (t *Tensor) encode(r *rope) {
	r.message(5, &rope{[][]byte{t.msg, t.tail}, len(t.msg) + len(t.tail)})
}

func (v *Value) encode() *rope {
	r := &rope{}
	r.str(1, v.Name)
	switch {
	case v.typ != nil && v.sameType():
		r.bytes(2, v.typ)
	case v.DType != 0 || v.Shape != nil:
		tt := &rope{}
		tt.varint(1, uint64(v.DType))
		if v.Shape != nil {
			sh := &rope{}
			for _, d := range v.Shape {
				c := &rope{}
				switch {
				case d.Param != "":
					c.str(2, d.Param)
				case d.Size >= 0:
					c.varint(1, uint64(d.Size))
				}
				sh.message(1, c)
			}
			tt.message(2, sh)
		}
		ty := &rope{}
		ty.message(1, tt)
		r.message(2, ty)
	}
	r.raw(v.unknown)
	return r
}

// sameType reports whether the value still has the type that the file gave it.
func (v *Value) sameType() bool {
	var was Value
	err := (&decoder{}).typ(v.typ, &was)
	return err == nil && was.DType == v.DType && slices.Equal(was.Shape, v.Shape) && was.HasShape() == v.HasShape()
}

// encoded is the model as it is written, after its external data was verified.
func (m *Model) encoded(doing string) (*rope, error) {
	if m.Graph == nil {
		return nil, errNoGraph
	}
	if err := m.verifyExternal(); err != nil {
		return nil, fmt.Errorf("%s the model: %w", doing, err)
	}
	r := m.encode()
	if r.size > math.MaxInt32 {
		return nil, fmt.Errorf("%s the model: %d bytes, and protobuf readers stop at 2 GiB; keep its weights as external data", doing, r.size)
	}
	return r, nil
}

// Marshal is the model's protobuf. External data stays external: the bytes hold
// references relative to Dir, whose files are held against their checksums.
func (m *Model) Marshal() ([]byte, error) {
	defer runtime.KeepAlive(m) // its parts point into the mapped file
	r, err := m.encoded("encoding")
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, r.size)
	for _, p := range r.parts {
		b = append(b, p...)
	}
	return b, nil
}

// WriteTo writes the model's protobuf without gathering it in memory.
func (m *Model) WriteTo(w io.Writer) (int64, error) {
	defer runtime.KeepAlive(m)
	r, err := m.encoded("writing")
	if err != nil {
		return 0, err
	}
	bw := bufio.NewWriterSize(w, 1<<20)
	var n int64
	for _, p := range r.parts {
		k, err := bw.Write(p)
		n += int64(k)
		if err != nil {
			return n, err
		}
	}
	return n, bw.Flush()
}

// Save writes the model to path, whole or not at all. External data is kept by
// reference, so path must be in the folder that holds it.
func (m *Model) Save(path string) error {
	if m.HasExternal() {
		same, err := sameFolder(filepath.Dir(path), m.Dir)
		if err != nil {
			return fmt.Errorf("saving %q: %w", path, err)
		}
		if !same {
			return fmt.Errorf("saving %q: the model keeps its weights in %v beside it in %q, and a model can only refer "+
				"to data in its own folder; save it there, or copy that data first",
				path, m.ExternalFiles(), m.Dir)
		}
	}
	f, err := saves.begin(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("saving %q: %w", path, err)
	}
	defer saves.end(f.Name())
	if _, err := m.WriteTo(f); err != nil {
		f.Close()
		return fmt.Errorf("saving %q: %w", path, err)
	}
	if err = f.Chmod(0o644); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = saves.publish(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("saving %q: %w", path, err)
	}
	return nil
}

// AbandonSaves removes the files that Save is writing, for a program that ends in the
// middle. Every call of Save after it, and what it left of those before, waits for ever.
func AbandonSaves() { saves.abandon() }

// saves are the temporary files of Save.
var saves temporaries

type temporaries struct {
	mu    sync.Mutex
	paths map[string]bool
}

func (t *temporaries) begin(dir string) (*os.File, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f, err := os.CreateTemp(dir, ".onnxprobe-*.tmp")
	if err != nil {
		return nil, err
	}
	if t.paths == nil {
		t.paths = map[string]bool{}
	}
	t.paths[f.Name()] = true
	return f, nil
}

func (t *temporaries) publish(temp, path string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	delete(t.paths, temp)
	return nil
}

func (t *temporaries) end(temp string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.paths[temp] {
		delete(t.paths, temp)
		os.Remove(temp)
	}
}

// abandon keeps the lock: no file is made or gets its name after it.
func (t *temporaries) abandon() {
	t.mu.Lock()
	for temp := range t.paths {
		os.Remove(temp)
	}
}

func sameFolder(a, b string) (bool, error) {
	if b == "" {
		b = "."
	}
	ia, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	ib, err := os.Stat(b)
	if err != nil {
		return false, err
	}
	return os.SameFile(ia, ib), nil
}
