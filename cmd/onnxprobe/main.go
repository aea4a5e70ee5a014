// Command onnxprobe finds where a network bends and reports on which side of
// every bend each input falls.
package main

import (
	"cmp"
	"context"
	"io"
	"math"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/engine/backends"
	"github.com/onnxprobe/onnxprobe/engine/isolate"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

func main() {
	isolate.Main(backends.All...)
	// What the program allocates is short-lived and in large pieces: half of the
	// default headroom costs nothing to measure and keeps the peak near the need.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	watch()
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program, for tests too.
func run(args []string, stdin io.Reader, w, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), signals()...)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // where nothing watches, as in tests, another signal ends the process
	}()
	kept.Store(nil)
	out := &stdout{w: w}
	err := guarded(func() error { return perform(ctx, args, stdin, out, stderr) })
	return end(err, out, stderr)
}

// commandKey is where the context of a verb keeps its command line.
type commandKey struct{}

// perform runs one command line.
func perform(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	for _, a := range args {
		if strings.HasPrefix(a, "-out.") || strings.HasPrefix(a, "-output") {
			return usagef("%s is -o %s; write -o FILE or --output FILE", a, a[2:])
		}
	}
	root := newRoot(stdin, stdout, stderr)
	root.SetArgs(args)
	return root.ExecuteContext(context.WithValue(ctx, commandKey{}, append([]string{root.Name()}, args...)))
}

// noneEmpty reports a flag without a value that is none by default: a variable of a script's
// that is not set is not to be taken for a flag that was left out.
func noneEmpty(c *cobra.Command) (err error) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed && f.Value.Type() == "string" && f.DefValue == "" && f.Value.String() == "" {
			err = usagef("--%s is empty; give it a value, or leave it out", f.Name)
		}
	})
	return err
}

// commandLine is the command line that c serves, for manifests.
func commandLine(c *cobra.Command) []string {
	line, _ := c.Context().Value(commandKey{}).([]string)
	return line
}

func newRoot(stdin io.Reader, stdout, stderr io.Writer) *cobra.Command {
	root := command("onnxprobe", nil)
	root.Version, root.SilenceUsage, root.SilenceErrors = result.Version(), true, true

	root.SetFlagErrorFunc(flagError)
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error {
		sayRenamed(c)
		return cmp.Or(noneEmpty(c), chosen(c), idle(c))
	}
	root.AddCommand(newInspect(), newRun(), newAttach(), newCodes(), newComplexity(), newCompare(), newHash(), newAffine(),
		newRegions(), newSearch(), newDedup(), newEvaluate(), newReport(), newDynamics(), newPhases(), newBench(),
		newRuntime(), newList(), newDemo(), newVersion())
	root.PersistentFlags().Bool("quiet", false, "")
	root.SetIn(stdin)
	root.SetOut(stdout) // before the completion command, which keeps it
	root.SetErr(stderr)
	root.SetHelpCommand(newHelp(root))
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	group(root)
	addRenamed(root)
	arrange(root)
	offer(root)
	for _, c := range root.Commands() {
		if c.Name() == "completion" || c.Name() == "runtime" {
			group(c)
		}
		for _, shell := range c.Commands() {
			if c.Name() == "completion" {
				shell.Args = exactly(0, "no arguments")
			}
		}
	}
	return root
}

// group makes c, which only gathers other commands, print its help when none of
// them is named, and report one that it does not have.
func group(c *cobra.Command) {
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknown(c, args[0])
		}
		return nil
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
}

// exactly and atLeast are cobra's argument checks as usage errors.
func exactly(n int, what string) cobra.PositionalArgs { return within(n, n, what) }
func atLeast(n int, what string) cobra.PositionalArgs { return within(n, math.MaxInt, what) }

func within(least, most int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := cmp.Or(spacedMode(c, args), spaced(c, args), roles(c, args)); err != nil {
			return err
		}
		if n := len(args); n < least || n > most {
			return usagef("%s takes %s; see %s --help", c.Name(), what, c.CommandPath())
		}
		return nil
	}
}
