package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// codesFlags are common to the verbs that read codes and write what they say.
type codesFlags struct {
	on, output  string
	threads     int
	memory      float64
	force, json bool
	logits      bool // what the network predicted is read too
	plot        plotFlag
}

func (f *codesFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.on, "on", "", "")
	fs.StringVarP(&f.output, "output", "o", "", "")
	fs.IntVar(&f.threads, "threads", 0, "")
	fs.Float64Var(&f.memory, "memory", 8, "")
	fs.BoolVar(&f.force, "force", false, "")
	fs.BoolVar(&f.json, "json", false, "")
	f.plot.add(fs)
}

// check reports what is wrong with the flags before anything is read.
func (f *codesFlags) check(inputs []string) error {
	if f.threads < 0 {
		return usagef("--threads %d: 0 or more", f.threads)
	}
	if !(f.memory > 0) {
		return usagef("--memory %g: more than 0", f.memory)
	}
	output := f.output
	if output == "-" { // what is drawn is what was found, which no file need hold
		output = ""
	}
	return f.plot.check(output, f.force, inputs...)
}

// newFile is an error when path exists, unless force is set.
func newFile(path string, force bool) error {
	if _, err := os.Lstat(path); err == nil && !force {
		return fmt.Errorf("%s exists; --force replaces it", path)
	}
	return nil
}

// newOutput reports what is wrong with the file that a flag names, "" for none.
func newOutput(flag, path string, force bool, inputs []string) error {
	if path == "" {
		return nil
	}
	if path == "-" {
		return usagef("%s -: this goes to a file, not to standard output; name one", flag)
	}
	if err := newFile(path, force); err != nil {
		return usagef("%s: %w", flag, err)
	}
	return keep(path, inputs)
}

// newTable reports what is wrong with the file of rows that -o names, if it names one.
func newTable(path string, force bool, inputs []string) error {
	if path == "" || path == "-" {
		return nil
	}
	if strings.EqualFold(filepath.Ext(path), ".npy") {
		return usagef("writing %q: the results are no array; use .parquet or .jsonl", path)
	}
	if err := result.Check(path, force); err != nil {
		return usageError{err}
	}
	return keep(path, inputs)
}

// open reads the codes of the first of some kinds that a result has, "" for whichever
// Open takes, and notes what is to be known of them. names says that no more is needed.
func (f *codesFlags) open(c *cobra.Command, path string, names bool, kinds ...string) (*encoding.Codes, error) {
	var codes *encoding.Codes
	var err error
	for _, on := range kinds {
		codes, err = encoding.Open(path, encoding.OpenOptions{
			On: on, MaxBytes: int64(f.memory * (1 << 30)), Names: names, Logits: f.logits,
		})
		var none *encoding.NoCodesError
		if !errors.As(err, &none) { // codes that cannot be read have no others in their place
			break
		}
	}
	if st, bad := os.Stat(path); bad == nil && st.IsDir() && err != nil && strings.HasSuffix(err.Error(), "files") {
		return nil, fmt.Errorf("%w; codes of pictures are made first: onnxprobe codes MODEL %s -o codes.parquet", err, path)
	}
	var large *encoding.TooLargeError
	if errors.As(err, &large) {
		return nil, fmt.Errorf("%w; raise --memory, or compare sketches, which codes --sketch writes", err)
	}
	if err != nil {
		return nil, err
	}
	for _, n := range codes.Notes {
		note(c, "%s", n)
	}
	all := text.Count(codes.Failed+codes.Len(), "item")
	if codes.Failed > 0 && codes.Len() == 0 {
		return nil, fmt.Errorf("none of %s of %s has a %s: its rows say why", all, path, codes.On)
	}
	if codes.Failed > 0 {
		note(c, "%d of %s of %s have no %s and are left out", codes.Failed, all, path, codes.On)
	}
	return codes, nil
}

// manifestOfCodes is the manifest of a result made from codes.
func manifestOfCodes(c *cobra.Command, settings map[string]any, codes ...*encoding.Codes) *result.Manifest {
	m := result.NewManifest(c.Name(), commandLine(c))
	m.Settings = settings
	for _, x := range codes {
		in := result.Input{Path: x.Name, On: x.On, Items: x.Len(), Failed: x.Failed, Bits: x.Bits, Full: x.FullBits}
		if x.Origin != nil {
			in.Manifest = x.Origin
		}
		m.Inputs = append(m.Inputs, in)
	}
	return m
}

// foundFlags are those of search and dedup.
type foundFlags struct {
	codesFlags
	distance distanceFlag
}

func (f *foundFlags) add(fs *pflag.FlagSet) {
	f.codesFlags.add(fs)
	fs.StringVar(&f.distance.text, "distance", "", "")
	fs.IntVar(&f.plot.rows, "sheet", 200, "")
}

func (f *foundFlags) check(inputs []string) error {
	if f.plot.rows < 1 {
		return usagef("--sheet %d: 1 or more", f.plot.rows)
	}
	if err := f.distance.parse(); err != nil {
		return err
	}
	if f.on == encoding.Digest && f.distance.near() {
		return usagef("--distance %s: digests are equal or not; compare sketches or codes", f.distance.text)
	}
	if err := newTable(f.output, f.force, inputs); err != nil {
		return err
	}
	return f.codesFlags.check(inputs)
}

// tell writes what was found where the flags say: to the file of -o, on a plot of what was
// found in the codes called name, and to a person by print.
func (f *foundFlags) tell(
	c *cobra.Command, m *result.Manifest, name string, r interface{ WriteTo(result.Sink) error }, print func(io.Writer) error,
) error {
	if f.output != "" {
		sink, err := result.Create(f.output, result.Options{Force: f.force, Stdout: c.OutOrStdout()})
		if err != nil {
			return err
		}
		defer sink.Abort()
		if err := r.WriteTo(sink); err != nil {
			return err
		}
		if err := commit(sink, m); err != nil {
			return err
		}
	}
	var err error
	switch {
	case f.json && f.output != "-":
		err = printJSON(c.OutOrStdout(), r)
	case f.output == "":
		err = print(c.OutOrStdout())
	}
	f.plot.manifest = m
	return f.plot.printed(c, err, name, r)
}
