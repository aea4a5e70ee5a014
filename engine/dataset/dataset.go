// Package dataset turns folders of images, array files and the classical
// dataset formats into a stream of fixed-shape batches.
//
// Open makes a Dataset of files, in memory that does not grow with the number
// of pixels; Memory makes one of samples that the program has. Batches reads it on
// worker goroutines in order. Package picture decodes and preprocesses pictures, all
// in plain Go: a JPEG file has the pixels that libjpeg-turbo gives, and one resized
// with a filter of PIL's has PIL's, bit for bit. Every file is taken for hostile.
package dataset

import (
	"fmt"
	"io"
	"io/fs"
	"sync/atomic"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
)

// Item says which piece of a dataset a sample is.
type Item struct {
	// ID is unique in the dataset and stable between runs: the path relative to
	// the source for image files, NAME[i] for the i-th element of an array file;
	// with the source before it where there are several. It is valid UTF-8 on
	// one line: other bytes of a file's name are escaped as \xNN.
	ID string
	// Path is the file the sample was read from.
	Path string
	// Label is the class index, or -1 where the dataset has none.
	Label int
	// Class is the class's name where the dataset has names, else "".
	Class string
	// Tile is the part of the picture that a sample of Tiles shows, x0, y0, x1, y1 in the
	// picture's pixels; zero in other datasets, and where the picture has no size.
	Tile [4]float64
}

// Dataset is a finite, indexable collection of samples of one shape.
//
// One that wraps another item for item, and gives its own samples, labels or IDs, has a
// method Unwrap() Dataset, as errors have it. Then all that functions of this package
// say of the other, its pictures, tiles, sources and what lies beside, they say of it.
// One that has other items wraps what Range, Choose or Concat makes.
type Dataset interface {
	// Len is the number of samples, bad ones included.
	Len() int
	// Shape is the shape of one sample, without the batch axis: [C,H,W] for
	// images.
	Shape() []int
	// Item describes sample i without reading it.
	Item(i int) Item
	// Sample writes sample i, preprocessed, to dst, which holds the product of
	// Shape elements. An error means that this item cannot be read; the others
	// still can, unless it is a *MachineError: then nothing is known of any.
	// Sample is safe for use from many goroutines.
	Sample(i int, dst []float32) error
}

// Options say how Open reads its sources. The zero Options suit most.
type Options struct {
	// Format is a name of Formats for all sources; "" or "auto" tells each by its
	// name and first bytes.
	Format string
	// Layout is the order of a picture's axes in arrays: "nchw", "nhwc", or ""
	// and "auto" to tell by which axis has 1 or 3 elements or by the model.
	Layout string
	// Preprocess is applied to pictures, and to arrays whose values are pixels; nil is the
	// preset none.
	Preprocess *picture.Preprocess
	// Pixels says what the values of arrays are: pixels from 0 to 255 (Pixels255), from 0 to
	// 1 (Pixels1), or model inputs that no preprocessing touches (PixelsNone). "" takes
	// bytes for pixels; other integers too where there is a Preprocess, else for model
	// inputs; floats for model inputs, and is an error of Open where a Preprocess asks for
	// more than pixels / 255.
	Pixels string
	// Input is the shape of the model's input without the batch axis, with -1 for
	// sizes that are free; nil when there is no model. Samples get this shape or
	// Open fails.
	Input []int
	// EXIF turns pictures as their orientation tag says. PIL and torchvision do
	// not, and neither do models trained with them.
	EXIF bool
	// MaxPixels bounds a picture before it is decoded, and what it is resized to: its
	// pixels, and the memory that these take on the way, 5 bytes for each that it may have.
	// 0 is picture.DefaultMaxPixels.
	MaxPixels int64
	// MaxFileBytes bounds an image file; 0 is DefaultMaxFileBytes.
	MaxFileBytes int64
	// MaxUnpacked bounds what a compressed or column-major array file takes in
	// memory; 0 is DefaultMaxUnpacked. Plain array files are read in place.
	MaxUnpacked int64
	// Stdin is where the source "-" reads its list of paths: one a line, or
	// separated by NUL bytes.
	Stdin io.Reader
	// ReadTime, when not nil, is told the nanoseconds that goroutines spend in
	// reading image files, apart from decoding them.
	ReadTime *atomic.Int64
	// Column is what holds the pictures, or their paths, where a source has
	// several that could: a column of a Parquet or CSV file, a field of JSON Lines,
	// the extension of the members of a tar file. "" takes the usual names.
	Column string

	// FS is where sources lie; nil is Local. Another one, an object store say, has
	// to give files that are an io.ReaderAt for many goroutines at once, whose Stat
	// tells a size and a time that change with the content, and folders that list
	// their names; names are those of io/fs: separated by slashes, not rooted. What
	// is read in place must not change while it is open. Stat, ReadDir, Glob and Lstat
	// are used where it has them (fs.StatFS and so on), and should be cheap:
	// one is called for every file.
	FS fs.FS

	shared     *commons
	unlabelled string // of an array that is being opened: why it has no labels
}

