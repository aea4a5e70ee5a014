package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// printer is a sink that shows plain inference to a person, a line an item.
type printer struct {
	w      *bufio.Writer
	labels []string
}

func (p *printer) Write(cols []result.Column) error {
	by := map[string]result.Column{}
	for _, c := range cols {
		by[c.Name] = c
	}
	ids := by["id"].Values.([]string)
	top, ranked := by["top"].Values.([]int64)
	score, _ := by["score"].Values.([]float64)
	for i, id := range ids {
		fmt.Fprint(p.w, text.Line(id))
		if by["status"].Values.([]string)[i] != "ok" {
			fmt.Fprintf(p.w, "  error: %s\n", text.Message(by["error"].Values.([]string)[i]))
			continue
		}
		if ranked {
			k := by["top"].Width
			for j := i * k; j < (i+1)*k; j++ {
				name := fmt.Sprint(top[j])
				if p.labels != nil {
					name = text.Line(p.labels[top[j]])
				}
				fmt.Fprintf(p.w, "  %s %.4g", name, score[j])
			}
		}
		fmt.Fprintln(p.w)
	}
	return p.w.Flush()
}

func (p *printer) Commit(any) error { return p.w.Flush() }
func (p *printer) Abort() error     { return nil }

func openFrame(path string, directions int, sample []int, seed uint64) (*probes.Frame, error) {
	if path == "" {
		f, err := probes.NewFrame(directions, tensor.Count(sample), seed)
		if err != nil {
			return nil, usageError{fmt.Errorf("--directions %d: %w", directions, err)}
		}
		return f, nil
	}
	return probes.ReadFrame(path)
}

func saveFrame(path string, f *probes.Frame) error {
	if err := result.Put(path, f.WriteNpy); err != nil {
		return fmt.Errorf("saving the frame: %w", err)
	}
	return nil
}

// show prints a result: as JSON where asJSON says so, else as print writes it for people.
func show(c *cobra.Command, asJSON bool, v any, print func(io.Writer)) error {
	if asJSON {
		return printJSON(c.OutOrStdout(), v)
	}
	print(c.OutOrStdout())
	return nil
}

// printJSON writes a value, indented.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
