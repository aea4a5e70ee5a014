// Package predict finds the regions of a picture by an ONNX model: the boxes of a
// detector, or the label map of a segmentation network or human parser. It is a package
// of its own because it runs an engine, which the methods of probes/region/segment do
// without.
package predict

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx"
)

// Kinds of models.
const (
	// Boxes is a detector. Its outputs are boxes [N,4] or [1,N,4], scores [N], [1,N] or
	// of every class [N,C], [1,N,C], and labels [N] or [1,N] of integers; or boxes of
	// six numbers, the last two the score and the label. The last two outputs may be
	// missing.
	Boxes = "boxes"
	// Labels is a segmentation network or human parser. Its output is labels [1,H,W] or
	// [1,1,H,W] of integers, or values of every class [1,C,H,W] in floats, the largest
	// of which gives the label. H and W need not be those of the input.
	Labels = "labels"
)

// Activations say what makes probabilities of the values of classes.
var Activations = []string{"none", "sigmoid", "softmax"}

// Settings say which model finds regions, and how its outputs are read. They marshal to
// JSON, and are all that decides the regions besides the engine.
type Settings struct {
	// Kind is Boxes or Labels.
	Kind string `json:"kind"`
	// Model is the SHA-256 of the model and of its external data, sorted. Open fills
	// it in, and where it is given demands it.
	Model []string `json:"model"`
	// Preprocess is how pictures become the model's input. Of a model that takes uint8
	// its scale and normalisation do not count.
	Preprocess picture.Preprocess `json:"preprocess"`
	// Outputs names the outputs for "boxes", "scores" and "labels", where they are not
	// to be told by name and shape.
	Outputs map[string]string `json:"outputs,omitempty"`
	// Names are those of the labels, from 0 on; a label without one is its number.
	Names []string `json:"names,omitempty"`
	// Score is the least score of a box.
	Score float64 `json:"score,omitempty"`
	// Form says what the four numbers of a box are, in pixels of the model's input:
	// "xyxy" (two corners), "xywh" (a corner and the size) or "cxcywh" (the centre and
	// the size). "" is xyxy.
	Form string `json:"form,omitempty"`
	// Normalised says that they are fractions of the input's width and height.
	Normalised bool `json:"normalised,omitempty"`
	// Activation is one of Activations, for scores of every class; "" is none. With
	// softmax the last class of boxes stands for no object, as DETR has it.
	Activation string `json:"activation,omitempty"`
	// NMS, where not 0, leaves out a box that meets one of the same label and a higher
	// score (the same one, and an earlier place) in more than this share of their union.
	NMS float64 `json:"nms,omitempty"`
	// Ignore are the labels that are no region.
	Ignore []int `json:"ignore,omitempty"`
	// Smooth, where not 0, gives each of about so many super-pixels (SLIC) one label:
	// of values of classes the one whose mean probability is the largest, of labels the
	// most frequent.
	Smooth int `json:"smooth,omitempty"`
	// BoxOnly leaves masks out: a region is the box around its pixels.
	BoxOnly bool `json:"box_only,omitempty"`
}

// Parse reads "boxes:MODEL" and "labels:MODEL". ok is false for any other text.
func Parse(text string) (kind, model string, ok bool) {
	kind, model, ok = strings.Cut(text, ":")
	return kind, model, ok && (kind == Boxes || kind == Labels)
}

// Check reports all faults of the settings.
func (s *Settings) Check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	roles := map[string][]string{Boxes: {"boxes", "scores", "labels"}, Labels: {"labels"}}[s.Kind]
	if roles == nil {
		bad("regions by a model that gives %q; want %s or %s", s.Kind, Boxes, Labels)
	}
	for _, role := range slices.Sorted(maps.Keys(s.Outputs)) {
		if !slices.Contains(roles, role) {
			bad("an output for %q; %s have %s", role, s.Kind, strings.Join(roles, ", "))
		}
	}
	if !slices.Contains([]string{"", "xyxy", "xywh", "cxcywh"}, s.Form) {
		bad("the meaning of boxes is %q; want xyxy, xywh or cxcywh", s.Form)
	}
	if s.Activation != "" && !slices.Contains(Activations, s.Activation) {
		bad("what makes probabilities is %q; want %s", s.Activation, strings.Join(Activations, ", "))
	}
	if math.IsNaN(s.Score) || math.IsInf(s.Score, 0) {
		bad("the least score is %v; want a finite number", s.Score)
	}
	if !(s.NMS >= 0 && s.NMS <= 1) {
		bad("boxes that share %v of their union; want 0 to 1", s.NMS)
	}
	if s.Smooth < 0 {
		bad("smoothing over %d super-pixels; want 0 for none, or more", s.Smooth)
	}
	if s.Kind == Boxes && s.Smooth > 0 {
		bad("boxes cannot be smoothed over super-pixels; label maps can")
	}
	return errors.Join(errs...)
}

// Identify says in the settings which model it is; where they say one already, it is an
// error when that is another.
func (s *Settings) Identify(m *onnx.Model) error {
	sums, err := m.Sum256()
	if err != nil {
		return err
	}
	got := slices.Sorted(maps.Values(sums))
	if s.Model != nil && !slices.Equal(s.Model, got) {
		return fmt.Errorf("the model of regions %s is not the one that was asked for: its SHA-256 is another; put that back, or begin anew", m.Path)
	}
	s.Model = got
	return nil
}
