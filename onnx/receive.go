package onnx

import (
	"errors"
	"os"
	"runtime"
)

// weightsFile is the location of the weights that Send leaves in the model's own file.
const weightsFile = "onnxprobe.weights"

// Send is the model for another process of this machine, which makes it again by Receive:
// proto is what MarshalLean makes of it, and weights the model's file as it was loaded,
// whatever has its name now; nil where proto holds all weights but the external ones. It is
// the model's own, open while m is in use, and not to be closed.
func (m *Model) Send() (proto []byte, weights *os.File, err error) {
	proto, file, err := m.MarshalLean(weightsFile)
	if err != nil || file == nil {
		return proto, nil, err
	}
	return proto, m.files.model.file, nil
}

// AllowsLinks is what LoadOptions.AllowLinks was when the model was loaded.
func (m *Model) AllowsLinks() bool { return m.files != nil && m.files.allowLinks }

// Receive is the model that Send gave. proto must not change while it is in use, and the
// model keeps weights open. dir is the folder of external data.
func Receive(proto []byte, weights *os.File, dir string, o LoadOptions) (*Model, error) {
	m, err := parse(proto, nil)
	if err != nil {
		return nil, err
	}
	m.Dir = dir
	m.files = &files{allowLinks: o.AllowLinks, open: map[string]*mapping{}}
	if weights == nil {
		return m, nil
	}
	src, err := mapFile(weights)
	if err != nil {
		return nil, err
	}
	defer runtime.KeepAlive(src)
	m.files.model = src
	for _, t := range m.Graph.Initializers {
		e := t.External
		if e == nil || e.Location != weightsFile {
			continue
		}
		want, err := t.size()
		if err != nil {
			return nil, err
		}
		if want < 0 || e.Length != want || e.Offset > int64(len(src.data)) || want > int64(len(src.data))-e.Offset {
			return nil, errors.New("a weight does not lie in the model's file")
		}
		t.raw, t.hasRaw, t.src, t.External = src.data[e.Offset:][:want], true, src, nil
	}
	return m, nil
}
