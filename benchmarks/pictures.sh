#!/usr/bin/env bash
# Holds pictures of every kind, sound and damaged, against Pillow, hashes a folder of them
# all, and measures the memory of the largest.
#
#   benchmarks/pictures.sh DIR
#
# DIR takes 5 GB on a file system with sparse files; parts of it that are there are used
# again. PYTHON has what testdata/export/requirements.txt says, SEED draws other pictures,
# DAMAGED is how many damaged files there are of each format.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
dir=${1:?usage: benchmarks/pictures.sh DIR}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

# make_once NAME ARGUMENTS fills DIR/NAME, once.
make_once() {
  local name=$1
  shift
  if [ ! -e "$dir/$name.made" ]; then
    echo "$name:"
    "${PYTHON:-python}" "$root/testdata/export/pictures.py" "$dir/${name%.*}" --seed "${SEED:-1}" "$@" 2> "$dir/$name.messages"
    touch "$dir/$name.made"
  fi
}
make_once sound
make_once sound.beside --left-out 40
make_once damaged --mutate "${DAMAGED:-5000}"
make_once large --large

cd "$root"
export ONNXPROBE_PICTURES=$dir/sound:$dir/damaged ONNXPROBE_PICTURES_FOLDER=$dir/sound ONNXPROBE_PICTURES_LARGE=$dir/large
go=${GO:-go}
"$go" test ./engine/dataset/picture -count=1 -timeout 1h -run TestSweepPictures -v
"$go" test ./benchmarks -count=1 -timeout 3h -run 'TestHashPicturesOfAllKinds|TestPictureMemory' -v
