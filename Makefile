# Two commands do everything on a fresh machine: make demo, make test.
GO ?= go
BIN := bin/onnxprobe

.PHONY: all build static runtime demo test check lint fuzz bench same release clean

all: build

build:
	$(GO) build -buildvcs=auto -o $(BIN) ./cmd/onnxprobe

# One file that needs no library, with the pure-Go engine alone.
static:
	CGO_ENABLED=0 $(GO) build -buildvcs=auto -o $(BIN)-static ./cmd/onnxprobe

# ONNX Runtime goes to the user's cache folder; a second time this does nothing.
runtime: build
	$(BIN) runtime install

demo: runtime
	$(BIN) demo

# With ONNX Runtime required, so that nothing is skipped for want of it.
test: runtime
	ONNXPROBE_REQUIRE_ORT=1 $(GO) test ./...

# What takes too long for every change, in full where test takes a part: every float for
# the activations that are applied while packing, a million pairs of points of one code,
# random networks, 200 pages of handwriting, the memory of every verb over a large tar
# file, every call of a job that can fail and 300 kills, 2,000 models that are made to
# harm, the README files' commands that fetch something; and the race detector over what
# runs at once.
check: runtime
	ONNXPROBE_REQUIRE_ORT=1 ONNXPROBE_TAR_MEMORY=1 ONNXPROBE_EVERY_FLOAT=1 ONNXPROBE_EVERY_FAULT=1 ONNXPROBE_EVERY_PAGE=1 ONNXPROBE_PAIRS=1000000 ONNXPROBE_SEEDS=0:3000 ONNXPROBE_MODELS=0:2000 ONNXPROBE_EVERY_COMMAND=1 \
	  $(GO) test -count=1 -timeout 4h -v \
	  -run 'TestActivationsAreONNXRuntimes|TestOneCodeIsOneAffineMap|TestFusedRandomNetworks|TestTarMemoryIsConstant|TestFaultsOfTheStore|TestHashEveryCallFails|TestHashKilledAnywhere|TestHashWholeTogether|TestLinesOfManuscripts|TestHostileGrammar|TestREADMEs' \
	  ./engine/ort ./probes ./probes/job ./probes/region/segment ./benchmarks ./cmd/onnxprobe
	ONNXPROBE_REQUIRE_ORT=1 $(GO) test -race -count=1 -timeout 4h ./engine/ort ./engine/dataset ./probes ./probes/job ./probes/internal/store

lint:
	test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 -checks inherit,-ST1005 ./... # some messages begin with a name

# One minute for each fuzz target; FUZZTIME=5s for a short one. Go's coordinator now and
# then fails with its own deadline when the time is over (golang/go#75804); whatever a
# target finds is written down as an input, so without one that is no finding.
FUZZTIME ?= 60s
fuzz:
	@log=$$(mktemp); trap 'rm -f '$$log EXIT; \
	grep -rl --include='*_test.go' 'func Fuzz' . | xargs -n1 dirname | sort -u | while read p; do \
	  for f in $$(grep -ho 'func Fuzz[A-Za-z0-9]*' $$p/*_test.go | cut -c6-); do \
	    echo "$$p $$f"; \
	    if $(GO) test $$p -run=^$$ -fuzz=^$$f$$ -fuzztime=$(FUZZTIME) -fuzzminimizetime=1x >$$log 2>&1; then cat $$log; continue; fi; \
	    cat $$log; \
	    if grep -q '^    context deadline exceeded$$' $$log && ! grep -q 'Failing input\|panic:\|_test.go:' $$log; then \
	      echo "$$p $$f: ended by its deadline, with no finding"; \
	    else exit 1; fi; \
	  done; done

# See benchmarks/README.md for the comparison with PyTorch and on other models.
bench: runtime
	$(GO) test ./benchmarks -run='^$$' -bench=. -benchtime=10x

# Whether every verb still gives what it gave at a git revision: make same BEFORE=HEAD~3.
same: runtime
	GO="$(GO)" benchmarks/same.sh "$(BEFORE)"

# What users download, of the commit at HEAD: programs for six systems, Python wheels, and
# their checksums. See cmd/onnxprobe/release/README.md.
release:
	$(GO) run ./cmd/onnxprobe/release -o dist

clean:
	rm -rf bin dist
