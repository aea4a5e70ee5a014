package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// tarOf packs members, given as pairs of name and content.
func tarOf(t testing.TB, members ...[2]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		if err := w.WriteHeader(&tar.Header{Name: m[0], Mode: 0o644, Size: int64(len(m[1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(m[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// hfRow is a row as Hugging Face writes it, with a second column of pictures.
type hfRow struct {
	Image hfImage `parquet:"image"`
	Other []byte  `parquet:"other"`
	Label int64   `parquet:"label"`
}

type hfImage struct {
	Bytes []byte `parquet:"bytes"`
	Path  string `parquet:"path"`
}

func parquetOf(t testing.TB, rows []hfRow) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[hfRow](&b)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// somePictures are five of the digits: paths, labels and contents.
func somePictures(t testing.TB) (paths, labels, contents []string) {
	t.Helper()
	for _, p := range []string{"0/0276.png", "1/0137.png", "3/0213.png", "9/1176.png", "9/1176.png"} {
		path := filepath.Join(digits, p)
		if _, err := os.Stat(path); err != nil {
			found, _ := filepath.Glob(filepath.Join(digits, filepath.Dir(p), "*.png"))
			path = found[0]
		}
		paths, labels, contents = append(paths, path), append(labels, filepath.Dir(p)), append(contents, slurp(t, path))
	}
	return paths, labels, contents
}

// Every kind of source gives a job the codes and labels of the same pictures as files,
// and --column chooses which of several pictures.
func TestHashSources(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	paths, labels, contents := somePictures(t)
	want := rows(t, stdoutOf(t, with([]string{"codes", resnet}, append(paths, "--preprocess", "mnist-01", "-o", "-")...)...))
	var members, others [][2]string
	var hf, bare []hfRow
	var csv, jsonl, columns strings.Builder
	csv.WriteString("path,label\n")
	columns.WriteString("first,second,label\n")
	for i := range paths {
		key, last := fmt.Sprintf("%03d", i), len(paths)-1-i
		absolute, _ := filepath.Abs(paths[i])
		mirrored, _ := filepath.Abs(paths[last])
		members = append(members, [2]string{key + ".png", contents[i]}, [2]string{key + ".cls", labels[i]})
		others = append(others, [2]string{key + ".a.png", contents[last]}, [2]string{key + ".b.png", contents[i]}, [2]string{key + ".cls", labels[i]})
		var label int64
		fmt.Sscan(labels[i], &label)
		hf = append(hf, hfRow{hfImage{[]byte(contents[i]), "inner/" + key + ".png"}, []byte(contents[last]), label})
		bare = append(bare, hfRow{hfImage{[]byte(contents[last]), ""}, []byte(contents[i]), label})
		fmt.Fprintf(&csv, "%s,%s\n", absolute, labels[i])
		fmt.Fprintf(&columns, "%s,%s,%s\n", mirrored, absolute, labels[i])
		fmt.Fprintf(&jsonl, "{\"file_name\":%q,\"label\":%s}\n", absolute, labels[i])
	}
	for _, c := range []struct {
		name, column string
		content      []byte
	}{
		{"plain.tar", "", tarOf(t, members...)}, {"two.tar", "b.png", tarOf(t, others...)},
		{"hf.parquet", "", parquetOf(t, hf)}, {"named.parquet", "image", parquetOf(t, hf)}, {"other.parquet", "other", parquetOf(t, bare)},
		{"list.csv", "", []byte(csv.String())}, {"columns.csv", "second", []byte(columns.String())}, {"list.jsonl", "", []byte(jsonl.String())},
	} {
		from, out := spill(t, filepath.Join(dir, c.name), c.content), filepath.Join(dir, c.name+".job")
		args := []string{"hash", resnet, from, "--preprocess", "mnist-01", "--shard-size", "2", "--output-format", "jsonl", "-o", out}
		if c.column != "" {
			args = append(args, "--column", c.column)
		}
		stdoutOf(t, planOf(args)...)
		stdoutOf(t, "hash", "run", out)
		stdoutOf(t, "hash", "finish", out)
		stdoutOf(t, args...) // is the same job
		var got []map[string]any
		for _, name := range list(t, out) {
			if strings.HasSuffix(name, ".jsonl") {
				got = append(got, rows(t, slurp(t, filepath.Join(out, name)))...)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d rows, want %d", c.name, len(got), len(want))
			continue
		}
		for i, r := range got {
			if r["digest"] != want[i]["digest"] || r["status"] != "ok" || fmt.Sprint(r["label"]) != labels[i] {
				t.Errorf("%s: row %d is %v; want the label %s and digest %v", c.name, i, r, labels[i], want[i]["digest"])
			}
		}
		if c.column == "" {
			continue
		}
		args[len(args)-1] = "nothing"
		if r := do(with(args, "--mode", "overwrite")...); r.code == 0 {
			t.Errorf("%s: the column %q, which is not there, is taken", c.name, "nothing")
		}
	}
	// What changes in a file that holds its items is seen, though these have paths of their own.
	out := filepath.Join(dir, "changed")
	from := filepath.Join(dir, "hf.parquet")
	stdoutOf(t, "hash", "plan", resnet, from, "--preprocess", "mnist-01", "-o", out)
	spill(t, from, parquetOf(t, append(hf[1:len(hf):len(hf)], hf[0])))
	if r := do("hash", "run", out); r.code != exitFailed || !strings.Contains(r.messages, from) {
		t.Errorf("a Parquet file that was written again: exit code %d\n%s", r.code, r.messages)
	}
}

// Random points are a job like any other: in shards, the same as codes gives, and told
// apart by their seed and bounds.
func TestHashRandom(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	args := func(out string, more ...string) []string {
		return with([]string{"hash", mlp, "--random", "25", "--low", "-1", "--seed", "3", "--shard-size", "10", "--output-format", "jsonl", "-o", out}, more...)
	}
	out := filepath.Join(dir, "job")
	stdoutOf(t, planOf(args(out))...)
	stdoutOf(t, "hash", "run", out, "--shard", "1/2")
	stdoutOf(t, args(out)...)
	var got []map[string]any
	for i := range 3 {
		got = append(got, rows(t, slurp(t, filepath.Join(out, fmt.Sprintf("%05d.jsonl", i))))...)
	}
	want := rows(t, stdoutOf(t, "codes", mlp, "--random", "25", "--low", "-1", "--seed", "3", "-o", "-"))
	if len(got) != 25 {
		t.Fatalf("%d rows, want 25", len(got))
	}
	for i, r := range got {
		if r["digest"] != want[i]["digest"] || r["id"] != fmt.Sprintf("random[%d]", i) {
			t.Errorf("row %d is %v, codes says %v", i, r, want[i])
		}
	}
	if m := slurp(t, filepath.Join(out, "manifest.json")); !strings.Contains(m, "uniform in [-1, 1), seed 3") {
		t.Error("the manifest does not say what the points are")
	}
	for _, more := range [][]string{{"--seed", "4"}, {"--high", "2"}, {"--random", "24"}} {
		if r := do(args(out, more...)...); r.code != exitUsage || !strings.Contains(r.messages, "holds the plan of another job") {
			t.Errorf("%q goes on with another job: exit code %d\n%s", more, r.code, r.messages)
		}
	}
	for _, more := range [][]string{{"--mode", "extend"}, {digits}, {"--low", "1"}} {
		if r := do(args(filepath.Join(dir, "no"), more...)...); r.code != exitUsage {
			t.Errorf("%q: exit code %d, want 2\n%s", more, r.code, r.messages)
		}
	}
}
