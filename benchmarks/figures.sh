#!/bin/sh
# The figures of the README files, made by the program from the shipped network and digits.
# From the root of the repository: benchmarks/figures.sh [PROGRAM]
set -eu
program=$(realpath "${1:-bin/onnxprobe}")
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$program" complexity testdata/models/resnet_basic_dynamo.onnx testdata/images/digits --preprocess mnist-01 \
  --radius 0.01,0.05,0.25 -o "$work/complexity.parquet"
"$program" report "$work/complexity.parquet" -o "$work/report.html" --figures "$work/figures"
mkdir -p benchmarks/figures
cp "$work"/figures/*-fractions.svg benchmarks/figures/complexity.svg
