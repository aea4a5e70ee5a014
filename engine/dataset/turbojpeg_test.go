//go:build turbojpeg

package dataset

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// libjpeg-turbo's pixels are PIL's, but for CMYK, which Go decodes.
func TestTurboJPEGIsPIL(t *testing.T) {
	index, arrays := pilGoldens(t)
	for _, c := range index.Decode {
		if !strings.HasSuffix(c.File, ".jpg") || c.File == "cmyk.jpg" {
			continue
		}
		got := decodeFile(t, filepath.Join(pillow, c.File)).channels(3)
		if most, mean := differs(t, got.pix, tensor.Data[uint8](arrays[c.Array])); most != 0 {
			t.Errorf("%s: differs by at most %d, %.4f on average; want bit for bit", c.File, most, mean)
		}
	}
}
