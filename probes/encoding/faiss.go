package encoding

import (
	"io"
	"iter"

	"github.com/onnxprobe/onnxprobe/probes/result"
)

// WriteFaiss writes the codes as a FAISS IndexBinaryFlat. Row i of the index is
// row i of c, the item ID(i).
func (c *Codes) WriteFaiss(w io.Writer) error { return result.WriteFaiss(w, c.width, c.n, c.All()) }

// All gives the codes in order. Each is valid until the next is asked for.
func (c *Codes) All() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		code := make([]byte, c.width)
		for i := range c.n {
			c.At(code, i)
			if !yield(code, nil) {
				return
			}
		}
	}
}
