package main

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// mistakes are command lines that someone new writes, and the remedy that has to stand in the
// message: the right name, the choices, what the value should be, or what to do first. In a
// line M is a model, D pictures, C codes, P a picture, and X a model with its data; one that
// begins with ! ends with 1, as the fault is a file's, the others with 2.
const mistakes = `
cods X -o -                                     | unknown verb "cods"; did you mean codes?
code X -o -                                     | unknown verb "code"; did you mean codes?
inspct M                                        | unknown verb "inspct"; did you mean inspect?
Codes X -o -                                    | did you mean codes?
complexty X                                     | did you mean complexity?
duplicates C                                    | that is onnxprobe dedup
install                                         | that is onnxprobe runtime install
diff M D                                        | that is onnxprobe compare
info M                                          | that is onnxprobe inspect
--preprocess none cods X                        | unknown verb
runtime instal                                  | unknown verb "instal" of runtime; did you mean install?
completion tcsh                                 | did you mean bash or fish or zsh?
hash rnu job                                    | did you mean hash run?
hash statsu job                                 | did you mean hash status?
help nope                                       | there is about data, preprocess
help cods                                       | did you mean codes?
help radii                                      | did you mean radius?
list preset                                     | did you mean presets?
outliers C                                      | the distance between codes is not oddness
hash $T/planned                                 | onnxprobe hash run
list models                                     | the lists are activations, backends
list                                            | list takes one of activations
version 1                                       | version takes no arguments; see onnxprobe version --help
codes                                           | codes takes a model and data; see onnxprobe codes --help
inspect                                         | inspect takes one model; see onnxprobe inspect --help
inspect M M                                     | is a second model, and inspect takes one; run it for each
report                                          | report takes results, or folders of them; see
codes M -o -                                    | say what to run the model on; see onnxprobe codes --help
codes X                                         | say where the results go: -o FILE.parquet
codes X -o out                                  | use one of .parquet, .npy, .jsonl, or "-"
codes X -o out.txt                              | use one of .parquet, .npy, .jsonl, or "-"
codes X -out.npy                                | write -o FILE or --output FILE
codes X --output=                               | --output is empty; give it a value, or leave it out
codes M D -o -                                  | --preprocess mnist, or a JSON file
codes X -o - --preproces none                   | unknown flag --preproces; did you mean --preprocess?
codes X -o - --batchsize 4                      | did you mean --batch?
codes X -o - --batch-size 4                     | did you mean --batch?
codes X -o - --site relu                        | did you mean --sites?
codes X -o - --gpu                              | did you mean --device cuda?
codes X -o - --layer layer1                     | did you mean --sites?
codes X -o - --transform x                      | did you mean --preprocess?
codes X -o - --overwrite                        | did you mean --force?
codes X --out a.npy                             | did you mean --output?
inspect M --jsn                                 | did you mean --json?
inspect M --engine                              | did you mean --engines?
inspect M --preprocess imagenet                 | has no flag --preprocess, which is of
run X --sites relu                              | onnxprobe run has no flag --sites, which is of
run X --topk 3                                  | did you mean --top?
codes X -o - --radius 0.1                       | has no flag --radius, which is of complexity
search C --all --radius 3                       | has no flag --radius, which is of complexity
complexity X -o - --radii 0.1                   | did you mean --radius?
dedup C --threshold 0.1                         | did you mean --distance?
evaluate C --k 3                                | did you mean -k?
codes X -o - -x                                 | unknown flag -x of onnxprobe codes; see onnxprobe codes --help
--verson                                        | did you mean --version?
codes X -o - --sketch                           | --sketch needs a value, K: write a sketch of K bits
attach M -o                                     | --output needs a value, FILE
compare X -a ort -b                             | -b needs a value, SETTING
codes X -o - --sketch abc                       | --sketch "abc": want a whole number
codes X -o - --sketch 1e3                       | --sketch "1e3": want a whole number
codes X -o - --sketch -5                        | --sketch -5: 0 or more
codes X -o - --sketch 99999                     | want 1 to 3200
codes X -o - --threads two                      | --threads "two": want a whole number
codes X -o - --threads -1                       | --threads and --batch are 0 or more
codes X -o - --batch 0.5                        | --batch "0.5": want a whole number
codes X -o - --seed -1                          | --seed "-1": want a whole number, 0 or more
codes X -o - --fragile tiny                     | --fragile "tiny": want a number
codes X -o - --fragile -1                       | a distance is 0 or more
codes X -o - --exif=maybe                       | want true or false, after an equals sign
codes X -o - --limit=-2                         | --decoders, --limit and --random are 0 or more
codes X -o - --device gpu                       | did you mean cuda?
codes X -o - --device cuda:x                    | write cpu, cuda or cuda:N
codes X -o - --device 0                         | did you mean cuda:0?
codes X -o - --backend onnxruntime              | did you mean ort?
codes X -o - --backend pytorch                  | the choices are auto, ort, gorgonia
codes X -o - --precision float16                | The choices are float32, float64
codes X -o - --layout nhcw                      | The choices are nchw, nhwc, auto
codes X -o - --layout channels_last             | did you mean nhwc?
codes X -o - --interpolation linear             | did you mean bilinear?
codes X -o - --format imagefolder               | did you mean images?
codes X -o - --format foo                       | the choices are npy, cifar10
codes X -o - --mean a,b,c                       | --mean "a,b,c": "a" is not a number
codes X -o - --mean 0.5 0.5 0.5                 | have commas between them: --mean 0.5,0.5,0.5
codes X -o - --mean 0.5                         | give both, alike
codes X -o - --resize big                       | want a number of pixels up to 65536, HEIGHTxWIDTH, or none
codes X -o - --crop -3                          | HEIGHTxWIDTH, or none
codes M D -o - --preprocess imagnet             | did you mean imagenet?
codes M D -o - --preprocess IMAGENET            | did you mean imagenet?
codes M D -o - --preprocess nope                | mnist-01
! codes M D -o - --preprocess $T/nothere.json     | no such file or directory
codes M D -o - --preprocess $T/x.json           | it has neither image_mean (Hugging Face)
codes M D -o - --preprocess P                   | it is not a JSON object
codes X -o - --sites rleu                       | ; did you mean relu?
codes X -o - --sites layr1*                     | ; did you mean layer1.*
inspect M --sites nothing                       | this model has 9
codes X -o - --sites layer[1                    | syntax error in pattern
codes X -o - --plot x.pdf                       | the choices are .svg, .png, .html
codes X -o - --low 3                            | --low changes nothing here; it goes with --random
codes X -o - --seed 3                           | it goes with --sketch or --random
codes X -o - --tile-thumbnail                   | --tile-thumbnail goes with --tiles
codes X -o - --channels                         | --channels goes with --regions; of whole pictures hash --channels writes them
codes X -o - --map maps                         | --map goes with --region-agree IMAGE#REGION
codes X -o - --regions line                     | did you mean lines? It is a file or folder, slic:N, lines, boxes:MODEL or labels:MODEL
codes X -o - --regions slic                     | want slic:N
! codes X -o - --regions none.json                | no such file or directory
codes M --random 3 --low 2 --high 1 -o -        | --low 2 is not below --high 1
codes M --random many -o -                      | --random "many": want a whole number
codes M D --random 3 -o -                       | give data or --random, not both
codes D M -o -                                  | is a model, and codes takes it first: onnxprobe codes MODEL DATA
codes M D M -o - --preprocess mnist-01          | is a second model, and codes takes one
compare M M D                                   | evaluate b.parquet --churn a.parquet --by-site; many by onnxprobe dynamics
! codes P D -o -                                  | this is a PNG picture, not an ONNX model
! inspect $T/photo.jpg                            | this is a JPEG picture, not an ONNX model
! inspect $T/net.pt                               | this is a PyTorch file, not an ONNX model; export the network in PyTorch: torch.onnx.export
! inspect $T/w.safetensors                        | this is a safetensors file, not an ONNX model; export
! inspect $T/lfs.onnx                             | Git LFS pointer, not the file itself, not an ONNX model; run git lfs pull
! inspect $T/page.onnx                            | web page, as a failed download leaves, not an ONNX model; download the file again
! inspect $T/m.onnx.gz                            | this is a gzip file, not an ONNX model; unpack it first
! inspect $T/x.json                               | this is a JSON file, not an ONNX model
! inspect C                                       | this is a Parquet file, not an ONNX model
! inspect D                                       | it is not a regular file but a folder
! inspect $T/empty.onnx                           | the file is empty
! inspect nothere.onnx                            | no such file or directory
! codes M $T/x.json -o -                          | this is a JSON file, and none of the formats of data knows it; give the format, one of npy
! codes M $T/*.jpeg --preprocess mnist-01 -o -    | the pattern matches no file; in $T there are
! codes M C -o -                                  | no column holds image files
dedup M                                         | is an ONNX model, and dedup reads codes; make them first: onnxprobe codes MODEL DATA -o codes.parquet
search P --all                                  | is a PNG picture, and search reads codes; make them first
! dedup $T/x.json                                 | this is a JSON file, not a result; results are read from .parquet
! dedup $T/wrong.parquet                          | this is a .npy array, whatever its name says
! search D --all                                  | codes of pictures are made first: onnxprobe codes MODEL
search C                                        | --query ITEM, --query CODES, or --all
search C --query nope                           | it has 100 items, such as
search C --query $T/photo.jpg                   | Make codes of it first
search C --all --query x                        | give --query or --all, not both
search C --all -k 0                             | -k 0: 1 or more
search C --all --on sketches                    | did you mean sketch?
search C --all -o x.npy                         | use .parquet or .jsonl
search C --all --sheet 3                        | it goes with --plot
dedup C --distance x                            | a number of bits
dedup C --distance 1.5                          | a fraction is from 0 to below 1
dedup C --distance atuo                         | did you mean auto?
dedup C --distance 10000                        | cannot differ in more; give fewer
dedup C C                                       | dedup takes one result with codes
dedup C --keep C                                | --force replaces it
evaluate C --logistic                           | --logistic goes with --test
evaluate C --test C --test C                    | evaluate takes the CODES of one test set
evaluate C --sites nope                         | the codes have 9
evaluate C --clusters 5                         | --clusters goes with --kmeans or --unlabeled
evaluate C --eta 0.1                            | it goes with --unlabeled
! report nothere                                  | nothere: no such file or directory
report C -o $T/r.pdf                            | --figures DIR writes figures
compare X -a M -b M                             | evaluate NEW --churn OLD --by-site
dynamics M --train D -o run                     | give --train DATA and --test DATA
dynamics M --train D --test D                   | say where to work: -o DIR
dynamics M --train D --test D -o r --attack inf | did you mean linf?
dynamics M --train D --test D -o r --epsilon 1  | --epsilon changes nothing here; it goes with --attack
phases M --train D --test D -o r                | phases reads a table that lists models
complexity X -o - --radius 0                    | a radius is positive and finite
complexity X -o - --radius abc                  | want a number, or several with commas between them
complexity X -o - --radius 0.1 0.2              | have commas between them: --radius 0.1,0.2
complexity X -o - --radius 0.1,0.1              | --radius 0.1 is given twice
complexity X -o - --directions 1000             | between 1 and 64 can be had
! complexity X -o - --frame none.npy              | none.npy: no such file or directory
compare X -a ort -b tensorrt                    | the choices are auto, ort, gorgonia
compare X -a ort,thread=1                       | the keys are device, threads, batch
compare X -a ort,threads=x                      | want a whole number, 0 or more
compare X --decide float32                      | did you mean float64?
affine X                                        | choose one with --index 0 to 99
affine X --index 1000                           | the data has 100 items, counted from 0
affine X --index 0 --row 99                     | it has 10, counted from 0
affine X --index 0 --row a                      | want a whole number, or several with commas
affine X --index 0 --value nope                 | the last that they make: ["logits"
affine X --index 0 --backend ort                | take --backend gorgonia
attach M                                        | say where to write the probed model: -o PROBED.onnx
attach M -o M --force                           | is what the result would be made from; write it elsewhere
bench M --batches big                           | as in 1,8,32, or auto
bench M --radius 0.1                            | --radius goes with --complexity
bench M --seconds 0                             | --seconds is above 0
hash X                                          | say where the job is kept: -o DIR
hash X -o D                                     | give a new folder, which is made, or an empty one
hash X -o $T/x.json                             | it is a file, and a job is a folder
hash X -o $T/j --mode overwite                  | the modes are incremental and extend; --force begins anew
hash X -o $T/j --output-format csv              | the choices are parquet, npy, jsonl
hash X -o $T/j --shard-size 0                   | --shard-size 0: 1 or more
hash X -o $T/j --faiss --sketch 100             | a multiple of 8
! hash run $T/nothere                             | onnxprobe hash plan makes one
hash run $T --shard 5/4                         | indices count from 0
regions D                                       | --regions FILE, DIR, slic:N, lines, boxes:MODEL or labels:MODEL
regions D --regions lines -o x.docx             | name the format: coco, csv
runtime install --client conda                  | the choices are pip, npm
inspect M --input-size 8by8                     | write HxW or CxHxW, for example 224x224
inspect M --backend gorgonia                    | --backend goes with --engines
codes X -o - --isolate no                       | give --isolate its choice after an equals sign: --isolate=no
codes X -o - --timeout 20                       | write a time such as 20s
codes X -o - --max-memory much                  | write a number of bytes, or one with
`

