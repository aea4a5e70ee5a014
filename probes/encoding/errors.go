package encoding

import "fmt"

// Errors gives the rows of a result file that hold an error, in their order: the item's ID
// and what the row says. A result's own error ends it, and one that each gives.
func Errors(path string, each func(id, message string) error) error {
	f, err := openFile(path)
	if err == nil {
		err = f.read(OpenOptions{}, func(r *record) error {
			if len(r.status) == 0 || string(r.status) == "ok" {
				return nil
			}
			return each(string(r.id), string(r.message))
		})
		f.close()
	}
	if err != nil {
		return fmt.Errorf("reading the errors in %s: %w", path, err)
	}
	return nil
}
