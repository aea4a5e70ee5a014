package gorgonia

import (
	"github.com/onnxprobe/onnxprobe/engine/internal/kernel"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// compare makes the rows that answer true or false.
func compare(name string, less, equal, more bool) row {
	return row{name: name, make: func(c *call) error {
		if len(c.args) == 2 && c.args[0].dtype == tensor.Bool {
			w, err := c.pair()
			if err == nil {
				c.do = map2(func(a, b bool) bool { return a == b && equal || a && !b && more || !a && b && less })(c, w)
			}
			return err
		}
		err := c.numbers(comparing[float32](less, equal, more), comparing[float64](less, equal, more), comparing[int8](less, equal, more),
			comparing[uint8](less, equal, more), comparing[int16](less, equal, more), comparing[uint16](less, equal, more), comparing[int32](less, equal, more),
			comparing[uint32](less, equal, more), comparing[int64](less, equal, more), comparing[uint64](less, equal, more))
		c.out.dtype = tensor.Bool
		return err
	}}
}

func comparing[T kernel.Number](less, equal, more bool) maker[*kernel.Broadcast] {
	switch { // without branches on what is asked, for the common ones
	case more && !equal:
		return map2(func(a, b T) bool { return a > b })
	case less && !equal:
		return map2(func(a, b T) bool { return a < b })
	}
	return map2(func(a, b T) bool { return a == b && equal || a < b && less || a > b && more })
}

func logic(name string, f func(a, b bool) bool) row {
	return row{name: name, make: func(c *call) error {
		w, err := c.pair()
		if err == nil && c.out.dtype != tensor.Bool {
			err = c.refuse("inputs of type %s", c.types())
		}
		if err == nil {
			c.do = map2(f)(c, w)
		}
		return err
	}}
}

// compareRows answer true or false, of numbers and of answers.
func compareRows() []row {
	return []row{
		compare("Greater", false, false, true), compare("GreaterOrEqual", false, true, true), compare("Less", true, false, false),
		compare("LessOrEqual", true, true, false), compare("Equal", false, true, false),
		logic("And", func(a, b bool) bool { return a && b }), logic("Or", func(a, b bool) bool { return a || b }),
		logic("Xor", func(a, b bool) bool { return a != b }),
	}
}
