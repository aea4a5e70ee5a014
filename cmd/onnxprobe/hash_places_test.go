package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	jobs "github.com/onnxprobe/onnxprobe/probes/job"
)

// pureJob is a small job that needs no library.
func pureJob(dir string, more ...string) []string {
	return with([]string{"hash", mlp, digits + "/3", digits + "/5", "--preprocess", "mnist-01", "--backend", "gorgonia", "--faiss", "--shard-size", "5", "-o", dir}, more...)
}

// place makes a folder with a model and pictures in it, and is its path.
func place(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	duplicate(t, mlp, filepath.Join(dir, "in/model.onnx"))
	for _, name := range list(t, digits+"/3") {
		duplicate(t, filepath.Join(digits, "3", name), filepath.Join(dir, "in/pics/3", name))
		duplicate(t, filepath.Join(digits, "3", name), filepath.Join(dir, "job/pics/3", name))
	}
	duplicate(t, mlp, filepath.Join(dir, "job/model.onnx"))
	return dir
}

// A plan made with relative paths runs from any folder, and moves with what lies below it;
// rows name files as they were given, wherever it ran.
func TestHashFromAnywhere(t *testing.T) {
	flags := []string{"--preprocess", "mnist-01", "--backend", "gorgonia", "--output-format", "jsonl", "--shard-size", "4"}
	for name, data := range map[string][]string{"a folder": {"DIR/pics"}, "pictures": {"DIR/pics/3/0213.png", "DIR/pics/3/0231.png", "DIR/pics/3/0649.png"}, "globs": {"DIR/pics/*/*"}} {
		for _, from := range []string{"in", "job"} {
			t.Run(name+" from "+from, func(t *testing.T) {
				dir := place(t)
				t.Chdir(dir)
				var args []string
				for _, d := range append([]string{"DIR/model.onnx"}, data...) {
					args = append(args, strings.Replace(d, "DIR", from, 1))
				}
				want := filepath.Join(t.TempDir(), "want")
				stdoutOf(t, with(append([]string{"hash"}, args...), append(flags, "-o", want)...)...)
				if from == "in" {
					for _, inside := range []string{"model.onnx", "pics"} { // another's
						if err := os.RemoveAll(filepath.Join("job", inside)); err != nil {
							t.Fatal(err)
						}
					}
				}
				stdoutOf(t, with(append([]string{"hash", "plan"}, args...), append(flags, "-o", "job")...)...)
				now := filepath.Join(dir, "job")
				if from == "job" { // all that it needs is below it
					now = filepath.Join(t.TempDir(), "moved")
					if err := os.Rename("job", now); err != nil {
						t.Fatal(err)
					}
				}
				t.Chdir(t.TempDir())
				stdoutOf(t, "hash", "run", now, "--backend", "gorgonia")
				stdoutOf(t, "hash", "finish", now)
				for _, f := range list(t, want) {
					if strings.HasSuffix(f, ".jsonl") && slurp(t, filepath.Join(want, f)) != slurp(t, filepath.Join(now, f)) {
						t.Errorf("%s differs", f)
					}
				}
				var plan struct {
					Lies map[string]string `json:"lies_at"`
				}
				if err := json.Unmarshal([]byte(slurp(t, filepath.Join(now, "plan.json"))), &plan); err != nil {
					t.Fatal(err)
				}
				at, ok := plan.Lies[from+"/model.onnx"]
				if !ok || from == "job" && at != "model.onnx" || from == "in" && at != filepath.Join(dir, "in/model.onnx") {
					t.Errorf("the plan says that paths lie at %v", plan.Lies)
				}
				// search shows the items' pictures, which are found by the plan.
				if got := stdoutOf(t, "search", now, "--all", "--json"); !strings.Contains(got, from+"/pics/3") && !strings.Contains(got, "0213.png") {
					t.Errorf("search gives %.300s", got)
				}
				stdoutOf(t, "hash", "verify", now)
			})
		}
	}
}

