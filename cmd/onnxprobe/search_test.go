package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/encoding"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// searchResult is what search prints with --json.
type searchResult struct {
	On             string
	Bits, Items, K int
	FullBits       int `json:"full_bits"`
	Queries        []struct {
		ID        string
		Neighbors []struct {
			ID, Path   string
			Label      *int64
			Distance   int
			Fraction   float64
			Estimate   *float64
			EstimateSE *float64 `json:"estimate_se"`
		}
	}
}

// sketched runs codes on the digits, and says where.
func sketched(t *testing.T, name string, more ...string) string {
	t.Helper()
	needORT(t)
	path := filepath.Join(t.TempDir(), name)
	stdoutOf(t, with(pictures("codes", resnet, digits), with([]string{"--sketch", "256", "-o", path}, more...)...)...)
	return path
}

func TestSearchFindsTheNearest(t *testing.T) {
	path := sketched(t, "c.parquet")
	var got searchResult
	decode(t, stdoutOf(t, "search", path, "--query", "0/0276.png", "-k", "5", "--on", "code", "--json"), &got)
	all := rows(t, stdoutOf(t, with(pictures("codes", resnet, digits), "-o", "-")...))
	code := func(id string) []byte {
		for _, r := range all {
			if r["id"] == id {
				var b []byte
				fmt.Sscanf(r["code"].(string), "%x", &b)
				return b
			}
		}
		t.Fatalf("no item %q", id)
		return nil
	}
	type hit struct {
		id string
		d  int
	}
	var want []hit
	for _, r := range all {
		if r["id"] != "0/0276.png" {
			want = append(want, hit{r["id"].(string), probes.Hamming(code("0/0276.png"), code(r["id"].(string)))})
		}
	}
	slices.SortStableFunc(want, func(a, b hit) int { return a.d - b.d })
	if got.Bits != 3200 || got.On != encoding.Code || got.Items != 100 || len(got.Queries) != 1 || len(got.Queries[0].Neighbors) != 5 {
		t.Fatalf("%+v", got)
	}
	for i, n := range got.Queries[0].Neighbors {
		if n.ID != want[i].id || n.Distance != want[i].d || n.Estimate != nil || !strings.HasSuffix(n.Path, n.ID) || n.Label == nil || n.Fraction != float64(n.Distance)/3200 {
			t.Errorf("neighbor %d is %+v, want %+v", i, n, want[i])
		}
	}
	// Sketches are what is compared by itself, and say what they estimate.
	decode(t, stdoutOf(t, "search", path, "--query", "0/0276.png", "--query", "1/0312.png", "--json"), &got)
	if got.On != encoding.Sketch || got.Bits != 256 || got.FullBits != 3200 || len(got.Queries) != 2 || got.K != 10 {
		t.Fatalf("%+v", got)
	}
	for _, n := range got.Queries[0].Neighbors {
		full := probes.Hamming(code("0/0276.png"), code(n.ID))
		if e := math.Abs(*n.Estimate - float64(full)); *n.Estimate != float64(n.Distance)*3200/256 || e > 5**n.EstimateSE {
			t.Errorf("%s: %d bits of the sketch make %g ± %g, the codes differ in %d", n.ID, n.Distance, *n.Estimate, *n.EstimateSE, full)
		}
	}
	table := stdoutOf(t, "search", path, "--query", "0/0276.png", "-k", "2")
	if strings.Count(table, "\n") != 4 || !strings.Contains(table, "/256") || !strings.Contains(table, got.Queries[0].Neighbors[0].ID) {
		t.Errorf("the table:\n%s", table)
	}
	// In one linear region there is only the item itself.
	decode(t, stdoutOf(t, "search", path, "--all", "--on", "digest", "--json"), &got)
	if len(got.Queries) != 100 || len(got.Queries[5].Neighbors) != 0 || got.Bits != 128 {
		t.Errorf("on digests: %+v", got.Queries[5])
	}
}

