"""A planned job on Spark: one task runs the shards of one partition, and Spark runs
again, elsewhere, the tasks that fail (spark.task.maxFailures), and no others.

    onnxprobe hash plan resnet50.onnx '/data/{00000..09999}.tar' --preprocess imagenet -o /shared/job
    spark-submit --conf spark.task.resource.gpu.amount=1 spark_pipe.py /shared/job 512

Paths are those that the executors see. A task runs on the GPU that Spark gives it, and
on the CPU where it gives none. The exit code is that of hash finish; 2 where an executor
cannot reach the inputs, which no other try changes.
"""

import json
import os
import subprocess
import sys

from pyspark import TaskContext
from pyspark.sql import SparkSession

onnxprobe = os.environ.get("ONNXPROBE", "onnxprobe")
job, partitions = sys.argv[1], int(sys.argv[2])


def run(shards):
    # Not rdd.pipe: it starts the program without the executor's environment, so without
    # its PATH and HOME, and takes exit code 3, shards that are set aside, for a failure.
    gpu = TaskContext.get().resources().get("gpu")
    device = f"cuda:{gpu.addresses[0]}" if gpu else "cpu"
    command = [onnxprobe, "--quiet", "hash", "run", job, "--stdin", "--device", device]
    lost = False
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as p:
        # One by one: should the executor die, the program ends after the shard it is at.
        for shard in shards:
            print(shard, file=p.stdin)
            line = p.stdout.readline()
            if not line:
                break
            result = json.loads(line)
            lost = lost or "unreachable" in result
            yield result
    if p.returncode not in (0, 3) and not (lost and p.returncode == 2):
        raise RuntimeError(f"{' '.join(command)} ended with {p.returncode}")


shards = json.loads(subprocess.check_output([onnxprobe, "hash", "status", job, "--json"]))["shards"]
sc = SparkSession.builder.appName("onnxprobe").getOrCreate().sparkContext
results = sc.parallelize(range(shards), partitions).mapPartitions(run).collect()
sc.stop()
lost = [r for r in results if "unreachable" in r]
if lost:
    print(lost[0]["error"], file=sys.stderr)
    sys.exit(2)
print(sum(r["items"] for r in results), "items,", sum(r["failed"] for r in results), "failed")
sys.exit(subprocess.call([onnxprobe, "hash", "finish", job]))
