package job_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/engine/gorgonia"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/job"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// A job is planned once; any number of workers make its shards, and one finishes it.
func Example() {
	temporary, err := os.MkdirTemp("", "")
	check(err)
	defer os.RemoveAll(temporary)
	dir := filepath.Join(temporary, "job")
	model, err := onnx.Load("../../testdata/models/mlp_dynamo.onnx")
	check(err)
	prepared, err := picture.ParsePreprocess("mnist-01")
	check(err)
	digits, err := dataset.Open([]string{"../../testdata/images/digits"}, dataset.Options{Preprocess: &prepared})
	check(err)
	plan, err := job.New(job.Request{Model: model, Data: digits, ShardSize: 40,
		Settings: job.Settings{Sketch: 32, Format: "jsonl", Data: job.Data{Preprocess: &prepared}}})
	check(err)
	check(plan.Save(dir, job.Incremental, nil))

	// On another machine: the folder is all that a worker needs.
	plan, err = job.Load(dir)
	check(err)
	session, err := plan.Open(context.Background(), probes.Request{Model: model, Backend: gorgonia.Backend{}})
	check(err)
	defer session.Close()
	worker, err := plan.NewWorker(session, job.WorkerOptions{MaxTries: 3})
	check(err)
	check(worker.Run(context.Background(), plan.Slice(0, 1), func(r job.Result) { fmt.Println("shard", r.Shard, r.Items, "items") }))

	status, err := plan.Finish(false, nil)
	check(err)
	fmt.Println(status.Finished, "items,", status.Failed, "failed, finished:", status.Success)
	// Output:
	// shard 0 40 items
	// shard 1 40 items
	// shard 2 20 items
	// 100 items, 0 failed, finished: true
}
