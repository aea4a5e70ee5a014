package partition_test

import (
	"context"
	"fmt"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes/partition"
)

// The map of a small network around one handwritten digit, computed by the pure-Go engine.
func ExampleMapper_At() {
	a, err := mapOf("../../testdata/models/mlp_dynamo.onnx", "../../testdata/images/digits/3/0213.png")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("output %d is the largest, %.4g; it grows fastest towards a boundary of %s, %.4g away\n",
		a.Largest, a.Value[0], a.Ahead.Site, a.Ahead.Distance)
	fmt.Println("the map is the network:", a.Check.Exact)
	// Output:
	// output 3 is the largest, 12.24; it grows fastest towards a boundary of relu2, 0.004791 away
	// the map is the network: true
}

func mapOf(model, file string) (*partition.Affine, error) {
	m, err := onnx.Load(model)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	mapper, err := partition.Open(ctx, m, gorgonia.Backend{}, engine.Options{}, partition.Options{})
	if err != nil {
		return nil, err
	}
	defer mapper.Close()
	gray, err := picture.ParsePreprocess("mnist-01")
	if err != nil {
		return nil, err
	}
	items, err := dataset.Open([]string{file}, dataset.Options{Preprocess: &gray, Input: mapper.Shape()})
	if err != nil {
		return nil, err
	}
	x, held, err := mapper.Item(items, 0)
	if err != nil {
		return nil, err
	}
	return mapper.At(ctx, x, partition.Query{Held: held})
}
