package text

import (
	"bytes"
	"strings"
	"testing"
)

// Names in hostile files neither begin lines of their own nor reach the terminal.
func TestNamesStayOnTheirLine(t *testing.T) {
	const name = "\x1b[31mred\x1b[0m\nonnxprobe: ok\t\x00ä"
	if got := Line(name); got != "?[31mred?[0m onnxprobe: ok ?ä" {
		t.Errorf("a line: %q", got)
	}
	if got := Lines(name); got != "?[31mred?[0m\nonnxprobe: ok ?ä" {
		t.Errorf("lines: %q", got)
	}
	if got := Message(name); got != Lines(name) {
		t.Errorf("a message: %q", got)
	}
	var b bytes.Buffer
	Table(&b, [][]string{{name, "x"}})
	if got := b.String(); strings.Count(got, "\n") != 1 || strings.Contains(got, "\x1b") {
		t.Errorf("a table: %q", got)
	}
}
