package region_test

import (
	"context"
	"fmt"
	"log"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// upper is a source: the upper half of every picture.
type upper struct{}

func (upper) Has(int) bool { return true }

func (upper) Regions(_ int, size picture.Size) ([]region.Region, []error) {
	return []region.Region{{ID: "upper", Box: region.Box{X1: float64(size.W), Y1: float64(size.H) / 2}}}, nil
}

// A row for each region instead of each picture: what of the code lies inside.
func ExampleNewRows() {
	model, err := onnx.Load("../../testdata/models/resnet_basic_dynamo.onnx")
	if err != nil {
		log.Fatal(err)
	}
	gray, err := picture.ParsePreprocess("mnist-01")
	if err != nil {
		log.Fatal(err)
	}
	digits, err := dataset.Open([]string{"../../testdata/images/digits/3/0213.png"}, dataset.Options{Preprocess: &gray})
	if err != nil {
		log.Fatal(err)
	}
	p, err := probes.Open(context.Background(), probes.Request{Model: model, Data: digits, Backend: gorgonia.Backend{},
		Probes: []probes.Probe{probes.Code{}}})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	layouts, err := region.Map(p.Plan.Source(), &p.Plan.Fit, p.Plan.Sites)
	if err != nil {
		log.Fatal(err)
	}
	out := result.Memory()
	where := func(i int) (picture.Geometry, error) { return dataset.GeometryOf(digits, i) }
	rows, err := region.NewRows(out, p.Plan.Sites, layouts, where, upper{}, region.RowOptions{})
	if err != nil {
		log.Fatal(err)
	}
	if _, err = p.Run(context.Background(), digits, rows, probes.RunOptions{}); err != nil {
		log.Fatal(err)
	}
	two := func(name string) bool { return name == "id" || name == "units" }
	err = out.Read(two, func(batch []result.Column) error {
		fmt.Println(batch[0].Values.([]string)[0], "has", batch[1].Values.([]int64)[0], "units inside, of", p.Plan.Units())
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// ../../testdata/images/digits/3/0213.png#upper has 1600 units inside, of 3200
}
