#!/bin/bash
# A planned job by several processes of one machine, such as one for each GPU, that take
# shards as they get free: xargs hands out lists of shard numbers, and --stdin reads them.
# The same with GNU parallel: seq 0 $((shards-1)) | parallel --pipe -N 8 -j 4 onnxprobe hash run DIR --stdin
#
#   xargs.sh DIR [PROCESSES]
#   DEVICE=cuda:SLOT xargs.sh DIR 4    # process k, from 0, on GPU k; asks for GNU xargs
#
# A process that fails does not stop the others, and finish looks itself whether all is
# there: the exit code is its own.
set -eu
export ONNXPROBE=${ONNXPROBE:-onnxprobe} JOB=${1:?the folder of a planned job} DEVICE=${DEVICE:-cpu}
processes=${2:-2} slot=
case $DEVICE in *SLOT) slot=--process-slot-var=SLOT ;; esac
shards=$("$ONNXPROBE" hash status "$JOB" --json | sed 's/.*"shards":\([0-9]*\).*/\1/')
seq 0 $((shards - 1)) | xargs $slot -P "$processes" -n 8 sh -c '
  printf "%s\n" "$@" | "$ONNXPROBE" --quiet hash run "$JOB" --stdin --device "${DEVICE%SLOT}${SLOT:-}"' _ || true
exec "$ONNXPROBE" hash finish "$JOB"