const (
	// DefaultMaxFileBytes bounds one image file.
	DefaultMaxFileBytes = 3 << 28
	// DefaultMaxUnpacked bounds an array file that must be unpacked into memory.
	DefaultMaxUnpacked = 3 << 28
)

func (o Options) withDefaults() (Options, error) {
	for _, d := range []struct {
		v       *int64
		or      int64
		meaning string
	}{
		{&o.MaxPixels, picture.DefaultMaxPixels, "pixels"}, {&o.MaxFileBytes, DefaultMaxFileBytes, "bytes of an image file"},
		{&o.MaxUnpacked, DefaultMaxUnpacked, "unpacked bytes"},
	} {
		if *d.v < 0 {
			return o, fmt.Errorf("a limit of %d %s: want more than 0", *d.v, d.meaning)
		}
		if *d.v == 0 {
			*d.v = d.or
		}
	}
	if o.FS == nil {
		o.FS = Local
	}
	w := NewWitness(o.FS)
	o.FS, o.shared = w, &commons{fsys: w, renderers: map[string]*picture.Renderer{}}
	if err := o.checkPixels(); err != nil {
		return o, err
	}
	switch o.Layout {
	case "", "auto":
		o.Layout = ""
	case "nchw", "nhwc":
	default:
		return o, fmt.Errorf("layout %q is not known, want auto, nchw or nhwc", o.Layout)
	}
	return o, nil
}

func (o Options) render() picture.RenderOptions {
	return picture.RenderOptions{Preprocess: o.Preprocess, Input: o.Input, MaxPixels: o.MaxPixels}
}

// Description is what a manifest says about a dataset.
type Description struct {
	Sources []Source `json:"sources,omitempty"`
	Items   int      `json:"items"`
	Shape   []int    `json:"shape"`
	Classes []string `json:"classes,omitempty"`
	// Left is what folders hold beside the kind that was taken of them.
	Left []Left `json:"left_out,omitempty"`
	// JPEG names the decoder of JPEG files, where there may be some.
	JPEG string `json:"jpeg_decoder,omitempty"`
	// Tiles says how pictures were cut.
	Tiles *Tiling `json:"tiles,omitempty"`
	// Inputs are the arrays beside the samples.
	Inputs []SideDescription `json:"other_inputs,omitempty"`
}

// Source is one of the files and folders that a dataset was made of.
type Source struct {
	Path   string `json:"path"`
	Format string `json:"format"`
	Items  int    `json:"items"`
	// Preprocess is what was applied to the pictures, with what the model's input
	// settled; nil where the samples are model inputs already.
	Preprocess *picture.Preprocess `json:"preprocess,omitempty"`
	// RoundedFrom is float64 for an array of these: samples are float32.
	RoundedFrom string `json:"rounded_from,omitempty"`
	// Pixels is the value of white in an array of pixels that are no bytes, "255" or "1".
	Pixels string `json:"pixels,omitempty"`
	// Unlabelled is why items have no label although the source seems to have some.
	Unlabelled string `json:"unlabelled,omitempty"`
}

// Describe says where ds comes from; of a dataset that another package made, and that
// wraps none of this one, a size and a shape only.
func Describe(ds Dataset) (d Description) {
	if of, _, ok := find[interface{ describe() Description }](ds, 0); ok {
		d = of.describe()
	}
	d.Items, d.Shape = ds.Len(), ds.Shape()
	return d
}