func TestSearchFormatsAgree(t *testing.T) {
	dir := t.TempDir()
	table := sketched(t, "c.parquet")
	want := stdoutOf(t, "search", table, "--all", "-k", "3", "-o", "-")
	if got := rows(t, want); len(got) != 300 || got[0]["query"] != "0/0276.png" || got[0]["id"] == "0/0276.png" || got[2]["rank"] != 3.0 || got[0]["estimate"] == nil {
		t.Fatalf("%d rows, %v", len(got), got[0])
	}
	for _, name := range []string{"c.npy", "c.jsonl"} {
		if got := stdoutOf(t, "search", sketched(t, name), "--all", "-k", "3", "-o", "-"); got != want {
			t.Errorf("of %s other neighbors are found", name)
		}
	}
	// The same items as queries of another file find themselves at distance 0.
	other := sketched(t, "other.jsonl")
	for _, r := range rows(t, stdoutOf(t, "search", table, "--query", other, "-k", "1", "-o", "-")) {
		if r["distance"] != 0.0 || r["query"] != r["id"] {
			t.Errorf("%v", r)
		}
	}
	// The file itself as queries is --all.
	if got := stdoutOf(t, "search", table, "--query", table, "-k", "3", "-o", "-"); got != want {
		t.Error("--query CODES is not --all")
	}
	for _, threads := range []string{"1", "3"} {
		if got := stdoutOf(t, "search", table, "--all", "-k", "3", "-o", "-", "--threads", threads); got != want {
			t.Errorf("%s threads find other neighbors", threads)
		}
	}
	out := filepath.Join(dir, "n.parquet")
	stdoutOf(t, "search", table, "--all", "-k", "3", "-o", out)
	type row struct {
		Query    string  `parquet:"query,optional"`
		ID       string  `parquet:"id,optional"`
		Distance int64   `parquet:"distance,optional"`
		SE       float64 `parquet:"estimate_se,optional"`
	}
	got, err := parquet.ReadFile[row](out)
	if err != nil || len(got) != 300 {
		t.Fatal(err, len(got))
	}
	for i, r := range rows(t, want) {
		if r["query"] != got[i].Query || r["id"] != got[i].ID || r["distance"] != float64(got[i].Distance) || r["estimate_se"] != got[i].SE {
			t.Fatalf("row %d: %v, %+v", i, r, got[i])
		}
	}
	m := readManifest(t, out)
	if m.Kind != "search" || len(m.Inputs) != 1 || m.Inputs[0].Items != 100 {
		t.Fatalf("manifest %+v", m)
	}
	origin, _ := m.Inputs[0].Manifest.(map[string]any)
	if s, _ := origin["settings"].(map[string]any); s["sketch"] != 256.0 {
		t.Errorf("manifest %+v", m)
	}
}

func TestContactSheet(t *testing.T) {
	path := sketched(t, "c.parquet")
	html := filepath.Join(t.TempDir(), "s.html")
	stdoutOf(t, "search", path, "--query", "0/0276.png", "-k", "3", "--plot", html)
	page := slurp(t, html)
	if strings.Count(page, `<figure class="item`) != 4 || strings.Count(page, `href="data:image/`) != 4 || strings.Contains(page, "src=\"http") || !strings.Contains(page, `title="0/0276.png"`) || !strings.Contains(page, " of 256; about ") {
		t.Errorf("the sheet:\n%.2000s", page)
	}
	stdoutOf(t, "dedup", path, "--distance", "0.2", "--plot", html, "--force", "--sheet", "1")
	if page = slurp(t, html); strings.Count(page, `class="strip"`) != 1 || !strings.Contains(page, "data:image/") {
		t.Errorf("the sheet:\n%.2000s", page)
	}
	// The old names of the flags go on working, with a word.
	other := filepath.Join(filepath.Dir(html), "page.htm")
	if r := do("dedup", path, "--html", other, "--quiet"); r.code != 0 || r.messages != "" || !strings.Contains(slurp(t, other), "<html") {
		t.Errorf("--html %s --quiet: exit code %d, says %q", other, r.code, r.messages)
	}
	m, err := result.ReadManifest(result.ManifestPath(html))
	if err != nil || m.Kind != "dedup" || len(m.Inputs) != 1 || m.Settings == nil || m.Summary == nil {
		t.Errorf("the manifest of the page: %+v, %v", m, err)
	}
	if r := do("dedup", path, "--radius", "0.2", "--html", html, "--force"); r.code != 0 ||
		!strings.Contains(r.messages, "--html is --plot now") || !strings.Contains(r.messages, "--radius is --distance now") ||
		strings.Count(slurp(t, html), `class="strip"`) < 2 {
		t.Errorf("old names: exit code %d, %s", r.code, r.messages)
	}
	// A picture that is gone, and a name that would be markup.
	odd := spill(t, filepath.Join(t.TempDir(), "odd.jsonl"), []byte(`{"id":"<b>&","path":"/nowhere/x.png","code":"00"}
{"id":"b","path":"","code":"00"}
{"id":"c","path":"/dev/stdin","code":"01"}
`))
	stdoutOf(t, "dedup", odd, "--distance", "1", "--plot", html, "--force")
	if page = slurp(t, html); strings.Contains(page, "<b>") || !strings.Contains(page, "&lt;b&gt;&amp;") || strings.Contains(page, "<img") || strings.Count(page, `<figure class="item`) != 3 {
		t.Errorf("the sheet:\n%s", page)
	}
	// Elements of an array have pictures too.
	array, _ := digitsArray(t, "resnet_basic")
	codes := filepath.Join(t.TempDir(), "array.parquet")
	stdoutOf(t, with(pictures("codes", resnet, array), "--pixels", "none", "-o", codes)...)
	stdoutOf(t, "search", codes, "--all", "-k", "1", "--plot", html, "--force", "--sheet", "3", "-o", "-")
	if page = slurp(t, html); strings.Count(page, `<details class="picture">`) != 6 || !strings.Contains(page, "The sheet shows 3 of 16 queries") {
		t.Errorf("the sheet of an array:\n%.1000s", page)
	}
}