// What cannot be reached ends a run with 2, and one line that says so to whoever reads lines.
func TestHashUnreachable(t *testing.T) {
	for what, gone := range map[string]string{"the pictures": "in/pics", "the model": "in/model.onnx"} {
		dir := place(t)
		job := filepath.Join(dir, "new")
		stdoutOf(t, "hash", "plan", filepath.Join(dir, "in/model.onnx"), filepath.Join(dir, "in/pics"), "--preprocess", "mnist-01", "--backend", "gorgonia", "-o", job)
		if err := os.Rename(filepath.Join(dir, gone), filepath.Join(dir, "away")); err != nil {
			t.Fatal(err)
		}
		for _, flag := range []string{"--json", "--stdin", "--quiet"} {
			r := do("hash", "run", job, "--backend", "gorgonia", flag)
			if r.code != exitUsage || !strings.Contains(r.messages, gone+" cannot be reached") {
				t.Errorf("%s: %s: exit code %d\n%s", what, flag, r.code, r.messages)
			}
			var line struct{ Unreachable, Error string }
			if err := json.Unmarshal([]byte(r.stdout), &line); flag != "--quiet" && (err != nil || !strings.HasSuffix(line.Unreachable, gone) || line.Error == "") {
				t.Errorf("%s: %s: stdout is %q: %v", what, flag, r.stdout, err)
			}
		}
		if err := os.Rename(filepath.Join(dir, "away"), filepath.Join(dir, gone)); err != nil {
			t.Fatal(err)
		}
		stdoutOf(t, "hash", "run", job, "--backend", "gorgonia")
	}
}

// A folder with other things in it is not made a job's.
func TestHashNeedsItsFolder(t *testing.T) {
	for what, c := range map[string]struct {
		files []string
		data  func(dir string) []string
		code  int
	}{
		"pictures":             {[]string{"a.png", "b.png"}, func(dir string) []string { return []string{dir} }, exitUsage},
		"pictures one by one":  {[]string{"a.png"}, func(dir string) []string { return []string{dir + "/a.png"} }, exitUsage},
		"notes":                {[]string{"notes.txt"}, func(string) []string { return []string{digits + "/3"} }, exitUsage},
		"a folder":             {[]string{"other/a.png"}, func(string) []string { return []string{digits + "/3"} }, exitUsage},
		"its own pictures":     {[]string{"pics/a.png"}, func(dir string) []string { return []string{dir + "/pics"} }, exitDone},
		"nothing":              {nil, func(string) []string { return []string{digits + "/3"} }, exitDone},
		"hidden, and a disk's": {[]string{".DS_Store", "lost+found/x"}, func(string) []string { return []string{digits + "/3"} }, exitDone},
		"names like ours":      {[]string{"00000.parquet", "00000_stats.json", "manifest.json", "_SUCCESS"}, func(string) []string { return []string{digits + "/3"} }, exitUsage},
		"another's frame":      {[]string{"frame.npy"}, func(string) []string { return []string{digits + "/3"} }, exitUsage},
		"drafts":               {[]string{".plan.json.0123456789abcdef.tmp"}, func(string) []string { return []string{digits + "/3"} }, exitDone},
	} {
		dir := t.TempDir()
		for _, f := range c.files {
			duplicate(t, digits+"/3/0213.png", filepath.Join(dir, f))
		}
		before := list(t, dir)
		for _, mode := range []string{"overwrite", "incremental"} {
			if c.code == exitUsage {
				if r := do(with(append([]string{"hash", "plan", mlp}, c.data(dir)...), "--preprocess", "mnist-01", "--mode", mode, "-o", dir)...); r.code != exitUsage {
					t.Errorf("%s: --mode %s: exit code %d\n%s", what, mode, r.code, r.messages)
				}
			}
		}
		r := do(with(append([]string{"hash", mlp}, c.data(dir)...), "--preprocess", "mnist-01", "--backend", "gorgonia", "-o", dir)...)
		if r.code != c.code || c.code != exitDone && !strings.Contains(r.messages, "holds other things than a job") {
			t.Errorf("%s: exit code %d, want %d\n%s", what, r.code, c.code, r.messages)
		}
		if c.code != exitDone && !slices.Equal(list(t, dir), before) {
			t.Errorf("%s: it left %q", what, list(t, dir))
		}
	}
}

