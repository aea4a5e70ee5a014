package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// licenses are those of Go and of every module that the programs hold, for any system: most
// of them are to go with the program.
func licenses(ctx context.Context, tree string) ([]byte, error) {
	where := map[string]string{}
	for _, t := range append([]target{{"linux", "amd64", true}}, static...) {
		list, err := output(ctx, tree, append(t.environment(""), "GOFLAGS=-mod=readonly"), "go", "list", "-deps", "-f",
			"{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}\t{{.Dir}}{{end}}{{end}}", "./cmd/onnxprobe")
		if err != nil {
			return nil, fmt.Errorf("listing the modules of the program: %w", err)
		}
		for line := range strings.Lines(list) {
			if name, dir, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
				where[name] = dir
			}
		}
	}
	root, err := output(ctx, tree, nil, "go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	where["Go"] = strings.TrimSpace(root)
	var names []string
	for name := range where {
		names = append(names, name)
	}
	slices.Sort(names)
	var b bytes.Buffer
	for _, name := range names {
		texts, err := licensesIn(where[name])
		if err != nil {
			return nil, fmt.Errorf("reading the license of %s: %w", name, err)
		}
		fmt.Fprintf(&b, "==== %s\n\n", name)
		for _, text := range texts {
			b.Write(append(bytes.TrimSpace(text), "\n\n"...))
		}
	}
	return b.Bytes(), nil
}

// licensesIn are the texts of a module's licenses; none is an error.
func licensesIn(dir string) (texts [][]byte, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name := strings.ToUpper(e.Name())
		begins := func(with string) bool { return strings.HasPrefix(name, with) }
		if !e.Type().IsRegular() || !slices.ContainsFunc([]string{"LICENSE", "LICENCE", "COPYING", "NOTICE", "PATENTS"}, begins) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	if texts == nil {
		return nil, fmt.Errorf("%s has none", dir)
	}
	return texts, nil
}
