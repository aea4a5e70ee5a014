package main

import (
	"errors"

	"github.com/spf13/cobra"

	jobs "github.com/onnxprobe/onnxprobe/probes/job" // job is what one command line does
)

func newHash() *cobra.Command {
	var h hashPlan
	var r hashRun
	var allow bool
	var plot plotFlag
	c := &cobra.Command{
		Use:   "hash MODEL DATA... -o DIR",
		Short: "The batch job: digests, sketches and codes of very many items",
		Long: `Runs every item through the model and writes, in shards, a row for each: id, path, label,
status, digest, sketch, and what the flags add. It can be stopped at any time, by a power
cut too: the same command goes on where it was, and the result is the same to the byte.

hash plans, runs and finishes on this machine. For many machines, plan writes DIR/plan.json
once, each worker runs its slice of the shards from the folder alone, and finish verifies
all and writes manifest.json and _SUCCESS:

  onnxprobe hash plan resnet50.onnx 'laion/{00000..00999}.tar' --preprocess imagenet -o /shared/job
  onnxprobe hash run /shared/job --shard auto/64     # in every task of an array of 64
  onnxprobe hash status /shared/job
  onnxprobe hash finish /shared/job

The tasks' index comes from Slurm, Kubernetes Indexed Jobs, AWS Batch, Cloud Run jobs or Google
Cloud Batch; see cmd/onnxprobe/examples. Any worker may be killed and run again, and two may
work on one shard. Exit codes of run: 0 the slice is done, with the items that could not be
read as rows that say so; 1 some shards are not, and running it again is useful; 2 wrong usage,
or the model or the inputs cannot be reached, and it is not; 3 shards are set aside, since they
ended their process again and again. hash and finish end with 3 too when items could not be read,
with 1 when none could. A fault of the machine, such as a full disk or too many open files, is
never a row: it ends the shard, with 1, and the same command makes it again.`,
		Example: `  onnxprobe hash resnet50.onnx photos/ --preprocess imagenet -o job
  onnxprobe hash resnet50.onnx photos/ more/ --preprocess imagenet -o job --mode extend
  onnxprobe hash resnet18.onnx test_batch.bin --preprocess cifar10 --code-sites 'layer4*' --channels --logits -o job
  onnxprobe hash resnet50.onnx photos/ --preprocess imagenet --regions instances.json --channels --region-share 0.5 -o job
  onnxprobe hash mnist.onnx t10k-images-idx3-ubyte.gz --preprocess mnist --sketch 128 --faiss --shard-size 1000 -o job`,
		Args: atLeast(1, "a model and data"),
	}
	h.add(c.Flags())
	r.add(c.Flags())
	r.addPrecision(c.Flags())
	r.addBatch(c.Flags())
	c.Flags().BoolVar(&allow, "allow-failed", false, "finish without the shards that are set aside")
	plot.add(c.Flags())
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := plot.check(h.output, true, args...); err != nil {
			return err
		}
		h.runs = true
		p, err := h.plan(c, &r.engineFlags, args)
		if err != nil {
			return err
		}
		ran := r.run(c, p, p.Slice(0, 1), true, func(res jobs.Result) { reportError(c, res) })
		var aside jobs.AsideError
		if ran != nil && !errors.As(ran, &aside) {
			return ran
		}
		return plot.file(c, finish(c, p, allow, h.json), p.Dir())
	}
	c.AddCommand(newHashPlan(), newHashRun(), newHashStatus(), newHashVerify(), newHashFinish())
	return c
}