// Rows that an earlier version made of faults of the machine are made again.
func TestHashRetryErrors(t *testing.T) {
	dir, want := filepath.Join(t.TempDir(), "job"), filepath.Join(t.TempDir(), "want")
	for _, d := range []string{dir, want} {
		stdoutOf(t, pureJob(d, "--output-format", "jsonl")...)
	}
	spoil := func(shard int, message string) {
		t.Helper()
		path := filepath.Join(dir, fmt.Sprintf("%05d.jsonl", shard))
		lines := strings.SplitAfter(slurp(t, path), "\n")
		lines[1] = fmt.Sprintf(`{"id":"x","status":"error","error":%q}`+"\n", message)
		text := strings.Join(lines, "")
		spill(t, path, []byte(text))
		record := filepath.Join(dir, fmt.Sprintf("%05d_stats.json", shard))
		var r map[string]any
		if err := json.Unmarshal([]byte(slurp(t, record)), &r); err != nil {
			t.Fatal(err)
		}
		delete(r, "sum") // as earlier versions wrote it
		r["failed"] = 1
		for _, f := range r["files"].([]any) {
			if f := f.(map[string]any); f["name"] == filepath.Base(path) {
				f["bytes"], f["sha256"] = len(text), fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
			}
		}
		b, _ := json.MarshalIndent(r, "", " ")
		spill(t, record, b)
	}
	for reason, c := range map[string]struct {
		messages []string
		again    int
	}{
		"too many open files":  {[]string{`reading image "a.png": too many open files`, "not a PNG"}, 1},
		"machine":              {[]string{`reading image "a.png": too many open files`, `reading image "b.png": ` + syscall.ESTALE.Error()}, 2},
		syscall.ESTALE.Error(): {[]string{`reading image "a.png": too many open files`, `reading image "b.png": ` + syscall.ESTALE.Error()}, 1},
	} {
		for i, m := range c.messages {
			spoil(i, m)
		}
		got := stdoutOf(t, "hash", "run", dir, "--backend", "gorgonia", "--json", "--retry-errors", reason)
		if n := strings.Count(got, "\n") - strings.Count(got, `"skipped":true`); n != c.again {
			t.Errorf("%s: %d shards were made again, want %d:\n%s", reason, n, c.again, got)
		}
		if slices.Contains(list(t, dir), "_SUCCESS") {
			t.Errorf("%s: the job still counts as finished", reason)
		}
		if r := do("hash", "run", dir, "--backend", "gorgonia", "--retry-errors", ""); r.code != exitUsage {
			t.Errorf("no reason: exit code %d\n%s", r.code, r.messages)
		}
		stdoutOf(t, "hash", "run", dir, "--backend", "gorgonia", "--retry-errors", " ")
		if do("hash", "finish", dir); reason == "machine" {
			stdoutOf(t, "hash", "finish", dir)
			sameTree(t, dir, want)
		}
	}
}

