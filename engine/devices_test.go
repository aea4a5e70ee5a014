package engine

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestParseDevices(t *testing.T) {
	none := errors.New("no driver")
	count := func(n int, err error) func() (int, error) { return func() (int, error) { return n, err } }
	cpu, gpu := Device{Kind: "cpu"}, func(i int) Device { return Device{"cuda", i} }
	for _, c := range []struct {
		text string
		gpus func() (int, error)
		want []Device
		says string
	}{
		{"cpu", nil, []Device{cpu}, ""},
		{"cpu,cpu", nil, []Device{cpu, cpu}, ""},
		{"cuda", nil, []Device{gpu(0)}, ""},
		{"cuda:1,cuda:0", nil, []Device{gpu(1), gpu(0)}, ""},
		{"cuda:all", count(3, nil), []Device{gpu(0), gpu(1), gpu(2)}, ""},
		{"cuda:all", count(0, none), nil, "no driver"},
		{"cuda,cuda:0", nil, []Device{gpu(0), gpu(0)}, ""},
		{"cpu,cuda", nil, nil, "not of one kind"},
		{"cuda:0,cuda:all", nil, nil, "not a device number"},
		{"", nil, nil, "the devices are"},
		{"cpu,", nil, nil, "the devices are"},
		{strings.Repeat("cpu,", MaxDevices) + "cpu", nil, nil, "more than 64"},
	} {
		got, err := ParseDevices(c.text, c.gpus)
		if !reflect.DeepEqual(got, c.want) || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v, %v", c.text, got, err)
		}
	}
}
