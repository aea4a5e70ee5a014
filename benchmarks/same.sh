#!/usr/bin/env bash
# Says whether every verb still gives, byte for byte, what it gave before.
#
#   benchmarks/same.sh BEFORE [AFTER]
#
# BEFORE and AFTER are git revisions or executable files; AFTER is the working tree unless
# it is given. The commands are those of same.txt. KEEP=DIR keeps what the programs wrote.
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/.." && pwd)
go=${GO:-go}
before=${1:-} after=${2:-}
if [ -z "$before" ] || [ $# -gt 2 ]; then
  echo "usage: $0 BEFORE [AFTER]: git revisions or executable files" >&2
  exit 2
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'echo "same.sh itself failed at line $LINENO" >&2' ERR

# build SIDE WHAT puts a program into $tmp/SIDE/onnxprobe.
build() {
  local to=$tmp/$1 from=$root
  mkdir -p "$to"
  if [ -n "$2" ] && [ -f "$2" ] && [ -x "$2" ]; then
    cp "$2" "$to/onnxprobe"
    return
  fi
  if [ -n "$2" ]; then
    from=$tmp/source-$1
    mkdir "$from"
    git -C "$root" archive "$2" | tar -x -C "$from"
  fi
  (cd "$from" && "$go" build -buildvcs=false -trimpath -o "$to/onnxprobe" ./cmd/onnxprobe)
}
build before "$before"
build after "$after"
if [ "$("$tmp/before/onnxprobe" --version)" != "$("$tmp/after/onnxprobe" --version)" ]; then
  echo "the programs call themselves $("$tmp/before/onnxprobe" --version) and $("$tmp/after/onnxprobe" --version): build both with -buildvcs=false -trimpath" >&2
  exit 2
fi

# The inputs are copied for each program with their times, which plans of jobs hold.
mkdir "$tmp/inputs"
cp -r "$root/testdata/models" "$root/testdata/golden" "$tmp/inputs"
cp -r "$root/testdata/images/digits" "$tmp/inputs/digits"
"$go" run "$here/same.go" "$tmp/inputs"
find "$tmp/inputs" -exec touch -d '2026-01-02T03:04:05Z' {} +

# commands writes each command of same.txt on a line, with the exit code that it should
# have: "!N " before a command is another than 0, "@WORDS " repeats it for files that match
# or words in braces, as $m, as $n without folder and extension, as $e the extension alone.
commands() {
  cd "$tmp/inputs"
  local line words expect m n l
  while IFS= read -r line; do
    [[ $line =~ ^[[:space:]]*(#|$) ]] && continue
    expect=0 words=
    if [[ $line =~ ^!([0-9]+)\ +(.*) ]]; then expect=${BASH_REMATCH[1]} line=${BASH_REMATCH[2]}; fi
    if [[ $line =~ ^@([^ ]+)\ +(.*) ]]; then words=${BASH_REMATCH[1]} line=${BASH_REMATCH[2]}; fi
    if [ -z "$words" ]; then
      printf '%s %s\n' "$expect" "$line"
      continue
    fi
    for m in $(eval "echo $words"); do
      n=${m##*/} n=${n%.*}
      l=${line//\$m/$m}
      l=${l//\$n/$n}
      printf '%s %s\n' "$expect" "${l//\$e/${m##*.}}"
    done
  done < "$here/same.txt"
}
(commands) > "$tmp/commands"

# Both programs run in one folder, one after the other, so that no path differs. What a
# command says goes to said/NUMBER.out, .err and .code, what it writes lies in o/.
wrong=0
play() {
  local side=$tmp/$1 i=0 code expect line at
  cp -a "$tmp/inputs" "$tmp/played"
  mkdir -p "$tmp/played/o" "$tmp/bin" "$side/said"
  cp "$side/onnxprobe" "$tmp/bin/onnxprobe"
  cd "$tmp/played"
  while read -r expect line; do
    i=$((i + 1)) code=0
    printf -v at '%s/said/%04d' "$side" "$i"
    PATH=$tmp/bin:$PATH bash -o pipefail -c "$line" < /dev/null > "$at.out" 2> "$at.err" || code=$?
    echo "$code" > "$at.code"
    if [ "$code" != "$expect" ] && [ "$1" = before ]; then
      echo "EXIT CODE $code, not $expect: $line"
      head -n 3 "$at.err" | sed 's/^/    /'
      wrong=$((wrong + 1))
    fi
  done < "$tmp/commands"
  cd "$root"
  diff <(cd "$tmp/inputs" && find . | sort) <(cd "$tmp/played" && find . -path ./o -prune -o -print | sort) > "$side/said/outside" || true
  mv "$tmp/played/o" "$side/o"
  (cd "$side" && find o -printf '%y %m %p %l\n' | sort) > "$side/said/kinds"
  rm -r "$tmp/played"
}
start=$SECONDS
play before
play after

# The masks. Each names what it hides, and nothing else of a file is hidden:
# times that messages and tables tell, in the words that they are told in;
took='([0-9]+h)?([0-9]+m)?[0-9.]+(ns|µs|ms|s)'
rate='[0-9.e+]+(Inf)?'
spoken=(
  -e "s/ in $took, $rate a second(\$|; )/ in TIME, RATE a second\\5/" # items of any verb, and of hash run
  -e "s/ in $took\$/ in TIME/"                                      # search, dedup
  -e "s/, in $took: /, in TIME: /"                                  # report
  -e 's/ in [0-9.]+ s$/ in TIME s/'                                 # a checkpoint
  -e 's/^Done in [0-9.]+ s\. /Done in TIME s. /'                    # demo
  -e '/^seconds[: ]/s/(reading|decoding|inference|items|writing) [0-9.]+/\1 TIME/g' # hash run
  -e "s/^(rate +)$rate items a second and worker\$/\\1RATE items a second and worker/" # hash status
  -e 's/^(seconds +)[0-9.]+:/\1TIME:/'
)
# the same in JSON by its keys, in records of jobs and checkpoints and in manifests of studies,
# on pages too, and the worker's name where it is made of host and process;
q='("|&#34;)'
keyed=(
  -e ':a' -e "/\"seconds\": ?\\{[^}]*\$/{N;ba" -e '}'
  -e ':b' -e 's/("seconds": ?\{[^}]*": ?)[0-9][0-9.e-]*/\1TIME/' -e 'tb'
  -e "s/${q}seconds${q}: ?[0-9.e-]+/seconds: TIME/g"
  -e 's/"items_per_second": ?[0-9.e+]+/"items_per_second": RATE/g'
  -e 's/"ended": ?"[0-9TZ:-]+"/"ended": TIME/g'
  -e 's/"worker": ?"[^"]*:[0-9]+"/"worker": "HOST:PROCESS"/g'
  -e 's/^ "sum": "[0-9a-f]{64}"/ "sum": SUM/' # of a record, times and all
)
# the last column, items a second, of a page's table of shards;
page=(-e '/>items a second</,/<\/table>/s/<td>[0-9.e+]+<\/td><\/tr>/<td>RATE<\/td><\/tr>/')
# what bench measures: rates, memory, how many images it took, whether the machine was noisy,
# and with the numbers the width of columns;
size='-?[0-9.]+ (bytes|kB|MB|GB)'
measured=(
  -e '/^the machine is noisy: /d'
  -e 's/ +/ /g'
  -e '/^[0-9]+ [0-9]/s/ [0-9.e+-]+/ #/g'
  -e "s/^([0-9]+ (plain|codes|complexity) .*) $size n\\/a\$/\\1 SIZE n\\/a/"
  -e 's/^most images a second with codes at batch [0-9]+$/most images a second with codes at batch #/'
  -e "s/^the process held $size at most; over the last [0-9,]+ images it grew by $size\$/the process held SIZE at most; it grew by SIZE/"
  -e 's/^( "(median|p10|p90|items|host_bytes|host_growth_bytes|best_batch|peak_host_bytes|noisy)": )[a-z0-9.e+-]+/\1#/'
)
# and in its figures where lines, marks and the numbers of axes lie, and how many they are.
figures=(
  -e '/^<p class="note">The machine was noisy: /d'
  -e 's/ (d|x|y|viewBox|width|height)="[^"]*"/ \1=""/g'
  -e 's/translate\([^)]*\)/translate()/g'
  -e 's/>-?[0-9.e+-]+</>#</g'
  -e 's/largest [0-9.e+]+ \(batch [0-9]+\)/largest #/g'
)

# masked FILE TO writes FILE under its masks; it fails where there are none.
masked() {
  case $1 in
    */said/*.code | */said/outside | */said/kinds) return 1 ;;
    */said/*)
      local n=${1##*/}
      n=$(sed -n "$((10#${n%%.*}))p" "$tmp/commands")
      case $n in
        *" onnxprobe bench --help") return 1 ;;
        *" onnxprobe bench "*) sed -E "${measured[@]}" "$1" ;;
        *) sed -E "${spoken[@]}" "$1" | sed -E "${keyed[@]}" ;;
      esac ;;
    */o/bench/*.html | */o/bench/*.svg) sed -E "${figures[@]}" "$1" | sort -u ;;
    */o/bench/*.png) head -c 33 "$1" ;; # the signature and the size
    *.html) sed -E "${keyed[@]}" "${page[@]}" "$1" ;;
    */[0-9]*_stats.json | */step-*.json | */model-*.json | */dynamics.*.manifest.json | */models.*.manifest.json | */phases.*.manifest.json)
      sed -E "${keyed[@]}" "$1" ;;
    */dynamics.parquet | */models.parquet | */phases.parquet)
      # The manifest in the footer, with its length before it, and the length of the footer.
      head -c -8 "$1" | sed -zE -e 's/\x18[\x80-\xff]*[\x01-\x7f]\{\n  "tool"/{\n  "tool"/' -e 's/"seconds": [0-9.e-]+/"seconds": TIME/g' ;;
    *) return 1 ;;
  esac > "$2"
}

