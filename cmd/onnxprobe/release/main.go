// Command release makes what users download: the pure-Go program for each system, the one
// with ONNX Runtime for this system, Python wheels that carry them, and their checksums.
//
//	go run ./cmd/onnxprobe/release -o dist
//	go run ./cmd/onnxprobe/release -proxy FOLDER    # a module proxy of the tag at HEAD
//
// It builds the commit at HEAD in a clone of its own, needs Go and git and, for the wheel
// with ONNX Runtime, a C compiler that links against an old C library: README.md says which.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, log io.Writer) error {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.SetOutput(log)
	out := flags.String("o", "dist", "the folder to write into: absent, empty, or a release's, which is replaced once the new one is whole")
	proxy := flags.String("proxy", "", "write the tag at HEAD as a Go module proxy into this folder, and nothing else")
	cc := flags.String("cc", "", "the C compiler, such as \"zig cc -target x86_64-linux-gnu.2.28\"; \"\" is zig where there is one, else Go's own choice")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("got the arguments %q, want flags alone: -o, -proxy, -cc", flags.Args())
	}
	repository, err := output(ctx, ".", nil, "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return fmt.Errorf("finding the repository: %w", err)
	}
	repository = strings.TrimSpace(repository)
	if *proxy != "" {
		return tagProxy(ctx, repository, *proxy, log)
	}
	if changed, err := output(ctx, repository, nil, "git", "status", "--porcelain"); err != nil || changed != "" {
		fmt.Fprintln(log, "the working tree's changes are left out: what is built is the commit at HEAD")
	}
	tree, err := os.MkdirTemp("", "onnxprobe-release-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tree)
	// Go finds the commit only in a clone: in a linked worktree it does not look.
	if _, err := output(ctx, tree, nil, "git", "clone", "--quiet", repository, "."); err != nil {
		return fmt.Errorf("cloning %s: %w", repository, err)
	}
	return (&release{tree: tree, dir: *out, cc: *cc, log: log}).all(ctx)
}

// output runs a command in dir, with env beside the environment, and is its standard output.
func output(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = dir, append(os.Environ(), env...)
	var said strings.Builder
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, said.String())
	}
	return string(out), nil
}
