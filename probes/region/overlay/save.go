package overlay

import (
	"fmt"
	"image"
	"image/png"
	"io"
	"path/filepath"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes/internal/draw"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// SaveRegions writes the picture m of item i to a folder, NUMBER-NAME.png, with the
// regions that were found on it, their numbers and, below them, the true ones, which may be nil.
func SaveRegions(dir string, i int, id string, m image.Image, found, truth []region.Region) error {
	drawn := draw.Regions(m, found, truth)
	if err := result.Put(filepath.Join(dir, name(i, id)), func(w io.Writer) error { return png.Encode(w, drawn) }); err != nil {
		return fmt.Errorf("drawing %s: %w", id, err)
	}
	return nil
}

// name is a file's name for an item, whatever its ID holds.
func name(i int, id string) string {
	safe := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return '_'
	}, id)
	return fmt.Sprintf("%06d-%s.png", i, safe[max(len(safe)-80, 0):])
}
