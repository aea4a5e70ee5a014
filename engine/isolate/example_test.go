package isolate_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/backends"
	"github.com/onnxprobe/onnxprobe/engine/isolate"
	"github.com/onnxprobe/onnxprobe/onnx"
)

// The main of a program that runs a model from a stranger: it goes on whatever the model
// does to the engine.
func ExampleMain() {
	isolate.Main(backends.All...) // before anything else: a worker does not come back from it

	limits := isolate.Limits{Memory: 4 << 30, Time: time.Minute}
	b, err := backends.Choose(backends.Request{Isolate: isolate.Yes, Limits: limits})
	if err != nil {
		log.Fatal(err)
	}
	m, err := onnx.Load("stranger.onnx")
	if err != nil {
		log.Fatal(err)
	}
	s, err := engine.Prepare(context.Background(), b, m, nil, engine.Options{MaxMemory: limits.Memory})
	if lost := (*engine.LostError)(nil); errors.As(err, &lost) {
		fmt.Println("the model is bad:", lost)
		return
	}
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	fmt.Println(s.Inputs(), s.Outputs())
}
