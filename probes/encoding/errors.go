package encoding

import (
	"fmt"
	"slices"

	"github.com/onnxprobe/onnxprobe/probes/result"
)

// Errors gives the rows of a result file that hold an error, in their order: the item's ID
// and what the row says. A result's own error ends it, and one that each gives.
func Errors(path string, each func(id, message string) error) error {
	t, err := result.Open(path)
	if err == nil {
		want := []string{"id", "status", "error"}
		err = t.Read(func(name string) bool { return slices.Contains(want, name) }, func(cols []result.Column) error {
			of, err := batchOf(cols, "")
			for row := 0; err == nil && row < of.rows; row++ {
				if status, _ := textAt(&of.status, row); status != "" && status != "ok" {
					id, _ := textAt(&of.id, row)
					message, _ := textAt(&of.message, row)
					err = each(id, message)
				}
			}
			return err
		})
		t.Close()
	}
	if err != nil {
		return fmt.Errorf("reading the errors in %s: %w", path, err)
	}
	return nil
}