// How many items a shard has comes of their number alone.
func TestShardSizes(t *testing.T) {
	for items, want := range map[int]int{1: 16, 100: 16, 1024: 16, 1025: 17, 3663: 58, 100_000: 1563, 640_000: 10_000, 5_000_000: 10_000} {
		if got := jobs.ShardSize(items); got != want {
			t.Errorf("%d items: %d in a shard, want %d", items, got, want)
		}
	}
	dir := filepath.Join(t.TempDir(), "job")
	args := []string{"hash", "plan", mlp, "--random", "3663", "--backend", "gorgonia", "-o", dir}
	r := do(args...)
	if r.code != exitDone || !regexp.MustCompile(`3,663 items in 64 shards of at most 58`).MatchString(r.messages) {
		t.Errorf("exit code %d\n%s", r.code, r.messages)
	}
	// A job that another version cut otherwise goes on as it was.
	dir = filepath.Join(t.TempDir(), "old")
	stdoutOf(t, with(args[:len(args)-1], dir, "--shard-size", "1000")...)
	if r := do(with(args[:len(args)-1], dir)...); r.code != exitDone || !strings.Contains(r.messages, "in 4 shards") {
		t.Errorf("an older plan: exit code %d\n%s", r.code, r.messages)
	}
	if r := do(with(args[:len(args)-1], dir, "--shard-size", "10")...); r.code != exitUsage {
		t.Errorf("asked for otherwise: exit code %d\n%s", r.code, r.messages)
	}
	if _, err := jobs.Load(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// A job of which no item can be read ends with 1 and says why, and leaves no arrays; rows
// that say so stay.
func TestHashAllFailed(t *testing.T) {
	dir := t.TempDir()
	data := spill(t, filepath.Join(dir, "list.csv"), []byte("a.png\nb.png\n"))
	for format, stays := range map[string]bool{"npy": false, "parquet": true, "jsonl": true} {
		job := filepath.Join(dir, format)
		r := do("hash", mlp, data, "--preprocess", "mnist-01", "--backend", "gorgonia", "--output-format", format, "-o", job)
		if r.code != exitFailed || strings.Count(r.messages, "none of 2 items could be used: reading image") != 1 {
			t.Errorf("%s: exit code %d\n%s", format, r.code, r.messages)
		}
		if slices.Contains(list(t, job), "00000."+format) != stays || slices.Contains(list(t, job), "_SUCCESS") != stays {
			t.Errorf("%s: there are %q", format, list(t, job))
		}
	}
}

// A folder with another program's _SUCCESS is no job, and a file that is not the job's is
// named and stays.
func TestVerifyTouchesNothingElse(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"_SUCCESS", "part-0000.parquet"} {
		spill(t, filepath.Join(dir, f), nil)
	}
	if r := do("hash", "verify", dir); r.code != exitFailed || !strings.Contains(r.messages, "holds no job") || len(list(t, dir)) != 2 {
		t.Errorf("exit code %d, %q\n%s", r.code, list(t, dir), r.messages)
	}
	job := filepath.Join(t.TempDir(), "job")
	stdoutOf(t, "hash", mlp, digits+"/3", "--preprocess", "mnist-01", "--backend", "gorgonia", "-o", job)
	mine := spill(t, filepath.Join(job, "sketches.faiss"), []byte("mine"))
	if r := do("hash", "verify", job); r.code != exitFailed || !strings.Contains(r.messages, "sketches.faiss: it is not of this job") || slurp(t, mine) != "mine" {
		t.Errorf("exit code %d\n%s", r.code, r.messages)
	}
	// A plan of another version may be right: nothing is changed.
	os.Remove(mine)
	stdoutOf(t, "hash", "finish", job)
	plan := filepath.Join(job, "plan.json")
	spill(t, plan, []byte(strings.Replace(slurp(t, plan), `"layout": 1`, `"layout": 2`, 1)))
	if r := do("hash", "verify", job); r.code != exitFailed || !strings.Contains(r.messages, "nothing was changed") || !slices.Contains(list(t, job), "_SUCCESS") {
		t.Errorf("another version: exit code %d\n%s", r.code, r.messages)
	}
}

// A plan.json of another program is not a job's, also where a job is to be overwritten; a
// damaged one is.
func TestOverwriteOnlyJobs(t *testing.T) {
	dir := t.TempDir()
	args := []string{"hash", mlp, digits + "/3", "--preprocess", "mnist-01", "--backend", "gorgonia", "--mode", "overwrite", "-o", dir}
	other := spill(t, filepath.Join(dir, "plan.json"), []byte(`{"format_version": "1.2"}`))
	mine := spill(t, filepath.Join(dir, "manifest.json"), []byte("{}"))
	if r := do(args...); r.code != exitUsage || !strings.Contains(r.messages, "holds other things than a job (plan.json)") || slurp(t, mine) != "{}" || slurp(t, other) == "" {
		t.Errorf("exit code %d\n%s", r.code, r.messages)
	}
	os.Remove(other)
	os.Remove(mine)
	stdoutOf(t, args...)
	b := slurp(t, other)
	spill(t, other, []byte(b[:len(b)/2]))
	stdoutOf(t, args...)
	stdoutOf(t, "hash", "verify", dir)
}

// Extensions at once lose nothing, and a finish with the plan from before one does not
// end well, nor harm it.
func TestHashExtendedMeanwhile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "job")
	args := []string{"hash", "plan", mlp, digits + "/3", "--preprocess", "mnist-01", "--backend", "gorgonia", "--shard-size", "5", "-o", dir}
	stdoutOf(t, args...)
	before, err := jobs.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	stdoutOf(t, "hash", "run", dir, "--backend", "gorgonia")
	done := make(chan outcome, 4)
	for _, d := range []string{"/0", "/1", "/2", "/4"} {
		go func() { done <- do(with(args, digits+d, "--mode", "extend")...) }()
	}
	for range 4 {
		if r := <-done; r.code != exitDone {
			t.Errorf("exit code %d\n%s", r.code, r.messages)
		}
	}
	if _, err := before.Finish(false, nil); err == nil || !strings.Contains(err.Error(), "was extended") {
		t.Errorf("finishing the plan from before: %v", err)
	}
	stdoutOf(t, "hash", "run", dir, "--backend", "gorgonia")
	stdoutOf(t, "hash", "finish", dir)
	if p, err := jobs.Load(dir); err != nil || p.Items != 50 {
		t.Errorf("%d items, want 50: %v", p.Items, err)
	}
	stdoutOf(t, "hash", "verify", dir)
}

