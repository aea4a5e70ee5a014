package ort_test

import (
	"context"
	"fmt"
	"log"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// ONNX Runtime alone, without what backends brings into a program.
func ExampleBackend() {
	if err := (ort.Backend{}).Available(engine.Options{}); err != nil {
		log.Fatal(err) // an *engine.UnavailableError, which says how to get it
	}
	m, err := onnx.Load("model.onnx")
	if err != nil {
		log.Fatal(err)
	}
	s, err := ort.Backend{}.Prepare(context.Background(), m, engine.Options{Threads: 2})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	out, err := s.Run(context.Background(), []*tensor.Tensor{tensor.Of(make([]float32, 64), 1, 1, 8, 8)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(out[0].Shape, out[0].Data)
}
