package tensor

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestNpzRoundTrip(t *testing.T) {
	arrays := []Named{
		{"weight", Of([]float64{1, -0.5, 1e-300, 4, 5, 6}, 2, 3)},
		{"row", Of([]int64{7, -1}, 2)},
		{"scalar", Scalar(float32(2.5))},
		{"empty", Of([]uint8{}, 0, 4)},
	}
	var a, b bytes.Buffer
	if err := WriteNpz(&a, arrays...); err != nil {
		t.Fatal(err)
	}
	if err := WriteNpz(&b, arrays...); err != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Errorf("the same arrays give other bytes: %v", err)
	}
	got, err := ReadNpz(bytes.NewReader(a.Bytes()), int64(a.Len()), 0)
	if err != nil || len(got) != len(arrays) {
		t.Fatalf("%d arrays, %v", len(got), err)
	}
	for _, w := range arrays {
		g := got[w.Name]
		if g == nil || g.DType != w.Array.DType || !reflect.DeepEqual(g.Data, w.Array.Data) || Count(g.Shape) != Count(w.Array.Shape) || len(g.Shape) != len(w.Array.Shape) {
			t.Errorf("%s: got %+v, want %+v", w.Name, g, w.Array)
		}
	}
	for _, bad := range [][]Named{{arrays[0], arrays[0]}, {{"", arrays[0].Array}}, {{"s", &Tensor{DType: String}}}} {
		if err := WriteNpz(&bytes.Buffer{}, bad...); err == nil {
			t.Errorf("%+v is written", bad)
		}
	}
}

// numpy reads what is written.
func TestNumpyReadsNpz(t *testing.T) {
	if err := exec.Command("python3", "-c", "import numpy").Run(); err != nil {
		t.Skip("no python3 with numpy here")
	}
	path := filepath.Join(t.TempDir(), "a.npz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	err = WriteNpz(f, Named{"weight", Of([]float64{1, -0.5, 3, 4, 5, 6}, 2, 3)}, Named{"row", Of([]int64{7}, 1)})
	if err != nil || f.Close() != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("python3", "-c", "import numpy,sys; z=numpy.load(sys.argv[1]); print(z['weight'].dtype, z['weight'].tolist(), z['row'].tolist())", path).CombinedOutput()
	if want := "float64 [[1.0, -0.5, 3.0], [4.0, 5.0, 6.0]] [7]"; err != nil || strings.TrimSpace(string(out)) != want {
		t.Errorf("numpy reads %s, %v; want %s", out, err, want)
	}
}
