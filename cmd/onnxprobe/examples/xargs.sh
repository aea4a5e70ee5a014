#!/bin/bash
# A planned job by several processes of one machine, such as one for each GPU, that take
# shards as they get free: xargs hands out lists of shard numbers, and --stdin reads them.
# The same with GNU parallel: seq 0 $((shards-1)) | parallel --pipe -N 8 -j 4 onnxprobe hash run DIR --stdin
#
#   xargs.sh DIR [PROCESSES]
set -eu
export ONNXPROBE=${ONNXPROBE:-onnxprobe} JOB=$1
processes=${2:-2}
shards=$("$ONNXPROBE" hash status "$JOB" --json | sed 's/.*"shards":\([0-9]*\).*/\1/')
seq 0 $((shards - 1)) | xargs -P "$processes" -n 8 sh -c 'printf "%s\n" "$@" | "$ONNXPROBE" --quiet hash run "$JOB" --stdin' _
exec "$ONNXPROBE" hash finish "$JOB"
