package dynamics

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"

	"github.com/zeebo/xxh3"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/attack"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// Layout is the version of what records hold. Another one makes other fingerprints.
const Layout = 1

// Settings are all that decides the figures of a network, besides the network. The
// engine is not among them; each record names its own.
type Settings struct {
	Layout int  `json:"layout"`
	Train  Data `json:"train"`
	Test   Data `json:"test"`
	// Globs, MaxPool and Gemm are site.Options.
	Globs   []string `json:"site_globs,omitempty"`
	MaxPool bool     `json:"include_maxpool,omitempty"`
	Gemm    bool     `json:"include_gemm,omitempty"`
	// Logits names the value that accuracy, margins and attacks read, "" for the first
	// output. Study.Load puts it first.
	Logits string `json:"logits,omitempty"`
	// Precision is what the model is widened to, "" for none.
	Precision string `json:"precision,omitempty"`
	Batch     int    `json:"batch"`
	// K is the number of neighbors that vote, and Fragile a distance from the knot, 0
	// for no count.
	K       int     `json:"k"`
	Fragile float64 `json:"fragile,omitempty"`
	// BySite measures redundancy, the use of units, K-NN and churn of each site's codes
	// too.
	BySite     bool        `json:"by_site,omitempty"`
	Complexity *Complexity `json:"complexity,omitempty"`
	Attack     *Attack     `json:"attack,omitempty"`
}

// Data tells a dataset by its content.
type Data struct {
	Items int   `json:"items"`
	Shape []int `json:"shape"`
	// Digest is a hash of the items' ids, labels and samples.
	Digest string `json:"digest"`
}

// Complexity is where local complexity is measured: at Points items of the training set
// and of the test set, drawn with Seed (all of them when 0), and at Random points, each
// element uniform in [Low, High).
type Complexity struct {
	Radii  []float64 `json:"radii"`
	Frame  string    `json:"frame_sha256"`
	Sign3  bool      `json:"sign3,omitempty"`
	Centre bool      `json:"include_centre,omitempty"`
	Points int       `json:"points"`
	Random int       `json:"random"`
	Low    float64   `json:"low"`
	High   float64   `json:"high"`
	Seed   uint64    `json:"seed"`
}

// Attack is projected gradient descent on Points items of the test set, drawn with Seed
// (all of them when 0).
type Attack struct {
	Norm       string  `json:"norm"`
	Epsilon    float64 `json:"epsilon"`
	Step       float64 `json:"step"`
	Iterations int     `json:"iterations"`
	Start      bool    `json:"random_start"`
	Points     int     `json:"points"`
	Seed       uint64  `json:"seed"`
}

// options are the attack's, in units of the pictures that ds holds; inputs that are no
// pictures are left as they are, and free of bounds.
func (a *Attack) options(ds dataset.Dataset) (attack.Options, error) {
	o := attack.Options{Norm: a.Norm, Epsilon: a.Epsilon, Step: a.Step, Iterations: a.Iterations, Start: a.Start, Seed: a.Seed, Free: true}
	var p *picture.Preprocess
	for i, s := range dataset.Describe(ds).Sources {
		if i > 0 && !reflect.DeepEqual(s.Preprocess, p) {
			return o, errors.New("an attack on a test set of differently preprocessed sources; attack them one by one")
		}
		p = s.Preprocess
	}
	if p == nil {
		return o, o.Check()
	}
	o.Free, o.ChannelsLast = false, p.ChannelsLast
	unit := 1.0
	if p.Scale != 0 {
		unit = 255 * p.Scale
	}
	channels := max(len(p.Mean), len(p.Std), 1)
	at := func(v []float64, i int, none float64) float64 {
		if len(v) == 0 {
			return none
		}
		return v[min(i, len(v)-1)]
	}
	for i := range channels {
		std := at(p.Std, i, 1)
		o.Scale, o.Shift = append(o.Scale, unit/std), append(o.Shift, -at(p.Mean, i, 0)/std)
	}
	return o, o.Check()
}

// Mark reads a dataset and tells it by its content.
func Mark(ctx context.Context, ds dataset.Dataset, workers int) (Data, error) {
	d := Data{Items: ds.Len(), Shape: ds.Shape()}
	if d.Items == 0 {
		return d, errors.New("the dataset has no items")
	}
	h, dim := xxh3.New(), tensor.Count(d.Shape)
	row := make([]byte, 4*dim)
	for b, err := range dataset.Batches(ctx, ds, min(d.Items, 64), workers) {
		if err != nil {
			return d, err
		}
		for i, it := range b.Items {
			for k, v := range tensor.Data[float32](b.Input)[i*dim : (i+1)*dim] {
				binary.LittleEndian.PutUint32(row[4*k:], math.Float32bits(v))
			}
			_, _ = fmt.Fprintf(h, "%q %d %t\n", it.ID, it.Label, b.Errs[i] != nil)
			_, _ = h.Write(row)
		}
	}
	s := h.Sum128().Bytes()
	d.Digest = fmt.Sprintf("xxh3:%x", s)
	return d, nil
}

// pick draws n items of ds without replacement, in its order; 0, or more than there are,
// takes all.
func pick(ds dataset.Dataset, n int, seed, stream uint64) (dataset.Dataset, error) {
	if n == 0 || n >= ds.Len() {
		return ds, nil
	}
	rows := rand.New(rand.NewPCG(seed, stream)).Perm(ds.Len())[:n]
	slices.Sort(rows)
	choices := make([]dataset.Choice, n)
	for i, of := range rows {
		choices[i].Of = of
	}
	return dataset.Choose(ds, choices)
}

// Streams of random numbers, so that sets are drawn apart.
const (
	trainStream  = 0x747261696e
	testStream   = 0x74657374
	attackStream = 0x61747461636b
)

func (s *Settings) siteOptions() site.Options {
	return site.Options{Globs: s.Globs, MaxPool: s.MaxPool, Gemm: s.Gemm}
}
