package job

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/internal/store"
	"github.com/onnxprobe/onnxprobe/probes/internal/storetest"
)

// kit is what makes small jobs that have every kind of file.
type kit struct {
	model  *onnx.Model
	probed *probes.Plan
	frame  *probes.Frame
	data   func() (dataset.Dataset, error)
	format string
}

func newKit(t *testing.T, format string) *kit {
	t.Helper()
	k := &kit{format: format}
	var err error
	if k.model, err = onnx.Load("../../testdata/models/mlp_dynamo.onnx"); err != nil {
		t.Fatal(err)
	}
	if k.probed, err = probes.Attach(k.model, probes.AttachOptions{}); err != nil {
		t.Fatal(err)
	}
	if k.frame, err = probes.NewFrame(2, 64, 1); err != nil {
		t.Fatal(err)
	}
	pre, err := picture.ParsePreprocess("mnist-01")
	if err != nil {
		t.Fatal(err)
	}
	k.data = func() (dataset.Dataset, error) {
		return dataset.Open([]string{"../../testdata/images/digits/3"}, dataset.Options{Preprocess: &pre, Input: k.probed.Fit.Sample})
	}
	return k
}

// plan is the plan of such a job, of two shards.
func (k *kit) plan() (*Plan, error) {
	pre, err := picture.ParsePreprocess("mnist-01")
	if err != nil {
		return nil, err
	}
	ds, err := k.data()
	if err != nil {
		return nil, err
	}
	return New(Request{Model: k.model, Data: ds, ShardSize: 5, Settings: Settings{Batch: 8, Sketch: 16, Format: k.format, FAISS: true,
		Complexity: &Complexity{Radii: []float64{0.1}, Frame: k.frame.SHA256()}, Data: Data{Preprocess: &pre}}})
}

// whole plans, runs and finishes the job in a store.
func (k *kit) whole(at store.Store) (*Plan, error) {
	p, err := k.plan()
	if err != nil {
		return nil, err
	}
	if err := p.saveIn(at, Incremental, k.frame); err != nil {
		return p, err
	}
	r, err := p.Open(context.Background(), probes.Request{Model: k.model, Backend: gorgonia.Backend{}})
	if err != nil {
		return p, err
	}
	defer r.Close()
	w, err := p.NewWorker(r, WorkerOptions{Decoders: 1, MaxTries: 1, Name: "w"})
	if err != nil {
		return p, err
	}
	if err := w.Run(context.Background(), p.Slice(0, 1), func(Result) {}); err != nil {
		return p, err
	}
	_, err = p.Finish(false, nil)
	return p, err
}

