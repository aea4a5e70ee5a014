package probes

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// On ONNX Runtime on a CPU, the codes of all sites move no output of a shipped network by
// a bit: what a tap takes out of a convolution is computed as within it, and in the same
// layout.
func TestOwnOutputsDoNotMove(t *testing.T) {
	enginetest.Need(t, ort.Backend{}, engine.Options{})
	compared := 0
	err := filepath.WalkDir("../testdata/models", func(path string, d os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".onnx") || strings.Contains(path, "structure") { // without weights
			return err
		}
		m, err := onnx.Load(path)
		if err != nil {
			return err
		}
		p, err := Attach(m, AttachOptions{Pack: PackOperator})
		if err != nil || len(p.Fit.Others) > 0 || p.Fit.DType != tensor.Float32 {
			return nil
		}
		n := max(p.Fit.Batch, 1)
		if p.Fit.Batch == 0 && !p.Fit.Freed {
			n = 3
		}
		shape := append([]int{n}, p.Fit.Sample...)
		if p.Fit.Unbatched {
			shape = shape[1:]
		}
		x := make([]float32, tensor.Count(shape))
		for i := range x {
			x[i] = float32((i*7919)%1999)/500 - 2
		}
		var out [2][]*tensor.Tensor
		for i, m := range []*onnx.Model{m, p.Model} {
			s, err := ort.Backend{}.Prepare(t.Context(), m, engine.Options{Threads: 1})
			if err != nil {
				t.Errorf("%s: %v", path, err)
				return nil
			}
			defer s.Close()
			if out[i], err = s.Run(t.Context(), []*tensor.Tensor{tensor.Of(x, shape...)}); err != nil {
				t.Errorf("%s: %v", path, err)
				return nil
			}
		}
		for k := range p.Own {
			compared++
			if !bytes.Equal(out[0][k].Bytes(), out[1][k].Bytes()) {
				t.Errorf("%s: output %d moves", path, k)
			}
		}
		return nil
	})
	if err != nil || compared < 80 {
		t.Fatalf("%d outputs compared: %v", compared, err)
	}
	t.Logf("%d outputs", compared)
}
