"""A planned job on Spark: one task runs the shards of one partition, and Spark runs
again, elsewhere, the tasks that fail (spark.task.maxFailures), and no others.

    onnxprobe hash plan resnet50.onnx '/data/{00000..09999}.tar' --preprocess imagenet -o /shared/job
    spark-submit --conf spark.task.resource.gpu.amount=1 spark_pipe.py /shared/job 512

Paths are those that the executors see. A line of JSON comes back for each shard.
"""

import json
import subprocess
import sys

from pyspark.sql import SparkSession

job, partitions = sys.argv[1], int(sys.argv[2])
shards = json.loads(subprocess.check_output(["onnxprobe", "hash", "status", job, "--json"]))["shards"]
sc = SparkSession.builder.appName("onnxprobe").getOrCreate().sparkContext
results = (
    sc.parallelize(range(shards), partitions)
    .pipe(f"onnxprobe --quiet hash run {job} --stdin", checkCode=True)
    .map(json.loads)
    .collect()
)
print(sum(r["items"] for r in results), "items,", sum(r["failed"] for r in results), "failed")
subprocess.check_call(["onnxprobe", "hash", "finish", job])
