package dataset_test

import (
	"context"
	"fmt"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
)

// Samples that the program made itself, in batches of two.
func ExampleMemory() {
	ds, err := dataset.Memory([]int{2}, [][]float32{{0, 1}, {1, 0}, nil},
		[]dataset.Item{{ID: "up", Label: 0}, {ID: "right", Label: 1}, {ID: "lost", Label: -1}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for b, err := range dataset.Batches(context.Background(), ds, 2, 1) {
		if err != nil {
			fmt.Println(err)
			return
		}
		for i, it := range b.Items {
			fmt.Println(it.ID, it.Label, b.Input.Data.([]float32)[2*i:2*i+2], b.Errs[i])
		}
	}
	// Output:
	// up 0 [0 1] <nil>
	// right 1 [1 0] <nil>
	// lost -1 [0 0] the item has no sample
}

// A folder of pictures, whose sub-folders are the classes, as inputs of a model that
// was trained on pixels divided by 255.
func ExampleOpen() {
	pre, err := picture.ParsePreprocess("mnist-01")
	if err != nil {
		fmt.Println(err)
		return
	}
	ds, err := dataset.Open([]string{"../../testdata/images/digits"},
		dataset.Options{Preprocess: &pre, Input: []int{1, 8, 8}})
	if err != nil {
		fmt.Println(err)
		return
	}
	about := dataset.Describe(ds)
	fmt.Println(about.Items, "samples of", about.Shape, "in classes", about.Classes)
	x := make([]float32, 1*8*8)
	if err := ds.Sample(0, x); err != nil {
		fmt.Println(err)
		return
	}
	it := ds.Item(0)
	fmt.Printf("%s is a %s; its second row is %.2f\n", it.ID, it.Class, x[8:16])
	// Output:
	// 100 samples of [1 8 8] in classes [0 1 2 3 4 5 6 7 8 9]
	// 0/0276.png is a 0; its second row is [0.00 0.00 0.81 1.00 0.62 0.81 0.19 0.00]
}

// relabelled wraps a dataset to give its items other labels, and says with Unwrap that
// they are the same items.
type relabelled struct {
	dataset.Dataset
	label func(class string) int
}

func (r relabelled) Unwrap() dataset.Dataset { return r.Dataset }

func (r relabelled) Item(i int) dataset.Item {
	it := r.Dataset.Item(i)
	it.Label = r.label(it.Class)
	return it
}

// A wrapper that another package wrote: what is known of the pictures stays known.
func ExampleDataset() {
	pictures, err := dataset.Open([]string{"../../testdata/images/digits"}, dataset.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	even := relabelled{pictures, func(class string) int { return int(class[0]-'0') % 2 }}
	g, err := dataset.GeometryOf(even, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s is labelled %d; its picture has %d x %d pixels\n",
		even.Item(0).ID, even.Item(0).Label, g.Picture.W, g.Picture.H)
	// Output: 0/0276.png is labelled 0; its picture has 8 x 8 pixels
}
