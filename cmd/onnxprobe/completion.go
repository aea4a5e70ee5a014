package main

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// offer gives a command, and those below it, the values that shells offer for arguments and
// flags.
func offer(c *cobra.Command) {
	if c.ValidArgsFunction == nil && c.ValidArgs == nil {
		c.ValidArgsFunction = argumentsOf(c)
	}
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if values := valuesOf(c, f); values != nil {
			_ = c.RegisterFlagCompletionFunc(f.Name, values)
		}
	})
	for _, below := range c.Commands() {
		offer(below)
	}
}

// offered is what cobra asks for when a shell completes.
type offered = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// argumentsOf are the arguments that usage names: a MODEL first, CODES, or files.
func argumentsOf(c *cobra.Command) offered {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		switch words := strings.Fields(c.Use); {
		case len(words) == 1:
			return nil, cobra.ShellCompDirectiveNoFileComp
		case words[1] == "MODEL" && len(args) == 0:
			return []string{"onnx"}, cobra.ShellCompDirectiveFilterFileExt
		case words[1] == "CODES" && len(args) == 0:
			return []string{"parquet", "npy", "jsonl", "faiss"}, cobra.ShellCompDirectiveFilterFileExt
		case words[1] == "DIR":
			return nil, cobra.ShellCompDirectiveFilterDirs
		}
		return nil, cobra.ShellCompDirectiveDefault
	}
}

// valuesOf are the values of a flag, nil where it takes files or anything at all.
func valuesOf(c *cobra.Command, f *pflag.Flag) offered {
	switch f.Name {
	case "sites", "code-sites":
		return sitesOf
	case "value":
		return valuesInModel
	case "input", "frame-input", "region-input":
		return inputsInModel
	case "plot":
		return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"svg", "png", "html"}, cobra.ShellCompDirectiveFilterFileExt
		}
	}
	of := choiceOf(c, f.Name)
	name, _ := pflag.UnquoteUsage(f)
	switch {
	case of.names != nil && of.others && (strings.HasSuffix(f.Name, "preprocess") || f.Name == "regions"):
		return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return of.names, cobra.ShellCompDirectiveDefault
		}
	case of.names != nil:
		return cobra.FixedCompletions(of.names, cobra.ShellCompDirectiveNoFileComp)
	case name == "DIR":
		return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		}
	case strings.Contains(name, "FILE"), name == "DATA", name == "CODES", name == "ITEM":
		return nil
	}
	return cobra.NoFileCompletions
}

// named is the model that the first argument names, nil where it names none.
func named(args []string) *onnx.Model {
	if len(args) == 0 {
		return nil
	}
	m, err := onnx.LoadWith(args[0], onnx.LoadOptions{AllowLinks: true})
	if err != nil {
		return nil
	}
	return m
}

// sitesOf are the names of the sites of the model, or of the codes, that the first argument
// names, each with what bends there; and a glob for each part of their paths that several share.
func sitesOf(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var found []string
	if m := named(args); m != nil {
		if plain, err := rewrite.Plain(m); err == nil {
			m = plain
		}
		var o site.Options
		o.MaxPool, _ = c.Flags().GetBool("include-maxpool")
		o.Gemm, _ = c.Flags().GetBool("include-gemm")
		if all, err := site.Find(m, o); err == nil {
			for _, s := range all.Sites {
				found = append(found, s.Name+"\t"+s.Op)
			}
		}
	} else if len(args) > 0 {
		path := result.ManifestPath(args[0])
		if st, err := os.Stat(args[0]); err == nil && st.IsDir() {
			path = args[0] + "/manifest.json"
		}
		if m, err := result.ReadManifest(path); err == nil {
			for _, s := range m.Sites {
				found = append(found, s.Name+"\t"+s.Op)
			}
		}
	}
	shared := map[string]int{}
	for _, s := range found {
		if top, _, below := strings.Cut(s, "."); below {
			shared[top]++
		}
	}
	for top, n := range shared {
		if n > 1 {
			found = append(found, top+".*\tall of them")
		}
	}
	slices.Sort(found)
	return found, cobra.ShellCompDirectiveNoFileComp
}

// valuesInModel are the outputs of the model that the first argument names, and what a
// Softmax reads there.
func valuesInModel(_ *cobra.Command, args []string, _ string) (all []string, _ cobra.ShellCompDirective) {
	if m := named(args); m != nil {
		for _, v := range m.Graph.Outputs {
			all = append(all, v.Name+"\toutput")
		}
		for _, n := range m.Graph.Nodes {
			if n.Op == "Softmax" && len(n.Inputs) > 0 {
				all = append(all, n.Inputs[0]+"\twhat a Softmax reads")
			}
		}
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}

// inputsInModel are the inputs of the model that the first argument names, as --input takes
// them.
func inputsInModel(_ *cobra.Command, args []string, _ string) (all []string, _ cobra.ShellCompDirective) {
	if m := named(args); m != nil {
		if _, beside, err := probes.Inputs(m); err == nil {
			for _, p := range beside {
				all = append(all, p.Name+"=")
			}
		}
	}
	return all, cobra.ShellCompDirectiveNoSpace
}
