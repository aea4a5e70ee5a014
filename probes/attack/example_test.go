package attack_test

import (
	"context"
	"fmt"
	"log"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes/attack"
)

// How many of ten pictures of a three are told from a three after a change of at most 0.2
// of each pixel.
func ExampleAttacker_Attack() {
	ctx := context.Background()
	m, err := onnx.Load("../../testdata/models/mlp_dynamo.onnx")
	if err != nil {
		log.Fatal(err)
	}
	gray, err := picture.ParsePreprocess("mnist-01")
	if err != nil {
		log.Fatal(err)
	}
	digits, err := dataset.Open([]string{"../../testdata/images/digits/3"}, dataset.Options{Preprocess: &gray})
	if err != nil {
		log.Fatal(err)
	}
	a, err := attack.Open(ctx, m, gorgonia.Backend{}, engine.Options{}, digits.Shape(), digits.Len(),
		attack.Options{Norm: attack.Linf, Epsilon: 0.2, Step: 0.05, Iterations: 10})
	if err != nil {
		log.Fatal(err)
	}
	defer a.Close()
	for b, err := range dataset.Batches(ctx, digits, a.Batch, 1) {
		if err != nil {
			log.Fatal(err)
		}
		outcomes, err := a.Attack(ctx, b.Input, []int{3, 3, 3, 3, 3, 3, 3, 3, 3, 3}, b.Start)
		if err != nil {
			log.Fatal(err)
		}
		before, after := 0, 0
		for _, o := range outcomes {
			if o.Class == 3 {
				before++
			}
			if o.Attacked == 3 {
				after++
			}
		}
		fmt.Println(before, "are threes, and", after, "after the attack")
	}
	// Output: 10 are threes, and 0 after the attack
}
