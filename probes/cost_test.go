package probes

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
)

// Probes hide nothing in a model and cost little: its multiply-adds are known with them
// where they are without, however bits are packed.
func TestMultiplyAddsOfProbedModels(t *testing.T) {
	files, err := filepath.Glob("../testdata/models/*.onnx")
	if err != nil || len(files) < 20 {
		t.Fatal(files, err)
	}
	own := engine.Domain + "." + engine.SignPack
	for _, file := range append(files, "../testdata/models/structure/resnet18_torchscript.onnx") {
		name := strings.TrimSuffix(filepath.Base(file), ".onnx")
		m, err := onnx.LoadWith(file, onnx.LoadOptions{NoData: strings.Contains(file, "structure")})
		if err != nil {
			t.Fatal(err)
		}
		var sample []int
		if strings.Contains(file, "structure") {
			sample = []int{3, 224, 224}
		}
		for _, pack := range []Packing{PackPortable, PackUnsigned, PackOperator} {
			p, err := Attach(m, AttachOptions{Pack: pack, Sample: sample})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			batch := int64(4)
			if p.Fit.Batch > 0 {
				batch = int64(p.Fit.Batch)
			}
			alone, known := p.source.MultiplyAdds(p.Fit.Shapes(batch))
			if p.Fit.Freed {
				alone, known = p.source.MultiplyAdds(p.Fit.Shapes(1))
				alone *= batch
			}
			n, still := p.Model.MultiplyAdds(p.Fit.Shapes(batch), own)
			bits, each := int64(0), int64(20) // what a bit costs at most
			for _, s := range p.Sites {
				bits += int64(8*s.Bytes()) * batch
			}
			if pack == PackOperator {
				each = 2
			}
			if !known || !still || n < alone || n > alone+each*bits {
				t.Errorf("%s, %s: %d with probes of %d bits, %v; %d without, %v", name, pack, n, bits, still, alone, known)
			}
		}
	}
}
