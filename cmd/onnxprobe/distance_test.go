package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
)

// withCopies writes sketches of strangers and, of every fourth, a copy that differs in up to
// six bits, or of none.
func withCopies(t *testing.T, copies bool) (path string, groups int) {
	t.Helper()
	r := rand.New(rand.NewPCG(4, 4))
	var b strings.Builder
	row := func(id string, code []byte) {
		fmt.Fprintf(&b, "{\"id\":%q,\"digest\":%q,\"sketch\":%q}\n", id, hex.EncodeToString(code[:16]), hex.EncodeToString(code))
	}
	for i := range 120 {
		code := make([]byte, 32)
		for range 60 + r.IntN(30) {
			code[r.IntN(32)] ^= 1 << r.IntN(8)
		}
		row(fmt.Sprint(i), code)
		if copies && i%4 == 0 {
			for range 1 + r.IntN(6) {
				code[r.IntN(32)] ^= 1 << r.IntN(8)
			}
			row(fmt.Sprintf("%d.copy", i), code)
			groups++
		}
	}
	return spill(t, filepath.Join(t.TempDir(), "planted.jsonl"), []byte(b.String())), groups
}

func TestDistanceAuto(t *testing.T) {
	path, groups := withCopies(t, true)
	var got struct {
		Radius, Groups, Largest int
		Nearest                 struct {
			Items, Sampled, Width int
			Counts                []int
		}
		Valley *struct{ Low, High int }
		Around []struct{ Distance, Groups, Grouped, Largest int }
	}
	decode(t, stdoutOf(t, "dedup", path, "--distance", "auto", "--json"), &got)
	if got.Groups != groups || got.Largest != 2 || got.Valley == nil || got.Valley.Low != got.Radius || got.Radius > 6 || got.Valley.High < 20 ||
		got.Nearest.Items != 120+groups || got.Nearest.Sampled != got.Nearest.Items || len(got.Around) < 3 {
		t.Errorf("%+v", got)
	}
	sum := 0
	for _, n := range got.Nearest.Counts {
		sum += n
	}
	if sum != got.Nearest.Items {
		t.Errorf("the histogram has %d items", sum)
	}
	// A person sees the histogram, the valley, the groups beside, and the groups; rows alone are rows.
	r := do("dedup", path, "--distance", "auto")
	for _, want := range []string{"BITS", "<- distance", "valley", "LARGEST", "<- taken", "GROUP  SIZE"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("no %q in\n%s", want, r.stdout)
		}
	}
	for _, line := range strings.Split(strings.TrimSpace(stdoutOf(t, "dedup", path, "--distance", "auto", "-o", "-")), "\n") {
		if !json.Valid([]byte(line)) {
			t.Fatalf("-o - writes %q", line)
		}
	}
	// The same distance given by hand finds the same groups, and has the histogram too.
	var same struct {
		Groups  int
		Nearest *struct{}
		Valley  *struct{}
	}
	decode(t, stdoutOf(t, "dedup", path, "--distance", fmt.Sprint(got.Radius), "--json"), &same)
	if same.Groups != groups || same.Nearest == nil || same.Valley != nil {
		t.Errorf("%+v", same)
	}
	plot := filepath.Join(t.TempDir(), "d.svg")
	stdoutOf(t, "dedup", path, "--distance", "auto", "--plot", plot)
	page := filepath.Join(t.TempDir(), "d.html")
	stdoutOf(t, "dedup", path, "--distance", "auto", "--plot", page)
	for _, file := range []string{plot, page} {
		if text := slurp(t, file); !strings.Contains(text, "the valley") || !strings.Contains(text, "the distance taken") {
			t.Errorf("%s shows no valley", file)
		}
	}
	// search leaves out neighbors that are farther.
	found := func(args ...string) (n int) {
		var s searchResult
		decode(t, stdoutOf(t, append([]string{"search", path, "--all", "-k", "3", "--json"}, args...)...), &s)
		for _, q := range s.Queries {
			n += len(q.Neighbors)
		}
		return n
	}
	if all, near, none := found(), found("--distance", "auto"), found("--distance", "0"); all != 3*(120+groups) || near != 2*groups || none != 0 {
		t.Errorf("search finds %d neighbors, %d near ones, %d equal ones; want %d, %d and 0", all, near, none, 3*(120+groups), 2*groups)
	}
	if a, b := found("--distance", fmt.Sprint(got.Radius)), found("--distance", "0.025"); a != 2*groups || b != 2*groups {
		t.Errorf("search finds %d neighbors by bits and %d by a share", a, b)
	}
	if r := do("search", path, "--query", "1", "--distance", "auto"); !strings.Contains(r.stdout, "no other item within") {
		t.Errorf("%s", r.stdout)
	}
}

func TestDistanceIsRefused(t *testing.T) {
	path, _ := withCopies(t, false)
	few := spill(t, filepath.Join(t.TempDir(), "few.jsonl"), []byte("{\"id\":\"a\",\"sketch\":\"00\"}\n{\"id\":\"b\",\"sketch\":\"01\"}\n"))
	for _, c := range []struct {
		args []string
		exit int
		want []string
	}{
		{[]string{"dedup", path, "--distance", "auto"}, 1, []string{"no valley", "BITS", "--distance BITS"}},
		{[]string{"search", path, "--all", "--distance", "auto"}, 1, []string{"no valley", "BITS", "--distance BITS"}},
		{[]string{"dedup", few, "--distance", "auto"}, 1, []string{"fewer than 20"}},
		{[]string{"dedup", path, "--distance", "automatic"}, 2, []string{"did you mean auto"}},
		{[]string{"dedup", path, "--distance", "1.5"}, 2, []string{"from 0 to below 1"}},
		{[]string{"dedup", path, "--distance", "300"}, 2, []string{"codes of 256 bits"}},
		{[]string{"search", path, "--all", "--distance", "300"}, 2, []string{"codes of 256 bits"}},
		{[]string{"dedup", path, "--on", "digest", "--distance", "auto"}, 2, []string{"digests are equal or not"}},
		{[]string{"search", path, "--all", "--on", "digest", "--distance", "3"}, 2, []string{"digests are equal or not"}},
	} {
		r := do(c.args...)
		for _, want := range c.want {
			if r.code != c.exit || !strings.Contains(r.messages, want) || r.stdout != "" {
				t.Errorf("%q: exit code %d, want %d and %q:\n%s", c.args, r.code, c.exit, want, r.messages)
			}
		}
	}
	if r := do("dedup", path); !strings.Contains(r.messages, "--distance auto") {
		t.Errorf("equal codes alone: %s", r.messages)
	}
}