func TestMistakes(t *testing.T) {
	needORT(t)
	dir := t.TempDir()
	at := func(name, content string) { spill(t, filepath.Join(dir, name), []byte(content)) }
	at("photo.jpg", "\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01")
	at("x.json", "{\"a\": 1}\n")
	at("planned/plan.json", "{}")
	at("w.safetensors", "\x14\x00\x00\x00\x00\x00\x00\x00{\"a\":{\"dtype\":\"F32\"}}")
	at("lfs.onnx", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
	at("page.onnx", "<!DOCTYPE html><html>")
	at("m.onnx.gz", "\x1f\x8b\x08\x00\x00\x00")
	at("empty.onnx", "")
	at("wrong.parquet", "\x93NUMPY\x01\x00")
	var zipped bytes.Buffer
	z := zip.NewWriter(&zipped)
	if _, err := z.Create("net/data.pkl"); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	at("net.pt", zipped.String())
	pictures, err := filepath.Glob(digits + "/3/*.png")
	if err != nil || len(pictures) == 0 {
		t.Fatal(err)
	}
	codes := filepath.Join(dir, "codes.parquet")
	stdoutOf(t, "codes", resnet, digits, "--preprocess", "mnist-01", "--sketch", "64", "-o", codes)
	names := map[string]string{"M": resnet, "D": digits, "C": codes, "P": pictures[0]}
	goes := regexp.MustCompile(`strconv\.|float64Slice|intSlice|stringArray|uint64|\bint64\b|invalid argument|%!`)
	n := 0
	for line := range strings.Lines(mistakes) {
		command, remedy, ok := strings.Cut(strings.TrimSpace(line), "|")
		if !ok {
			continue
		}
		n++
		code := exitUsage
		if rest, file := strings.CutPrefix(command, "! "); file {
			code, command = exitFailed, rest
		}
		var args []string
		for _, w := range strings.Fields(command) {
			if w == "X" {
				args = append(args, resnet, digits, "--preprocess", "mnist-01")
				continue
			}
			if long := names[w]; long != "" {
				w = long
			}
			args = append(args, strings.ReplaceAll(w, "$T", dir))
		}
		remedy = strings.ReplaceAll(strings.TrimSpace(remedy), "$T", dir)
		r := do(args...)
		if r.code != code || !strings.Contains(r.messages, remedy) {
			t.Errorf("%s: exit code %d, want %d and a message with %q:\n%s", strings.TrimSpace(command), r.code, code, remedy, r.messages)
		}
		if r.stdout != "" && !strings.Contains(command, "report") {
			t.Errorf("%s: on standard output: %.200s", command, r.stdout)
		}
		if goes.MatchString(r.messages) {
			t.Errorf("%s: names of Go in its message: %s", command, r.messages)
		}
	}
	if n < 150 {
		t.Errorf("%d mistakes", n)
	}
	for _, left := range []string{"ut.npy", "run", "r"} {
		if _, err := os.Stat(left); err == nil {
			t.Errorf("%s was made", left)
		}
	}
}
