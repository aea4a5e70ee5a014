package annotate_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/probes/region/annotate"
)

// Boxes of a table, found for the pictures of a folder.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "boxes.csv")
	table := "path,x1,y1,x2,y2,label\n3/0213.png,1,0,6,4,top\n3/0213.png,5,0,2,4,inverted\n"
	if err := os.WriteFile(path, []byte(table), 0o666); err != nil {
		log.Fatal(err)
	}
	set, err := annotate.Open(path, annotate.Options{})
	if err != nil {
		log.Fatal(err)
	}
	digits, err := dataset.Open([]string{"../../../testdata/images/digits"}, dataset.Options{})
	if err != nil {
		log.Fatal(err)
	}
	matched := set.Match(digits)
	for i := range digits.Len() {
		if matched.Has(i) {
			regions, faults := matched.Regions(i, picture.Size{H: 8, W: 8})
			fmt.Println(digits.Item(i).ID, regions[0].Label, regions[0].Box, len(faults), "faults")
		}
	}
	fmt.Println(set.LeftOut().Counts())
	// Output:
	// 3/0213.png top {1 0 6 4} 0 faults
	// empty or inverted box: 1
}
