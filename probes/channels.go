package probes

import (
	"context"
	"errors"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// Channels is the channel codes of an item, "channels": for every site of at
// least two axes, the first of which is the channel's, one bit a channel and knot,
// set when that bit of the code is set anywhere in the channel. Sites lie one after
// the other as parts, each packed as codes are: one plane of channels a knot, the
// most significant bit first, padded to a byte. Max-pooling's arg-max has none.
type Channels struct{ coded }

// About is the probe's row in lists.
func (Channels) About() About {
	return About{Name: "channels", Doc: "whether a channel is above its knot anywhere, or in a share of a region"}
}

type channelMaker struct {
	plan  *Plan
	parts []result.Part
	width int
}

// Start finds the sites that have channels.
func (Channels) Start(_ context.Context, r *Prober) (Maker, error) {
	m := &channelMaker{plan: r.Plan}
	for i := range r.Plan.Sites {
		if s := &r.Plan.Sites[i]; s.Channels() > 0 {
			m.parts, m.width = append(m.parts, result.Part{Name: s.Name, Width: s.ChannelBytes()}), m.width+s.ChannelBytes()
		}
	}
	if m.width == 0 {
		return nil, errors.New("no site of this model has channels: all have one axis")
	}
	return m, nil
}

// Columns is the column "channels".
func (m *channelMaker) Columns(b *Batch) ([]result.Column, error) {
	all, codes := m.plan.CodeBytes(), b.Codes()
	values := make([]byte, b.Len()*m.width)
	for i := range b.Len() {
		code, dst := codes[i*all:(i+1)*all], values[i*m.width:(i+1)*m.width]
		for k := range m.plan.Sites {
			site := &m.plan.Sites[k]
			if n := site.Channels(); n > 0 {
				size := tensor.Count(site.Shape[1:])
				for c := range n * site.Planes() {
					if anySet(code, c*size, size) {
						dst[c/8] |= 128 >> (c % 8)
					}
				}
				dst = dst[site.ChannelBytes():]
			}
			code = code[site.Bytes():]
		}
	}
	return []result.Column{{Name: "channels", Values: values, Width: m.width, Parts: m.parts, Null: b.Failed()}}, nil
}

// anySet reports whether a bit among n from bit i on is set.
func anySet(code []byte, i, n int) bool {
	for ; n >= 8; i, n = i+8, n-8 {
		if eight(code, i) != 0 {
			return true
		}
	}
	return n > 0 && eight(code, i)>>(8-n) != 0
}
