package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// completed are the words that a shell is offered behind args.
func completed(t *testing.T, args ...string) (words []string, directive string) {
	t.Helper()
	out := stdoutOf(t, append([]string{"__complete"}, args...)...)
	lines := strings.Split(strings.TrimRight(out, "\n"), "\n")
	for _, l := range lines[:len(lines)-1] {
		word, _, _ := strings.Cut(l, "\t")
		words = append(words, word)
	}
	return words, lines[len(lines)-1]
}

// Shells are offered verbs, flags, and the values that a flag takes: every flag with choices has
// them in every verb, and none offers files where it takes none.
func TestCompletion(t *testing.T) {
	for path, c := range commands() {
		visible(c, func(f *pflag.Flag) {
			of := choiceOf(c, f.Name)
			if of.names == nil || f.Name == "regions" {
				return
			}
			args := append(strings.Fields(path)[1:], "--"+f.Name+"=")
			if got, _ := completed(t, args...); !slices.Equal(got, of.names) {
				t.Errorf("%q is completed by %q, want %q", args, got, of.names)
			}
		})
	}
	codes := filepath.Join(t.TempDir(), "c.parquet")
	stdoutOf(t, "codes", resnet, digits, "--preprocess", "mnist-01", "--backend", "gorgonia", "--sites", "layer1*", "-o", codes)
	const files, none, only = ":0", ":4", ":8"
	for _, c := range []struct {
		args      []string
		has       []string
		hasNot    string
		directive string
	}{
		{[]string{"co"}, []string{"codes", "compare", "complexity", "completion"}, "dedup", none},
		{[]string{"hash", "p"}, []string{"plan"}, "run", only},
		{[]string{"help", ""}, []string{"codes", "radius", "exit-codes"}, "", none},
		{[]string{"help", "hash", ""}, []string{"plan", "verify"}, "codes", none},
		{[]string{"list", ""}, []string{"presets", "activations"}, "", none},
		{[]string{"codes", ""}, []string{"onnx"}, "", only},
		{[]string{"dedup", ""}, []string{"parquet", "npy"}, "onnx", only},
		{[]string{"codes", resnet, ""}, nil, "onnx", files},
		{[]string{"codes", resnet, "--sites", ""}, []string{"relu", "layer1.0.relu_1", "layer1.*"}, "layer9", none},
		{[]string{"codes", resnet, "--sites", "layer2"}, []string{"layer2.0.relu"}, "", none}, // bash, zsh and fish choose
		{[]string{"codes", "nothing.onnx", "--sites", ""}, nil, "", none},
		{[]string{"evaluate", codes, "--sites", ""}, []string{"layer1.1.relu"}, "relu", none},
		{[]string{"hash", resnet, digits, "--code-sites", ""}, []string{"layer3.0.relu"}, "", none},
		{[]string{"affine", mlp, "--value", ""}, []string{"logits"}, "", none},
		{[]string{"codes", resnet, "--limit", ""}, nil, "", none},
		{[]string{"codes", resnet, "--plot", ""}, []string{"svg", "html"}, "", only},
		{[]string{"codes", resnet, "--preprocess", "im"}, []string{"imagenet", "imagenet-v2"}, "", files},
		{[]string{"codes", resnet, "--pre"}, []string{"--precision", "--preprocess"}, "--no-code", none},
		{[]string{"codes", resnet, "--no-"}, []string{"--no-arena"}, "--no-code", none},
	} {
		got, directive := completed(t, c.args...)
		for _, want := range c.has {
			if !slices.Contains(got, want) {
				t.Errorf("%q is completed by %q, without %s", c.args, got, want)
			}
		}
		if c.hasNot != "" && slices.Contains(got, c.hasNot) {
			t.Errorf("%q is completed by %s", c.args, c.hasNot)
		}
		if directive != c.directive {
			t.Errorf("%q ends with %s, want %s", c.args, directive, c.directive)
		}
	}
	plain, _ := completed(t, "codes", cnn, "--sites", "")
	if pools, _ := completed(t, "codes", cnn, "--include-maxpool", "--sites", ""); len(pools) <= len(plain) {
		t.Errorf("with --include-maxpool %q, without %q", pools, plain)
	}
}

// The scripts are ones that their shells read, where these are here.
func TestCompletionScripts(t *testing.T) {
	for shell, check := range map[string][]string{"bash": {"-n"}, "zsh": {"-n"}, "fish": {"--no-execute"}} {
		script := spill(t, filepath.Join(t.TempDir(), "script"), []byte(stdoutOf(t, "completion", shell)))
		program, err := exec.LookPath(shell)
		if err != nil {
			t.Logf("%s is not here: its script is not read", shell)
			continue
		}
		if out, err := exec.Command(program, append(check, script)...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", shell, err, out)
		}
	}
}
