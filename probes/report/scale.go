package report

import (
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot"

	"github.com/onnxprobe/onnxprobe/probes/text"
)

// fromZero spaces values by the logarithm of 1 + x.
type fromZero struct{}

// Normalize is x's place between min and max.
func (fromZero) Normalize(low, high, x float64) float64 {
	return (math.Log1p(x) - math.Log1p(low)) / (math.Log1p(high) - math.Log1p(low))
}

// logarithmic makes an axis from low, 0 or more, to high one of logarithms.
func logarithmic(a *plot.Axis, low, high float64) {
	if low == high {
		return // one place has no scale
	}
	a.Scale = plot.LogScale{}
	if low <= 0 {
		a.Scale = fromZero{}
	}
	a.Tick.Marker = plot.ConstantTicks(logTicks(low, high))
}

// linear marks about five round values with labels, only whole ones where it says so.
type linear struct{ whole bool }

// Ticks are the marks between low and high.
func (l linear) Ticks(low, high float64) (ticks []plot.Tick) {
	step := roundStep((high - low) / 5)
	if l.whole {
		step = math.Max(step, 1)
	}
	if !(step > 0) || !finite(step) || !finite(low/step) || math.Abs(low/step) > 1<<50 {
		return []plot.Tick{{Value: low, Label: num(low)}, {Value: high, Label: num(high)}}
	}
	first := math.Ceil(low/step - 1e-9)
	for i := 0.0; i <= 20; i++ {
		v := (first + i) * step
		if v > high+step*1e-9 {
			break
		}
		// The product is within rounding of a decimal number of few places.
		if at, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 9, 64), 64); err == nil {
			v = at
		}
		ticks = append(ticks, plot.Tick{Value: v + 0, Label: num(v + 0)})
	}
	return ticks
}

// roundStep is 1, 2 or 5 times a power of ten, about d.
func roundStep(d float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(d)))
	for _, k := range []float64{1, 2, 5} {
		if d <= k*power*1.2 {
			return k * power
		}
	}
	return 10 * power
}

// logTicks marks 0, the powers of ten, and where these are few 2 and 5 times them.
func logTicks(low, high float64) (ticks []plot.Tick) {
	add := func(v float64, labelled bool) {
		if v < low || v > high {
			return
		}
		t := plot.Tick{Value: v}
		if labelled {
			t.Label = num(v)
		}
		ticks = append(ticks, t)
	}
	if low <= 0 {
		add(0, true)
		low = max(low, 0)
	}
	first := math.Floor(math.Log10(math.Max(low, 1)))
	if low > 0 {
		first = math.Floor(math.Log10(low))
	}
	last := math.Ceil(math.Log10(high))
	few := last-first <= 2
	every := math.Max(1, math.Ceil((last-first)/6))
	for e := first; e <= last; e++ {
		add(math.Pow(10, e), math.Mod(e-first, every) == 0)
		if few {
			add(2*math.Pow(10, e), true)
			add(5*math.Pow(10, e), true)
		}
	}
	if len(ticks) == 0 { // within one step of the marks
		return []plot.Tick{{Value: low, Label: num(low)}, {Value: high, Label: num(high)}}
	}
	return ticks
}

// num writes a number short: six digits, those before the point parted by commas, and powers
// of ten only from a million on.
func num(v float64) string {
	if whole := math.Trunc(v); math.Abs(whole) >= 1000 && math.Abs(v) < 999_999.5 {
		_, rest, _ := strings.Cut(strconv.FormatFloat(v, 'g', 6, 64), ".")
		if rest == "" {
			return text.Grouped(int64(math.Round(v)))
		}
		return text.Grouped(int64(whole)) + "." + rest
	}
	s := strconv.FormatFloat(v, 'g', 6, 64)
	if mantissa, exponent, ok := strings.Cut(s, "e+"); ok {
		return mantissa + "e" + strings.TrimLeft(exponent, "0")
	}
	return s
}