func TestDedup(t *testing.T) {
	dir := t.TempDir()
	// Items 0, 2 and 5 are in one region, 1 and 4 in another; 3 could not be read.
	// 6 is 1 bit from 0, 7 is 1 bit from 6; two items are called e.
	path := spill(t, filepath.Join(dir, "c.jsonl"), []byte(strings.Join([]string{
		`{"id":"a","status":"ok","digest":"` + strings.Repeat("00", 16) + `","code":{"r1":"0000","r2":"00"}}`,
		`{"id":"b","status":"ok","digest":"` + strings.Repeat("11", 16) + `","code":{"r1":"ffff","r2":"ff"}}`,
		`{"id":"c","status":"ok","digest":"` + strings.Repeat("00", 16) + `","code":{"r1":"0000","r2":"00"}}`,
		`{"id":"d","status":"error","error":"no picture","digest":null,"code":null}`,
		`{"id":"e","status":"ok","digest":"` + strings.Repeat("11", 16) + `","code":{"r1":"ffff","r2":"ff"}}`,
		`{"id":"e","status":"ok","digest":"` + strings.Repeat("00", 16) + `","code":{"r1":"0000","r2":"00"}}`,
		`{"id":"g","status":"ok","digest":"` + strings.Repeat("22", 16) + `","code":{"r1":"0001","r2":"00"}}`,
		`{"id":"h","status":"ok","digest":"` + strings.Repeat("33", 16) + `","code":{"r1":"0001","r2":"80"}}`,
	}, "\n")))
	keepFile := filepath.Join(dir, "keep.txt")
	r := do("dedup", path, "-o", "-", "--keep", keepFile)
	if r.code != 0 || !strings.Contains(r.messages, "7 items: 5 in 2 groups of equal codes; without 3 duplicates 4 are left; 1 more without a digest") {
		t.Errorf("ends with %d: %s", r.code, r.messages)
	}
	got := rows(t, r.stdout)
	var said []string
	for _, g := range got {
		said = append(said, fmt.Sprintln(g["group"], g["size"], g["id"], g["keep"], g["distance"]))
	}
	if want := []string{"0 3 a true 0\n", "0 3 c false 0\n", "0 3 e false 0\n", "1 2 b true 0\n", "1 2 e false 0\n"}; !slices.Equal(said, want) {
		t.Errorf("groups %q", said)
	}
	if text := slurp(t, keepFile); text != "a\nb\ng\nh\n" {
		t.Errorf("kept %q", text)
	}
	var out struct {
		encoding.GroupSummary
		Members [][]struct {
			ID       string
			Distance int
		}
	}
	decode(t, stdoutOf(t, "dedup", path, "--distance", "1", "--json"), &out)
	if out.Groups != 2 || out.Grouped != 7 || out.Duplicates != 5 || out.Kept != 2 || out.Failed != 1 || out.On != encoding.Code || out.Radius != 1 || out.Bits != 24 {
		t.Errorf("%+v", out)
	}
	if m := out.Members[0]; len(m) != 5 || m[4].ID != "h" || m[4].Distance != 2 {
		t.Errorf("the first group is %+v", m)
	}
	decode(t, stdoutOf(t, "dedup", path, "--distance", "0.05", "--json"), &out)
	if out.Radius != 1 {
		t.Errorf("5 %% of 24 bits are %d", out.Radius)
	}
	if table := stdoutOf(t, "dedup", path); strings.Count(table, "\n") != 3 || !strings.Contains(table, "a  c  e") {
		t.Errorf("the table:\n%s", table)
	}
	parquetFile := filepath.Join(dir, "g.parquet")
	stdoutOf(t, "dedup", path, "-o", parquetFile)
	type row struct {
		Group int64  `parquet:"group,optional"`
		ID    string `parquet:"id,optional"`
		Keep  bool   `parquet:"keep,optional"`
	}
	if table, err := parquet.ReadFile[row](parquetFile); err != nil || len(table) != 5 || table[3] != (row{1, "b", true}) {
		t.Errorf("%+v, %v", table, err)
	}
	// Two items of one name are two queries.
	if r := do("search", path, "--query", "e", "-k", "1", "-o", "-"); r.code != 0 || len(rows(t, r.stdout)) != 2 || !strings.Contains(r.messages, `2 items are called "e"`) {
		t.Errorf("%+v", r)
	}
}

