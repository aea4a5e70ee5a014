package benchmarks

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
)

// TestSearchRatios sets exact Hamming search against FAISS's IndexBinaryFlat, one
// core each, over a million codes, the two taking turns; see search.py. In a turn a
// single query is searched for 20 times in a row: what a search finds in the cache is
// then what the search before it left there, not what the other program did.
// Distances must be equal; no time is asserted.
func TestSearchRatios(t *testing.T) {
	python := os.Getenv("ONNXPROBE_BENCH_FAISS")
	if python == "" {
		t.Skip("set ONNXPROBE_BENCH_FAISS to a Python that has faiss-cpu")
	}
	const n, k = 1_000_000, 10
	t.Logf("%s, %s/%s, %d cores; times are of one", cpuName(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	for _, bits := range []int{128, 256, 512, 1024} {
		dir := t.TempDir()
		r := rand.New(rand.NewPCG(1, uint64(bits)))
		base, queries := randomCodes(t, r, n, bits/8), randomCodes(t, r, 1000, bits/8)
		for name, c := range map[string]*encoding.Codes{"base": base, "queries": queries} {
			f, err := os.Create(filepath.Join(dir, name))
			if err == nil {
				err = c.WriteFaiss(f)
				f.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command(python, "search.py", dir)
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		d := json.NewDecoder(bufio.NewReader(out))
		var about map[string]string
		if err := d.Decode(&about); err != nil {
			t.Fatal(err)
		}
		if bits == 128 {
			t.Logf("faiss-cpu %s (%s)", about["faiss"], about["options"])
		}
		for _, nq := range []int{1, 16, 1000} {
			some := make([]int, nq)
			for i := range some {
				some[i] = i
			}
			few := queries.Pick(some)
			turns := map[int]int{1: 15, 16: 11, 1000: 3}[nq]
			times := map[int]int{1: 20, 16: 2, 1000: 1}[nq]
			var ours, theirs, ratios []float64
			for turn := range turns {
				fmt.Fprintf(in, "%d %d %d\n", nq, k, times)
				var answer struct {
					Seconds   float64
					Distances [][]int32
				}
				if err := d.Decode(&answer); err != nil {
					t.Fatal(err)
				}
				var found [][]encoding.Neighbor
				start := time.Now()
				for range times {
					if found, err = encoding.Search(t.Context(), few, base, k, encoding.SearchOptions{Threads: 1}); err != nil {
						t.Fatal(err)
					}
				}
				took := time.Since(start).Seconds() / float64(times)
				ours, theirs, ratios = append(ours, took), append(theirs, answer.Seconds), append(ratios, answer.Seconds/took)
				for q, ns := range found {
					for i, x := range ns {
						if turn == 0 && x.Distance != answer.Distances[q][i] {
							t.Fatalf("%d bits, query %d: neighbor %d at %d, FAISS has %d", bits, q, i, x.Distance, answer.Distances[q][i])
						}
					}
				}
			}
			t.Logf("%4d bits, %4d queries: %9.3f ms, FAISS %9.3f ms; FAISS/onnxprobe %.2f (turn by turn %.2f to %.2f)",
				bits, nq, 1e3*middle(ours), 1e3*middle(theirs), middle(ratios), slices.Min(ratios), slices.Max(ratios))
		}
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
	}
}

func middle(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

func randomCodes(t *testing.T, r *rand.Rand, n, width int) *encoding.Codes {
	c, err := encoding.NewCodes(width)
	if err != nil {
		t.Fatal(err)
	}
	code := make([]byte, width)
	for range n {
		for i := range code {
			code[i] = byte(r.Uint32())
		}
		if err := c.Append(code); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func cpuName() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimLeft(strings.TrimSpace(name), ": \t")
		}
	}
	return "an unnamed processor"
}
