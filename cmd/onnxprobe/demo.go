package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/ort"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/text"
	"github.com/onnxprobe/onnxprobe/testdata"
)

func newDemo() *cobra.Command {
	var dir string
	c := command("demo", exactly(0, "no arguments"))
	c.RunE = func(c *cobra.Command, args []string) error {
		if dir == "" {
			d, err := os.MkdirTemp("", "onnxprobe-demo-")
			if err != nil {
				return err
			}
			dir = d
		}
		return demo(c, dir)
	}
	c.Flags().StringVarP(&dir, "output", "o", "", "")
	return c
}

func demo(c *cobra.Command, dir string) error {
	start := time.Now()
	if err := unpack(dir); err != nil {
		return err
	}
	w := c.OutOrStdout()
	at := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	fmt.Fprintf(w, "A residual network trained on handwritten digits, exported by PyTorch, and 100 digits\n"+
		"it has not seen, are in %s\n", dir)
	compare, sides := "Do two engines agree, and if not, who is right?", "-a ort -b gorgonia --decide float64"
	if err := (ort.Backend{}).Available(engine.Options{}); err != nil {
		note(c, "engine: gorgonia, in pure Go; %s", withFlags(err))
		compare, sides = "Do the codes depend on the precision?", "-a gorgonia -b gorgonia,precision=float64"
	}
	const network = " ./models/resnet_basic_dynamo.onnx" // "./" stands for dir
	const items = network + " ./images/digits --preprocess mnist-01 "
	for _, s := range []struct {
		why, line string
		rows      string // what came out, for say
		say       func(w io.Writer, rows []demoRow)
	}{
		{"Where does it bend?", "inspect" + network, "", nil},
		{"What does it see?", "run" + network + " ./images/digits/3 --preprocess mnist-01 --softmax --top 2", "", nil},
		{"On which side of every bend does each picture fall?", "codes" + items + "-o ./codes.npy --force",
			result.ItemsPath("codes.npy"), sayRegions},
		{"How many regions crowd around each picture?",
			"complexity" + items + "--radius 0.05 --directions 20 -o ./complexity.jsonl --force",
			"complexity.jsonl", sayComplexity},
		{"What does the network do in the region around one picture?",
			"affine" + network + " ./images/digits/3/0213.png --preprocess mnist-01", "", nil},
		{compare, "compare" + items + sides, "", nil},
	} {
		fmt.Fprintf(w, "\n%s\n$ onnxprobe %s\n", s.why, strings.ReplaceAll(s.line, "./", ""))
		args := strings.Fields(s.line + " --quiet")
		for i, arg := range args {
			if name, ours := strings.CutPrefix(arg, "./"); ours {
				args[i] = at(name)
			}
		}
		if err := perform(c.Context(), args, c.InOrStdin(), w, c.ErrOrStderr()); err != nil {
			return err
		}
		if s.say != nil {
			rows, err := readRows(at(s.rows))
			if err != nil {
				return err
			}
			s.say(w, rows)
		}
	}
	if err := againstPyTorch(c, at); err != nil {
		return err
	}
	fmt.Fprintf(w, `
Done in %.1f s. What to try next:
  onnxprobe inspect YOUR_MODEL.onnx
  onnxprobe codes YOUR_MODEL.onnx YOUR_PICTURES/ --preprocess imagenet -o codes.parquet
  onnxprobe complexity YOUR_MODEL.onnx YOUR_PICTURES/ --preprocess imagenet --radius 0.05 -o complexity.parquet
  onnxprobe attach YOUR_MODEL.onnx -o probed.onnx     the same codes from any ONNX runtime
  python3 -c "import numpy as n; print(n.unpackbits(n.load('%s'), axis=1))"
`, time.Since(start).Seconds(), at("codes.npy"))
	return nil
}

func unpack(dir string) error {
	return fs.WalkDir(testdata.Files, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(p))
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		b, err := testdata.Files.ReadFile(p)
		if err != nil {
			return err
		}
		return result.Put(to, func(w io.Writer) error { _, err := w.Write(b); return err })
	})
}

// demoRow is what the demo reads of a line of its own results.
type demoRow struct {
	ID, Path, Digest string
	Complexity       map[string]int // by the radius, of which there is one
}

// units is how many change their side around the item.
func (r demoRow) units() (n int) {
	for _, at := range r.Complexity {
		n += at
	}
	return n
}

func readRows(path string) ([]demoRow, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var rows []demoRow
	for d := json.NewDecoder(bytes.NewReader(b)); d.More(); {
		var r demoRow
		if err := d.Decode(&r); err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func sayRegions(w io.Writer, rows []demoRow) {
	regions := map[string]bool{}
	for _, r := range rows {
		regions[r.Digest] = true
	}
	fmt.Fprintf(w, "The %s fall in %s.\n", text.Count(len(rows), "picture"), text.Count(len(regions), "linear region"))
}

func sayComplexity(w io.Writer, rows []demoRow) {
	slices.SortStableFunc(rows, func(a, b demoRow) int { return cmp.Compare(a.units(), b.units()) })
	for k, r := range []demoRow{rows[0], rows[len(rows)/2], rows[len(rows)-1]} {
		fmt.Fprintf(w, "%-8s  %4d of the units change their side around %s\n",
			[]string{"smallest", "median", "largest"}[k], r.units(), r.ID)
	}
}

// againstPyTorch compares the codes just written with those that PyTorch gave for
// some of the pictures.
func againstPyTorch(c *cobra.Command, at func(string) string) error {
	want, err := tensor.ReadNpzFile(at("golden/resnet_basic.npz"))
	if err != nil {
		return err
	}
	got, err := tensor.ReadNpyFile(at("codes.npy"))
	if err != nil {
		return err
	}
	items, err := readRows(result.ItemsPath(at("codes.npy")))
	if err != nil {
		return err
	}
	row := map[string]int{}
	for i, it := range items {
		rel, err := filepath.Rel(at("."), it.Path)
		if err != nil {
			return err
		}
		row[filepath.ToSlash(rel)] = i
	}
	var golden struct{ Images []string }
	b, err := os.ReadFile(at("golden/resnet_basic.json"))
	if err == nil {
		err = json.Unmarshal(b, &golden)
	}
	if err != nil {
		return err
	}
	code, near := tensor.Data[uint8](want["code"]), tensor.Data[uint8](want["near"])
	codes, width := tensor.Data[uint8](got), got.Shape[1]
	differ, fragile := 0, 0
	for k, name := range golden.Images {
		i, ok := row[name]
		if !ok {
			return fmt.Errorf("the demo's picture %q has no code", name)
		}
		for b := range width {
			bit := k*width + b
			d := code[bit] ^ codes[i*width+b]
			differ, fragile = differ+bits.OnesCount8(d&^near[bit]), fragile+bits.OnesCount8(d&near[bit])
		}
	}
	w := c.OutOrStdout()
	fmt.Fprintf(w, "\nAre they right? Of the %s bits that "+
		"PyTorch gave for %d of the pictures, %d differ", text.Grouped(int64(8*len(code))), len(golden.Images), differ+fragile)
	if fragile > 0 {
		fmt.Fprintf(w, ", %d of them within rounding of their knot", fragile)
	}
	fmt.Fprintln(w, ".")
	if differ > 0 {
		return fmt.Errorf("%d bits differ from PyTorch's that rounding does not explain; please report this", differ)
	}
	return nil
}
