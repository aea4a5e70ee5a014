package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// distanceFlag is --distance: bits, a share of all, or auto; "" where it is not given.
type distanceFlag struct {
	text  string
	bits  int
	share float64
	auto  bool
}

func (f *distanceFlag) given() bool { return f.text != "" }

// near says whether items with other codes are near too.
func (f *distanceFlag) near() bool { return f.bits > 0 || f.share > 0 || f.auto }

// parse reads bits, or with a decimal point a share of all, or auto.
func (f *distanceFlag) parse() (err error) {
	switch {
	case !f.given():
	case f.text == "auto":
		f.auto = true
	case strings.ContainsAny(f.text, ".eE"):
		f.share, err = strconv.ParseFloat(f.text, 64)
		if err != nil || !(f.share >= 0 && f.share < 1) {
			return usagef("--distance %q: a fraction is from 0 to below 1", f.text)
		}
	default:
		f.bits, err = strconv.Atoi(f.text)
		if err != nil || f.bits < 0 || f.bits > math.MaxInt32 {
			return usagef("--distance %q: a number of bits, 0 or more, a fraction such as 0.02, or auto", f.text)
		}
	}
	return nil
}

// of is the distance in bits of codes. What it is chosen by, where it is auto, is d, whose
// histogram stands on standard error where there is no valley.
func (f *distanceFlag) of(c *cobra.Command, codes *encoding.Codes, d *encoding.Distances) (int, *encoding.Valley, error) {
	if f.auto {
		v, err := d.Valley()
		var none *encoding.NoValleyError
		if errors.As(err, &none) {
			printNearest(c.ErrOrStderr(), d, nil, -1)
			return 0, nil, fmt.Errorf("--distance auto: %w; choose by the histogram above, or with a few tries, and give it: --distance BITS", err)
		}
		if err != nil {
			return 0, nil, err
		}
		return v.Low, v, nil
	}
	bits := f.bits
	if f.share > 0 {
		bits = int(f.share * float64(codes.Bits))
	}
	if bits > codes.Bits {
		return 0, nil, usagef("--distance %d: codes of %d bits cannot differ in more; give fewer", bits, codes.Bits)
	}
	return bits, nil, nil
}

// cheapWords is how many words of codes are compared without being asked to: about a second.
const cheapWords = 1 << 34

// cheap says of codes whether all of them are compared with each other in no time.
func cheap(codes *encoding.Codes) bool {
	n := int64(codes.Len())
	return n*n*int64(codes.Width()+7)/8 <= cheapWords
}

// nearest are the distances of the items of codes to their nearest other ones, and says how
// long finding them took.
func (f *foundFlags) nearest(c *cobra.Command, codes *encoding.Codes) (*encoding.Distances, error) {
	show, done := shareDone(c, "nearest distances")
	start := time.Now()
	d, err := encoding.NearestDistances(c.Context(), codes, encoding.DistancesOptions{Threads: f.threads, Progress: show})
	done()
	if err == nil {
		note(c, "nearest distances in %s", time.Since(start).Round(time.Millisecond))
	}
	return d, err
}

// printNearest writes the histogram of nearest distances, the valley, which may be nil, and
// the distance that was taken, less than 0 for none, marked.
func printNearest(w io.Writer, d *encoding.Distances, v *encoding.Valley, taken int) {
	fmt.Fprintln(w, d)
	if len(d.Of) > 0 {
		text.Table(w, d.Table(v, taken))
	}
	fmt.Fprintln(w)
}

// printAround writes what groups there are at distances beside the one taken.
func printAround(w io.Writer, counts []encoding.GroupCount, taken int) {
	rows := [][]string{{"DISTANCE", "GROUPS", "ITEMS IN THEM", "LARGEST", ""}}
	for _, n := range counts {
		mark := ""
		if n.Distance == taken {
			mark = "<- taken"
		}
		rows = append(rows, []string{fmt.Sprint(n.Distance), fmt.Sprint(n.Groups), fmt.Sprint(n.Grouped), fmt.Sprint(n.Largest), mark})
	}
	text.Table(w, rows)
	fmt.Fprintln(w)
}
