package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// A bend that has no site is named wherever a model is probed, and can be made an error.
func TestBendsWithoutASiteAreNamed(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	model := "../../testdata/models/bends/globalmax_dynamo.onnx"
	const says = "no site shows 2 bends: pool.act (MaxPool), pool_functional (MaxPool); inspect says why"
	out := func(name string) string { return filepath.Join(dir, name) }
	for _, args := range [][]string{
		{"codes", model, "--random", "2", "-o", out("c.npy")}, {"complexity", model, "--random", "2", "-o", out("lc.npy")},
		{"attach", model, "-o", out("p.onnx")}, {"hash", model, "--random", "2", "-o", out("job")},
	} {
		strict := append(args[:len(args):len(args)], "--strict-sites")
		if r := do(strict...); r.code != exitFailed || !strings.Contains(r.messages, "2 places where the model bends have no site") ||
			!strings.Contains(r.messages, "--include-maxpool") || len(glob(t, args[len(args)-1])) > 0 {
			t.Errorf("%q ends with %d: %s", strict, r.code, r.messages)
		}
		if r := do(args...); r.code != exitDone || strings.Count(r.messages, says) != 1 {
			t.Errorf("%q ends with %d: %s", args, r.code, r.messages)
		}
		if args[0] == "hash" {
			continue
		}
		strict[len(strict)-2] = out("strict-" + filepath.Base(args[len(args)-1]))
		if r := do(append(strict, "--include-maxpool")...); r.code != exitDone || strings.Contains(r.messages, "no site shows") {
			t.Errorf("%q with all pools ends with %d: %s", strict, r.code, r.messages)
		}
	}
	type unwatched struct{ Name, Module, Op, Kind, Reason string }
	for _, path := range []string{"c.npy.manifest.json", "lc.npy.manifest.json", "job/manifest.json"} {
		var mf struct{ Unwatched []unwatched }
		if err := json.Unmarshal([]byte(slurp(t, out(path))), &mf); err != nil {
			t.Fatal(err)
		}
		if u := mf.Unwatched; len(u) != 2 || u[0].Module != "pool.act" || u[0].Kind != "bend" || u[0].Name == "" || u[0].Reason == "" {
			t.Errorf("%s: %+v", path, u)
		}
	}

	var in struct {
		Sites []struct {
			Name    string
			Knots   []float64
			Against string
		}
		Units     int
		Unwatched []unwatched
	}
	inspect := func(model string, more ...string) outcome {
		in.Sites, in.Units, in.Unwatched = nil, 0, nil
		r := do(append([]string{"inspect", model, "--json"}, more...)...)
		if err := json.Unmarshal([]byte(r.stdout), &in); err != nil {
			t.Fatalf("%v: %s%s", err, r.stdout, r.messages)
		}
		return r
	}
	if inspect(model); len(in.Unwatched) != 2 || in.Unwatched[0].Op != "MaxPool" {
		t.Errorf("inspect: %+v", in.Unwatched)
	}
	if r := inspect(model, "--strict-sites"); r.code != exitFailed || len(in.Unwatched) != 2 || in.Units != 28 {
		t.Errorf("strictly, inspect ends with %d, and shows %d units", r.code, in.Units)
	}
	// A model without a site says what it is made of all the same.
	inspect("../../testdata/models/bends/named_dynamo.onnx")
	kinds := map[string]int{}
	for _, u := range in.Unwatched {
		kinds[u.Kind]++
	}
	if len(in.Sites) > 0 || kinds["guard"] != 4 || kinds["bend"] != 4 || kinds["smooth"] < 5 {
		t.Errorf("%d sites, %v", len(in.Sites), kinds)
	}
	// A bend against a tensor has no knots, but names it.
	inspect("../../testdata/models/bends/bounds_torchscript.onnx")
	if s := in.Sites[0]; s.Knots != nil || s.Against == "" {
		t.Errorf("%+v", s)
	}
	r := do("inspect", "../../testdata/models/bends/bounds_torchscript.onnx")
	if !strings.Contains(r.stdout, "against "+in.Sites[0].Against) {
		t.Error(r.stdout)
	}
	if r := do("inspect", "../../testdata/models/bends/named_dynamo.onnx"); !strings.Contains(r.stdout, "NO SITE") || !strings.Contains(r.stdout, "smooth by nature, without a site:") {
		t.Error(r.stdout)
	}
}