func TestSearchAndDedupEndings(t *testing.T) {
	dir := t.TempDir()
	c := sketched(t, "c.parquet")
	seed, size := sketched(t, "seed.parquet", "--seed", "3"), filepath.Join(dir, "size.parquet")
	stdoutOf(t, with(pictures("codes", resnet, digits), "--sketch", "128", "-o", size)...)
	model := filepath.Join(dir, "model.parquet")
	stdoutOf(t, with(pictures("codes", cnn, digits), "--sketch", "256", "-o", model)...)
	fewer := filepath.Join(dir, "sites.parquet")
	stdoutOf(t, with(pictures("codes", resnet, digits), "--sketch", "256", "--sites", "layer1*", "-o", fewer)...)
	digest := filepath.Join(dir, "digest.parquet")
	stdoutOf(t, with(pictures("codes", resnet, digits), "--no-code", "-o", digest)...)
	failed := spill(t, filepath.Join(dir, "failed.jsonl"), []byte(`{"id":"a","status":"error","error":"it is a GIF of a cat","sketch":null}
{"id":"b","status":"ok","sketch":"00ff"}`))
	damaged := spill(t, filepath.Join(dir, "damaged.parquet"), []byte(slurp(t, c))[:30_000])
	cut := spill(t, filepath.Join(dir, "cut.faiss"), []byte("IBxF\x10\x00\x00\x00"))
	array := saveArray(t, filepath.Join(dir, "a.npy"), tensor.Of([]float32{1, 2}, 1, 2))
	table := spill(t, filepath.Join(dir, "t.csv"), []byte("a,b\n"))
	exists := spill(t, filepath.Join(dir, "exists.jsonl"), nil)
	spill(t, exists+".svg", nil)
	q := []string{"search", c, "--query", "0/0276.png"}
	alien := filepath.Join(dir, "alien.png")
	gradient(t, alien, 8, 8)
	for _, x := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no codes", []string{"search"}, 2, "one result"},
		{"no query", []string{"search", c}, 2, "--query ITEM"},
		{"query and all", with(q, "--all"), 2, "not both"},
		{"no neighbors", with(q, "-k", "0"), 2, "-k 0"},
		{"a picture that is not in it", []string{"search", c, "--query", alien}, 2, "onnxprobe codes MODEL " + alien + " ... -o query.parquet"},
		{"unknown item", []string{"search", c, "--query", "nope"}, 2, `it has 100 items, such as "0/0276.png"`},
		{"a file among items", []string{"search", c, "--query", "0/0276.png", "--query", seed}, 2, "stands alone"},
		{"unknown kind", with(q, "--on", "bits"), 2, "sketch, code, channels, digest"},
		{"array of results", with(q, "-o", filepath.Join(dir, "x.npy")), 2, "no array"},
		{"unknown format", with(q, "-o", filepath.Join(dir, "x.txt")), 2, "names no format"},
		{"result exists", with(q, "-o", exists), 2, "--force"},
		{"plot exists", with(q, "--plot", exists+".svg"), 2, "--force"},
		{"over its input", with(q, "-o", c, "--force"), 2, "made from"},
		{"threads", with(q, "--threads", "-1"), 2, "--threads"},
		{"memory", with(q, "--memory", "0"), 2, "--memory"},
		{"too little memory", with(q, "--memory", "0.000001"), 1, "raise --memory"},
		{"other seed", []string{"search", c, "--query", seed}, 1, "the seed that chose the sketch's bits (0 and 3)"},
		{"other size", []string{"search", c, "--query", size}, 1, "the size of the sketch (256 and 128 bits)"},
		{"other model", []string{"search", c, "--query", model}, 1, "the model"},
		{"other sites", []string{"search", c, "--query", fewer}, 1, "the sites"},
		{"other seed, whole codes", []string{"search", c, "--query", seed, "--on", "code", "-o", "-"}, 0, ""},
		{"no sketch", []string{"search", digest, "--all", "--on", "sketch"}, 1, "they have: digest"},
		{"failed query", []string{"search", failed, "--query", "a"}, 1, "a GIF of a cat"},
		{"one item", []string{"search", failed, "--query", "b"}, 0, "1 of 2 items"},
		{"damaged", []string{"search", damaged, "--all"}, 1, "damaged.parquet"},
		{"cut", []string{"dedup", cut}, 1, "cut short"},
		{"no array of codes", []string{"dedup", array}, 1, "uint8"},
		{"no format", []string{"dedup", table}, 1, ".csv"},
		{"missing", []string{"dedup", filepath.Join(dir, "missing.npy")}, 1, "no such file"},
		{"no duplicates", []string{"dedup", c}, 0, "100 items: 0 in 0 groups"},
		{"radius of digests", []string{"dedup", digest, "--distance", "2"}, 1, "digests only"},
		{"radius on digests", []string{"dedup", c, "--distance", "2", "--on", "digest"}, 2, "digests are equal or not"},
		{"negative radius", []string{"dedup", c, "--distance", "-1"}, 2, "--distance"},
		{"radius of all bits", []string{"dedup", c, "--distance", "300", "--on", "sketch"}, 2, "cannot differ in more"},
		{"radius of all", []string{"dedup", c, "--distance", "1.5"}, 2, "fraction"},
		{"radius in words", []string{"dedup", c, "--distance", "few"}, 2, "--distance"},
		{"keep exists", []string{"dedup", c, "--keep", exists}, 2, "--force"},
		{"keep over input", []string{"dedup", c, "--keep", c, "--force"}, 2, "made from"},
		{"one file twice", []string{"dedup", c, "--keep", filepath.Join(dir, "o.jsonl"), "-o", filepath.Join(dir, "o.jsonl")}, 2, "one file"},
		{"empty file", []string{"dedup", exists}, 0, "0 items"},
		{"help", []string{"search", "--help"}, 0, ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := do(x.args...)
			if r.code != x.code || !strings.Contains(r.messages, x.want) {
				t.Errorf("ends with %d, want %d: %s; want %q", r.code, x.code, r.messages, x.want)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, "o.jsonl")); err == nil {
		t.Error("a result of a wrong command line")
	}
}

// A FAISS file has no names: rows are.
func TestSearchFaissFile(t *testing.T) {
	table := sketched(t, "c.parquet")
	c, err := encoding.Open(table, encoding.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.faiss")
	f, err := os.Create(path)
	if err == nil {
		err = c.WriteFaiss(f)
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	r := do("search", path, "--query", "17", "-k", "3", "-o", "-")
	byName := rows(t, stdoutOf(t, "search", table, "--query", c.ID(17), "-k", "3", "-o", "-"))
	for i, g := range rows(t, r.stdout) {
		var row int
		fmt.Sscan(g["id"].(string), &row)
		if c.ID(row) != byName[i]["id"] || g["distance"] != byName[i]["distance"] {
			t.Errorf("neighbor %d: %v, by name %v", i, g, byName[i])
		}
	}
	if r := do("search", path, "--query", table, "-k", "3", "-o", "-"); r.code != 0 || !strings.Contains(r.messages, "without manifests") {
		t.Errorf("ends with %d: %s", r.code, r.messages)
	}
}