// contents are the files of a folder, of records without what differs between two runs.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		if d.IsDir() {
			all[name] = "folder"
			return nil
		}
		b, err := os.ReadFile(path)
		if all[name] = string(b); strings.HasSuffix(name, recordSuffix) || name == planName { // times, and the folder
			all[name] = "there"
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func differ(got, want map[string]string) string {
	for name := range want {
		if got[name] != want[name] {
			return name + " differs"
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			return name + " is left"
		}
	}
	return ""
}

// Every kind of file, damaged in every way, is found, named with its remedy, and takes
// _SUCCESS along; the remedy makes the job what it was.
func TestVerifyFindsAll(t *testing.T) {
	ways := map[string]func(b, other []byte) []byte{
		"missing": func(b, _ []byte) []byte { return nil },
		"empty":   func(b, _ []byte) []byte { return []byte{} },
		"cut":     func(b, _ []byte) []byte { return b[:len(b)-1] },
		"half":    func(b, _ []byte) []byte { return b[:len(b)/2] },
		"one byte": func(b, _ []byte) []byte {
			b = bytes.Clone(b)
			b[len(b)/2] ^= 1
			return b
		},
		"first byte": func(b, _ []byte) []byte {
			b = bytes.Clone(b)
			b[0] ^= 0x20
			return b
		},
		"longer":  func(b, _ []byte) []byte { return append(bytes.Clone(b), '\n') },
		"swapped": func(_, other []byte) []byte { return other },
	}
	cases := 0
	for _, format := range []string{"parquet", "npy", "jsonl"} {
		k := newKit(t, format)
		dir := filepath.Join(t.TempDir(), "job")
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		p, err := k.whole(store.Folder(dir))
		if err != nil {
			t.Fatal(err)
		}
		want := contents(t, dir)
		swaps := map[string]string{ // what takes whose place
			"00000." + format: "00001." + format, "00000.faiss": "00001.faiss", "00000_stats.json": "00001_stats.json", p.Names: frameName,
			frameName: p.Names, planName: manifestName, manifestName: planName, successName: p.Names, faissName: "00000.faiss", "00000" + itemsSuffix: "00001" + itemsSuffix,
		}
		for name := range want {
			other, ok := swaps[name]
			if !ok {
				if !strings.HasPrefix(name, "00001") {
					t.Errorf("%s: no case for %s", format, name)
				}
				continue
			}
			for way, change := range ways {
				cases++
				what := format + ": " + name + ": " + way
				path := filepath.Join(dir, name)
				was, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				with, _ := os.ReadFile(filepath.Join(dir, other))
				if b := change(was, with); b == nil {
					err = os.Remove(path)
				} else {
					err = os.WriteFile(path, b, 0o666)
				}
				if err != nil {
					t.Fatal(err)
				}
				v, err := Verify(dir, nil)
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				at := slices.IndexFunc(v.Findings, func(m Mismatch) bool { return m.File == name })
				if at < 0 || v.Findings[at].Why == "" || v.Finished {
					t.Errorf("%s: found %+v", what, v)
					continue
				}
				if _, err := os.Stat(filepath.Join(dir, successName)); err == nil {
					t.Errorf("%s: %s is still there", what, successName)
				}
				if _, err := k.whole(store.Folder(dir)); err != nil {
					t.Fatalf("%s: the remedy: %v", what, err)
				}
				if d := differ(contents(t, dir), want); d != "" {
					t.Fatalf("%s: after the remedy: %s", what, d)
				}
				if v, err := Verify(dir, nil); err != nil || len(v.Findings) > 0 || !v.Finished || v.Done != len(p.Shards) {
					t.Fatalf("%s: after the remedy: %+v, %v", what, v, err)
				}
			}
		}
	}
	if cases < 40 {
		t.Errorf("%d cases, want 40 or more", cases)
	}
	t.Logf("%d cases", cases)
}

// What is not the job's is a finding only where a reader would take it for data, and is
// never removed; what cannot be read as a file is named and does not hang.
func TestForeignFiles(t *testing.T) {
	k := newKit(t, "parquet")
	dir := filepath.Join(t.TempDir(), "job")
	os.Mkdir(dir, 0o777)
	if _, err := k.whole(store.Folder(dir)); err != nil {
		t.Fatal(err)
	}
	for name, found := range map[string]bool{
		"notes.txt": false, "README": false, ".hidden.parquet": false, "plan.json.bak": false, "00000.parquet.manifest.json": false,
		"00007.parquet": true, "extra.parquet": true, "x.npy": true, "00000.jsonl": true, "00009_stats.json": true, "00000_tries": true, "00001_failed.json": true, "old.faiss": true,
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("mine"), 0o666); err != nil {
			t.Fatal(err)
		}
		v, err := Verify(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		is := slices.ContainsFunc(v.Findings, func(m Mismatch) bool { return m.File == name && m.Remedy == moveAway })
		if is != found || slices.Contains(v.Foreign, name) == found {
			t.Errorf("%s: %+v", name, v)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != "mine" {
			t.Errorf("%s: it was touched: %v", name, err)
		}
		if name == "00000_tries" { // it is in the way of the shard, and said so
			os.Remove(filepath.Join(dir, "00000_stats.json"))
			if _, err := k.whole(store.Folder(dir)); err == nil || !strings.Contains(err.Error(), "00000_tries is no folder") {
				t.Errorf("a file in the place of the tries: %v", err)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, err := k.whole(store.Folder(dir)); err != nil {
			t.Fatal(err)
		}
	}
}

// What stands in a record's place and cannot be removed keeps no other shard from being
// taken back.
func TestVerifyPastAFolder(t *testing.T) {
	k := newKit(t, "parquet")
	dir := filepath.Join(t.TempDir(), "job")
	os.Mkdir(dir, 0o777)
	if _, err := k.whole(store.Folder(dir)); err != nil {
		t.Fatal(err)
	}
	record := filepath.Join(dir, "00000_stats.json")
	os.Remove(record)
	if err := os.MkdirAll(filepath.Join(record, "mine"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "00001.parquet"), 50); err != nil {
		t.Fatal(err)
	}
	v, err := Verify(dir, nil)
	if err != nil || len(v.Findings) != 2 || !strings.Contains(v.Findings[0].Why, "is a folder, not a file; move it away") || v.Findings[1].File != "00001.parquet" {
		t.Errorf("%+v, %v", v, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "00001_stats.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the record of the shard that is cut: %v", err)
	}
	if _, err := os.Stat(filepath.Join(record, "mine")); err != nil {
		t.Error(err)
	}
}

// Whatever call to the store fails while a job is planned, run, finished and verified, the
// job made again is the undisturbed one; and no verification that cannot read changes it.
func TestFaultsOfTheStore(t *testing.T) {
	k := newKit(t, "npy")
	wanted := filepath.Join(t.TempDir(), "want")
	os.Mkdir(wanted, 0o777)
	counted := &storetest.Faulty{Store: store.Folder(wanted)}
	if _, err := k.whole(counted); err != nil {
		t.Fatal(err)
	}
	want := contents(t, wanted)
	calls := len(counted.Calls())
	t.Logf("%d calls to make it", calls)
	ended, tried := 0, 0
	step := 5 // of all, which are tried by make check
	if os.Getenv("ONNXPROBE_EVERY_FAULT") != "" {
		step = 1
	}
	for from, no := range []syscall.Errno{syscall.EMFILE, syscall.ENOSPC, syscall.EIO} {
		for at := 1 + from; at <= calls; at += step {
			tried++
			dir := filepath.Join(t.TempDir(), "job")
			os.Mkdir(dir, 0o777)
			faulty := &storetest.Faulty{Store: store.Folder(dir)}
			faulty.Fail(at, at, no)
			_, err := k.whole(faulty)
			what := fmt.Sprintf("%v at call %d, %s", no, at, faulty.Calls()[at-1])
			if err != nil {
				ended++
				if !errors.Is(err, no) {
					t.Errorf("%s: the cause is not said: %v", what, err)
				}
			}
			faulty.Fail(0, 0, 0)
			if _, err := k.whole(faulty); err != nil {
				t.Fatalf("%s: then again: %v", what, err)
			}
			if d := differ(contents(t, dir), want); d != "" {
				t.Fatalf("%s: %s", what, d)
			}
		}
	}
	t.Logf("%d faults of %d ended a run; there are %d", ended, tried, 3*calls)
	if ended < tried/2 {
		t.Errorf("%d faults of %d ended a run", ended, tried)
	}

	counted.Fail(0, 0, 0)
	before := contents(t, wanted)
	if v, err := verifyIn(counted, nil); err != nil || len(v.Findings) > 0 {
		t.Fatal(v, err)
	}
	for at := 1; at <= len(counted.Calls()); at++ {
		faulty := &storetest.Faulty{Store: store.Folder(wanted)}
		faulty.Fail(at, at, syscall.EIO)
		if v, err := verifyIn(faulty, nil); err == nil || !strings.Contains(err.Error(), "could not verify") || !errors.Is(err, syscall.EIO) {
			t.Errorf("verifying, EIO at %s: %+v, %v", faulty.Calls()[at-1], v, err)
		}
		if d := differ(contents(t, wanted), before); d != "" {
			t.Fatalf("verifying, EIO at call %d: %s", at, d)
		}
	}
}
