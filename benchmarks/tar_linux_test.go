package benchmarks

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"image/jpeg"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/enginetest"
	"github.com/onnxprobe/onnxprobe/engine/ort"
)

// writeTar writes n pictures of 32 x 32 with their labels, as WebDataset does.
func writeTar(t *testing.T, path string, n int) {
	t.Helper()
	var some [][]byte
	for i := range 10 {
		var b bytes.Buffer
		if err := jpeg.Encode(&b, scene(uint64(i), 32, 32), nil); err != nil {
			t.Fatal(err)
		}
		some = append(some, b.Bytes())
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	var out io.Writer = f
	ends := []func() error{f.Close}
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewWriterLevel(f, gzip.BestSpeed)
		if err != nil {
			t.Fatal(err)
		}
		out, ends = z, append(ends, z.Close)
	}
	b := bufio.NewWriterSize(out, 1<<16)
	w := tar.NewWriter(b)
	put := func(name string, data []byte) {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		put(fmt.Sprintf("%09d.jpg", i), some[i%len(some)])
		put(fmt.Sprintf("%09d.cls", i), []byte(fmt.Sprint(i%10)))
	}
	for _, end := range slices.Backward(append(ends, b.Flush, w.Close)) {
		if err := end(); err != nil {
			t.Fatal(err)
		}
	}
}

// high is peak for programs that may hold less than the test does: it asks for the
// mark while the program runs.
func high(t *testing.T, program string, args ...string) (most int) {
	t.Helper()
	c := exec.Command(program, args...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	for {
		now := mark(fmt.Sprint(c.Process.Pid))
		// Before it is the program it is the test, whose mark is its own.
		if exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", c.Process.Pid)); exe == program {
			most = max(most, now)
		}
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("onnxprobe %v: %v\n%s", args, err, out.Bytes())
			}
			return most
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// mark is the most memory that a running process held, in bytes; 0 once it has ended.
func mark(pid string) (n int) {
	status, _ := os.ReadFile("/proc/" + pid + "/status")
	if _, text, ok := strings.Cut(string(status), "VmHWM:"); ok {
		_, _ = fmt.Sscan(text, &n)
	}
	return n << 10
}

// The peak of memory over a tar file of 100,000 pictures is that over 10,000, within
// 6 MB. Planning reads the whole index and takes a second, so that it is always
// done; ONNXPROBE_TAR_MEMORY=1 asks for all verbs.
func TestTarMemoryIsConstant(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program and plans 110,000 pictures")
	}
	dir := t.TempDir()
	program, model := build(t, dir), filepath.Join(dir, "small.onnx")
	small(t, model)
	all := os.Getenv("ONNXPROBE_TAR_MEMORY") != ""
	verbs, kinds := []string{"plan"}, []string{"tar"}
	if all {
		enginetest.Need(t, ort.Backend{}, engine.Options{})
		verbs, kinds = []string{"plan", "run", "hash", "codes"}, []string{"tar", "tar.gz"}
	}
	for _, kind := range kinds {
		few, many := filepath.Join(dir, "few."+kind), filepath.Join(dir, "many."+kind)
		writeTar(t, few, 10_000)
		writeTar(t, many, 100_000)
		for _, verb := range verbs {
			t.Run(kind+"/"+verb, func(t *testing.T) {
				once := func(in string) int {
					job := in + ".job"
					what := []string{model, in, "--preprocess", "cifar10"}
					switch verb {
					case "plan":
						return high(t, program, slices.Concat([]string{"hash", "plan"}, what, []string{"--mode", "overwrite", "-o", job})...)
					case "run":
						if out, err := exec.Command(program, slices.Concat([]string{"hash", "plan"}, what, []string{"--mode", "overwrite", "-o", job})...).CombinedOutput(); err != nil {
							t.Fatalf("%v\n%s", err, out)
						}
						return high(t, program, "hash", "run", job)
					case "hash":
						return high(t, program, slices.Concat([]string{"hash"}, what, []string{"--mode", "overwrite", "-o", job})...)
					}
					return high(t, program, slices.Concat([]string{verb}, what, []string{"--force", "-o", in + ".parquet"})...)
				}
				// The middle of three: the peak depends on when the collector runs.
				measure := func(in string) int {
					peaks := []int{once(in), once(in), once(in)}
					slices.Sort(peaks)
					return peaks[1]
				}
				a, b := measure(few), measure(many)
				t.Logf("peak resident memory %s for 10,000 items, %s for 100,000", mb(a), mb(b))
				if a == 0 || b > a+6<<20 {
					t.Errorf("peak resident memory is %s for 10,000 items and %s for 100,000; allowed are 6 MB more", mb(a), mb(b))
				}
			})
		}
	}
}