// A project that was moved with its job beside its inputs goes on by the command that
// planned it, given from the new place; and that command makes an edited plan whole again.
func TestHashMovedProject(t *testing.T) {
	top := t.TempDir()
	old, moved := filepath.Join(top, "old"), filepath.Join(top, "new")
	duplicate(t, mlp, filepath.Join(old, "model.onnx"))
	for _, name := range list(t, digits+"/3") {
		duplicate(t, filepath.Join(digits, "3", name), filepath.Join(old, "pics", name))
	}
	args := []string{"hash", "plan", "model.onnx", "pics", "--preprocess", "mnist-01", "--backend", "gorgonia", "--shard-size", "4", "--ignore-mtime", "-o", "job"}
	t.Chdir(old)
	stdoutOf(t, args...)
	stdoutOf(t, "hash", "run", "job", "--backend", "gorgonia", "--shard", "0/2")
	t.Chdir(top)
	if err := os.Rename(old, moved); err != nil {
		t.Fatal(err)
	}
	t.Chdir(moved)
	if r := do("hash", "run", "job", "--backend", "gorgonia"); r.code != exitUsage || !strings.Contains(r.messages, "model.onnx cannot be reached") {
		t.Errorf("before it is planned again: exit code %d\n%s", r.code, r.messages)
	}
	stdoutOf(t, args...)
	if got := stdoutOf(t, "hash", "run", "job", "--backend", "gorgonia", "--json"); strings.Count(got, `"skipped":true`) != 2 {
		t.Errorf("the shards that were done:\n%s", got)
	}
	stdoutOf(t, "hash", "finish", "job")
	stdoutOf(t, "hash", "verify", "job")

	spill(t, "job/plan.json", []byte(slurp(t, "job/plan.json")+"\n"))
	for _, step := range []string{"verify", "finish"} {
		if r := do("hash", step, "job"); r.code != exitFailed || !strings.Contains(r.messages, "plan.json: it was changed since it was written") {
			t.Errorf("%s of an edited plan: exit code %d\n%s", step, r.code, r.messages)
		}
	}
	stdoutOf(t, args...)
	stdoutOf(t, "hash", "finish", "job")
	stdoutOf(t, "hash", "verify", "job")
}
