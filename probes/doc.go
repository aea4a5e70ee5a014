// Package probes attaches probes to the places where a network bends, runs the network, and
// gives back activation codes, local complexity, and what probes of your own measure. This
// page is the guide to the library; onnxprobe's command line is made of the same packages.
//
// A ReLU network is made of flat pieces. Each unit is a straight line with one bend, and
// between bends the whole network is one affine map. The side of its bend that each unit
// lies on, one bit a unit, is the code of an input: the address of its piece.
//
// # A program
//
// This one writes the code of every picture in a folder, and the code's digest, to a file:
//
//	package main
//
//	import (
//		"context"
//		"log"
//		"os"
//
//		"github.com/onnxprobe/onnxprobe/engine/backends"
//		"github.com/onnxprobe/onnxprobe/engine/dataset"
//		"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
//		"github.com/onnxprobe/onnxprobe/onnx"
//		"github.com/onnxprobe/onnxprobe/probes"
//		"github.com/onnxprobe/onnxprobe/probes/result"
//	)
//
//	func main() {
//		model := must(onnx.Load("resnet50.onnx"))
//		prepared := must(picture.ParsePreprocess("imagenet"))
//		photos := must(dataset.Open([]string{"photos"}, dataset.Options{Preprocess: &prepared}))
//		engine := must(backends.Choose(backends.Request{})) // ONNX Runtime where it is installed
//		out := must(result.Create("codes.parquet", result.Options{}))
//		must(probes.Run(context.Background(), probes.Request{Model: model, Data: photos, Backend: engine,
//			Probes: []probes.Probe{probes.Digest{}, probes.Code{}}, Command: os.Args}, out))
//	}
//
//	func must[T any](v T, err error) T {
//		if err != nil {
//			log.Fatal(err)
//		}
//		return v
//	}
//
// # The pieces
//
//   - A model, [onnx.Model], is what [onnx.Load] makes of a file. Nothing here changes one:
//     what is attached goes into a copy that shares its weights.
//   - A site, [site.Site], is a place where an activation is applied, called as PyTorch calls
//     the module. [site.Find] finds them; [site.Options] choose some. What bends and has no
//     site is named, in [Plan.Unwatched].
//   - Data are a [dataset.Dataset]: [dataset.Open] reads pictures and arrays, [dataset.Memory]
//     takes samples that the program made, and a type of yours with its four methods will do.
//   - An engine, [engine.Backend], runs models.
//   - A plan, [Plan], is the probed model that [Attach] makes, an ordinary ONNX model, and what
//     its outputs mean.
//   - A prober, [Prober], is a plan made ready on an engine. It holds the sessions.
//   - A probe, [Probe], says what is measured: [Code], [Digest], [Sketch], [Fragile],
//     [Channels], [Complexity], [Outputs], or one of yours.
//   - A sink, [result.Sink], takes the rows, one for each item: [result.Create] makes a file
//     of them, [result.Memory] keeps them.
//
// [Run] does all of it. For several datasets of one shape, [Open] once and call [Prober.Run]
// for each. To have tensors instead of rows, call [Prober.Infer]. To run the probed model
// somewhere else, save what [Attach] gives: [Strip], then [onnx.Model.Save].
//
// # Results in memory
//
// With [result.Memory] as the sink nothing is written to disk:
//
//	out := result.Memory()
//	sum, err := probes.Run(ctx, request, out)
//	...
//	err = out.Read(nil, func(batch []result.Column) error {
//		for _, c := range batch {
//			switch values := c.Values.(type) {
//			case []string: // a value a row: "id", "path", "class", "status", "error", "warning", "digest"
//			case []uint8: // c.Width bytes a row: "code", "sketch"
//			}
//		}
//		return nil
//	})
//
// A row begins with the columns id, path, label, class, status, error and warning; those of the
// probes follow, in the order of [Request.Probes]. [result.Column] says how values lie, and which
// are null. [result.Table.Manifest] has the sites with the place of each in the code, and all by
// which the run can be repeated. Bit i of a code is [Bit], and [Hamming] is the distance of two.
//
// [result.Open] reads a file in the same way. Rows that should go somewhere else, a database
// say, go into a [result.Sink] of yours: three methods, Write, Commit and Abort.
//
// # Probes of your own
//
// A probe is a small value with the methods of [Probe]. About names it. Attach is called for
// every site, and asks for what it wants there: the packed code ([Tap.Code]), or an output of
// its own ([Tap.Output]), which is made of the values before the activation by the other methods
// of [Tap]. Start gives the [Maker] for one session, whose Columns makes columns of each batch. A Maker
// that is a [Runner] sends other samples through the network, as [Complexity] does; one that
// is a [Recorder] adds to the manifest. The example of [Probe] is a whole one. It goes
// into [Request.Probes] beside others and is registered nowhere.
//
// # Choosing an engine
//
// [backends.Choose] takes ONNX Runtime where its library is found, else the pure-Go engine.
// Which one it took is [engine.Backend.Name]. One that is asked for by name is never replaced:
//
//	engine, err := backends.Choose(backends.Request{Name: "ort"})
//
// The pure-Go engine needs neither cgo nor a library, and gives derivatives, which package
// partition needs: backends.Request{Derivatives: true} asks for an [engine.Differentiator]. A program that has another
// package with protobuf's types of ONNX imports engine/ort alone, and takes ort.Backend{};
// [backends] says why. The examples of this module run on gorgonia.Backend{}.
//
// # Models from strangers
//
// Loading a model, finding its sites and attaching probes take time and memory in proportion
// to the file, and no file makes them panic or read outside the model's folder. Engines promise
// less: a small file can crash ONNX Runtime, and the program with it. A program that takes models
// from strangers runs the engine in a process of its own:
//
//	func main() {
//		isolate.Main(backends.All...) // first of all: returns unless this process is a worker
//		...
//		engine, err := backends.Choose(backends.Request{Isolate: isolate.Yes,
//			Limits: isolate.Limits{Memory: 4 << 30, Time: time.Minute}})
//
// On what systems that holds, and what it keeps a model from, is in [isolate].
//
// # Who owns what
//
//   - A model's weights stay in its file, which is mapped until the model is garbage: the file
//     must not be changed before. A session may share the weights.
//   - Inputs of an engine are only read. What [engine.Session] and [Prober.Infer] return is the
//     caller's, until it gives it back by Recycle.
//   - What a [Batch] gives a probe is valid until Columns returns, what
//     [dataset.Batches] gives until the next batch, and the slices that [result.Table.Read] gives
//     until the function returns. Strings can be kept. A sink keeps nothing of the columns that it
//     is given: [result.Memory] copies.
//   - [Prober], [engine.Session], [result.Table] of a file, and what else Open of a package
//     gives with a method Close, are closed by whoever opened them. [Run] commits the sink, or
//     aborts it where there is an error, and closes what it opened. Models, datasets, plans
//     and engines have nothing to close.
//   - Several goroutines may use one [onnx.Model], [dataset.Dataset], [Probe] or [engine.Backend]
//     at once, in runs of their own. A [Plan] that is being opened, a [Prober], a session, a
//     sink and a table serve one goroutine at a time. A run has goroutines of its own, all of
//     which have ended when it returns; cancelling its context ends it early.
//
// # Errors
//
// What is wrong with one item is a row: status "error", the reason beside it, the columns of
// the probes null. That is so of a file that cannot be read, of a sample with a NaN or an infinity
// in it, of an item for which the network returns NaN, and of one at which the engine fails or, in
// a process of its own, crashes. [Run] goes on, and returns no error where every item is such a row:
// look at Failed of the [result.Summary].
//
// What is wrong with anything else is an error of the call, and the sink is aborted: so it is where
// the engine fails whatever is in the batch, or goes beyond a limit. These types are found by
// [errors.As]:
//
//   - [*site.PatternError], a glob that matches no site, with the names that there are;
//     [*site.NoneError], a model without any; [*site.StrictError], bends without a site
//     where [site.Options] forbid them
//   - [*engine.UnavailableError], an engine or device that is not there, and how to get it
//   - [*engine.UnsupportedError], all nodes that the engine does not run
//   - [*engine.LostError], an engine that crashed, or went beyond a limit, in its own process
//   - [*engine.ModelError], the file of the model that an error is of
//   - [*PrecisionError] and [*SketchError], a request that does not fit the model
//   - [*dataset.MachineError], a fault of the machine, a full disk or a lost mount: nothing
//     is known of the item, and the same run may go well later
//   - [*engine.PanicError], a panic of a probe or a sink of yours, or a defect of this module; one
//     of a dataset's Sample is a row
//   - [onnx.Remedied], an interface: any error that a setting would mend, with the setting's name
//
// # What is exact
//
// Codes are those of the values that the engine computes, and reading them moves no output of
// the network by a bit in runs on a CPU, unless [site.Options] ask for max-poolings. Equal digests
// mean one linear region, as far as sites show what bends. A bit whose value lies within rounding of
// its knot may differ between engines, batch sizes and numbers of threads: the manifest has all
// of these, [Fragile] counts such bits, and [Compare] says which of two settings is right. On the
// pure-Go engine an item's numbers depend on neither batch nor threads.
//
// A sketch estimates distances of codes without bias. Local complexity is sampled: exact for the
// first layer, a lower bound deeper in. Affine maps of package partition are exact where the network
// is piecewise affine, which is checked against the network itself, and tangents elsewhere, which
// they say.
//
// # Further packages
//
//   - [encoding]: nearest codes, duplicates, what codes say of labels
//   - [partition]: the affine map at a point and the distance to its boundaries
//   - [region]: what of a code lies in a box, a mask or a line of text
//   - [job]: very many items, on many machines
//   - [dynamics]: many checkpoints of one network
//   - [attack]: small changes of the input that make a network misclassify
//   - [report]: figures, and a page of results
//
// [attack]: https://pkg.go.dev/github.com/onnxprobe/onnxprobe/probes/attack
// [backends]: https://pkg.go.dev/github.com/onnxprobe/onnxprobe/engine/backends
// [backends.Choose]: https://pkg.go.dev/github.com/onnxprobe/onnxprobe/engine/backends#Choose
// [dynamics]: https://pkg.go.dev/github.com/onnxprobe/onnxprobe/probes/dynamics
// [encoding]: https://pkg.go.dev/github.com/onnxprobe/onnxprobe/probes/encoding
// [isolate]: https://pkg.go.dev/github.com/onnxprobe/onnxprobe/engine/isolate
// [job]: https://pkg.go.dev/github.com/onnxprobe/onnxprobe/probes/job
// [partition]: https://pkg.go.dev/github.com/onnxprobe/onnxprobe/probes/partition
// [region]: https://pkg.go.dev/github.com/onnxprobe/onnxprobe/probes/region
// [report]: https://pkg.go.dev/github.com/onnxprobe/onnxprobe/probes/report
package probes