# told FILE says that a file differs, and which command names it or a folder that it is in.
told() {
  local n='' p=${1%.manifest.json}
  p=${p%.items.jsonl}
  case $1 in
    said/outside) echo "DIFFERS: what is written outside of o" && return ;;
    said/kinds) echo "DIFFERS: names, kinds and modes of what is in o" && return ;;
  esac
  if [[ $1 == said/* ]]; then
    n=${1#said/} n=$((10#${n%%.*}))
  fi
  while [ -z "$n" ] && [ "$p" != . ]; do
    n=$(grep -nF -- " $p " <(sed 's/$/ /' commands) | head -n 1 | cut -d: -f1 || true)
    p=$(dirname "$p")
  done
  echo "DIFFERS: $1 of command ${n:-?}: $(sed -n "${n:-0}p" commands 2> /dev/null | cut -d' ' -f2-)"
}

cd "$tmp"
differ=0 same=0 hidden=0 partly=()
(cd before && find said o -type f) > names
(cd after && find said o -type f) >> names
sort -u names -o names
while IFS= read -r f; do
  if [ ! -f "before/$f" ] || [ ! -f "after/$f" ]; then
    told "$f"
    [ -f "before/$f" ] && echo "    only before" || echo "    only after"
    differ=$((differ + 1))
    continue
  fi
  if [[ $f == o/bench/*.png ]]; then partly+=("$f"); fi
  if cmp -s "before/$f" "after/$f"; then
    same=$((same + 1))
    continue
  fi
  a=before/$f b=after/$f
  if masked "$tmp/before/$f" mask-a && masked "$tmp/after/$f" mask-b; then
    a=mask-a b=mask-b
    if cmp -s $a $b; then
      same=$((same + 1)) hidden=$((hidden + 1))
      continue
    fi
  fi
  told "$f"
  differ=$((differ + 1))
  if grep -Iq . "$a" && grep -Iq . "$b"; then
    { diff "$a" "$b" || true; } | head -n 6 | cut -c1-300 | sed 's/^/    /'
  else
    { cmp "$a" "$b" || true; } | sed 's/^/    /'
  fi
done < names

bytes=$(cd before && find said o -type f -printf '%s\n' | { total=0; while read -r n; do total=$((total + n)); done; echo $total; })
if [ -n "${KEEP:-}" ]; then
  mkdir -p "$KEEP"
  cp -r before after commands "$KEEP"
fi
for f in "${partly[@]}"; do
  echo "of $f only the size of the picture is compared: it shows times"
done
echo "$(wc -l < commands) commands, $(wc -l < names) files of $bytes bytes compared ($hidden equal but for times), in $((SECONDS - start)) s: $differ differ, $wrong exit codes are not those of same.txt"
if [ $((differ + wrong)) -gt 0 ]; then exit 1; fi
