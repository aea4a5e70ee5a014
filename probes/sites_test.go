package probes

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// A manifest's table is the same when it was written and read again, and whatever an
// export calls its nodes; what decides a bit makes another.
func TestSiteTable(t *testing.T) {
	sites := []site.Site{{Name: "a", Op: "Relu", Units: 6, Shape: []int{2, 3}, Knots: []float64{0}, Node: "n1", Pre: "v1"}, {Name: "b", Op: "Hardtanh", Units: 2, Shape: []int{2}, Knots: []float64{-1, 1}}}
	table := func(sites []site.Site) result.SiteTable {
		t.Helper()
		s, err := result.TableOf(sites)
		if err != nil || s.Rule != result.SitesRule || len(s.Hash) != 32 {
			t.Fatalf("%+v, %v", s, err)
		}
		return s
	}
	a := table(sites)
	for name, c := range map[string]struct {
		change func(s []site.Site) []site.Site
		says   []string // nil: the same
	}{
		"other nodes":  {func(s []site.Site) []site.Site { s[0].Node, s[0].Pre = "n2", "v2"; return s }, nil},
		"knots":        {func(s []site.Site) []site.Site { s[1].Knots = []float64{0, 1}; return s }, []string{`"b" is another in each`}},
		"shape":        {func(s []site.Site) []site.Site { s[0].Shape = []int{3, 2}; return s }, []string{`"a" is another in each`}},
		"smooth":       {func(s []site.Site) []site.Site { s[0].Smooth = true; return s }, []string{`"a" is another in each`}},
		"one less":     {func(s []site.Site) []site.Site { return s[:1] }, []string{"2 and 1 of them", `"b" is in the first alone`, "make both with one version"}},
		"another name": {func(s []site.Site) []site.Site { s[0].Name = "c"; return s }, []string{`"a" is in the first alone`, `"c" is in the second alone`}},
		"order":        {func(s []site.Site) []site.Site { return []site.Site{s[1], s[0]} }, []string{"in another order"}},
		"many": {func([]site.Site) []site.Site {
			var many []site.Site
			for _, name := range "cdefgh" {
				many = append(many, site.Site{Name: string(name), Op: "Relu"})
			}
			return many
		}, []string{`"b" is in the first alone, "c" is in the second alone`, `"e" is in the second alone, and 3 more`}},
	} {
		b := table(c.change(append([]site.Site{}, sites...)))
		for _, old := range []bool{false, true} { // of a version that had no hash and no rule
			if old {
				b.Hash, b.Rule = "", 0
			}
			got := a.Differences(b)
			if (got == "") != (c.says == nil) || (a.Hash == b.Hash) != (c.says == nil) && !old {
				t.Errorf("%s, old %v: %q, hashes %s and %s", name, old, got, a.Hash, b.Hash)
			}
			if strings.Contains(got, "rules 2 and 1") != (old && c.says != nil) {
				t.Errorf("%s, old %v: the rules are not told: %q", name, old, got)
			}
			for _, w := range c.says {
				if !strings.Contains(got, w) {
					t.Errorf("%s: %q does not say %q", name, got, w)
				}
			}
		}
	}
	// A field that later versions add and that is empty changes nothing.
	x, err := result.SiteText([]byte(`{"name":"a","knots":[0],"smooth":false,"against":null,"offset":3}`))
	if y, _ := result.SiteText([]byte(`{"knots":[0.0],"name":"a"}`)); err != nil || x != y {
		t.Errorf("%s and %s, %v", x, y, err)
	}
	if x, _ = result.SiteText([]byte(`{"name":"a","knots":[0],"against":"v"}`)); !strings.Contains(x, "against") {
		t.Errorf("a tensor knot is left out: %s", x)
	}
	if _, err := result.SiteText([]byte(`[]`)); err == nil {
		t.Error("a list is a site")
	}
}

// The manifest has the table, also read from its file.
func TestManifestHasItsSiteTable(t *testing.T) {
	m, err := onnx.Load("../testdata/models/mlp_dynamo.onnx")
	if err != nil {
		t.Fatal(err)
	}
	p, err := Attach(m, AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	mf, err := p.NewManifest(m)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(mf)
	if err != nil {
		t.Fatal(err)
	}
	var read result.Manifest
	if err := json.Unmarshal(b, &read); err != nil {
		t.Fatal(err)
	}
	want, err := result.TableOf(p.Sites)
	if err != nil {
		t.Fatal(err)
	}
	got, err := read.Table()
	if err != nil || got.Hash != want.Hash || got.Rule != 2 || !strings.Contains(string(b), `"sites_rule":2`) {
		t.Errorf("the manifest's table is %+v, want %+v; %v", got, want, err)
	}
	if got.Hash = ""; got.Differences(want) != "" {
		t.Errorf("read without its hash it differs: %s", got.Differences(want))
	}
	plain, err := Plain(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	if mf, err = plain.NewManifest(m); err != nil || mf.SitesRule != 0 || mf.SitesHash != "" {
		t.Errorf("a manifest without sites has rule %d and hash %q; %v", mf.SitesRule, mf.SitesHash, err)
	}
}
