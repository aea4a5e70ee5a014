package probes

import (
	"context"
	"fmt"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// side is one setting made ready.
type side struct {
	setting Setting
	code    *Prober // nil when the host packs
	value   *Prober // made when first needed
	m       *onnx.Model
	o       AttachOptions
}

func newSide(ctx context.Context, m *onnx.Model, o AttachOptions, s Setting) (*side, error) {
	if s.Double {
		var err error
		if m, err = rewrite.Widen(m); err != nil {
			return nil, err
		}
	}
	if s.Half {
		var err error
		if m, err = rewrite.Narrow(m); err != nil {
			return nil, err
		}
	}
	if s.Pack != PackAuto {
		o.Pack = s.Pack
	}
	sd := &side{setting: s, m: m, o: o}
	if s.Host {
		if o.Sites.MaxPool {
			return nil, fmt.Errorf("codes computed outside the graph do not cover the arg-max of MaxPool")
		}
		return sd, sd.needValues(ctx)
	}
	plan, err := Attach(m, o)
	if err != nil {
		return nil, err
	}
	sd.code, err = plan.Open(ctx, s.Backend, s.Options, s.Batch)
	return sd, err
}

func (s *side) needValues(ctx context.Context) error {
	if s.value != nil {
		return nil
	}
	o := s.o
	o.Probes = []Probe{values{}}
	plan, err := Attach(s.m, o)
	if err != nil {
		return err
	}
	s.value, err = plan.Open(ctx, s.setting.Backend, s.setting.Options, s.setting.Batch)
	return err
}

func (s *side) close() {
	for _, r := range []*Prober{s.code, s.value} {
		if r != nil {
			r.Close()
		}
	}
}

func (s *side) prober() *Prober {
	if s.code != nil {
		return s.code
	}
	return s.value
}

func (s *side) plan() *Plan { return s.prober().Plan }
func (s *side) batch() int  { return s.prober().Batch }

// codes returns the whole codes of samples and, for each, the model's own
// outputs, and whether the network came upon a NaN, so that it has no code.
func (s *side) codes(ctx context.Context, x samples) (codes []byte, own [][]float64, nan []bool, err error) {
	r, width := s.prober(), s.plan().CodeBytes()
	codes, own, nan = make([]byte, x.n*width), make([][]float64, x.n), make([]bool, x.n)
	buf := make([]byte, r.Batch*width)
	err = runs(ctx, r, x, func(first, count int, out []*tensor.Tensor) {
		copy(nan[first:first+count], r.nan(out))
		if s.code != nil {
			r.codes(buf, out, "code")
		} else {
			clear(buf)
			for i := range count {
				packValues(buf[i*width:(i+1)*width], r.Plan, r.probe(out, "value"), i)
			}
		}
		copy(codes[first*width:], buf[:count*width])
		for _, t := range out[:r.Plan.Own] {
			if len(t.Shape) == 0 || t.Shape[0] != r.Batch || !t.DType.IsFloat() {
				continue
			}
			v := t.Float64s()
			per := len(v) / r.Batch
			for i := range count {
				own[first+i] = append(own[first+i], v[i*per:(i+1)*per]...)
			}
		}
	})
	return codes, own, nan, err
}

// values hands each sample's values before the activations to use, with the
// sample's place in the tensors.
func (s *side) values(ctx context.Context, x samples, use func(item, at int, vals []*tensor.Tensor)) error {
	if err := s.needValues(ctx); err != nil {
		return err
	}
	return runs(ctx, s.value, x, func(first, count int, out []*tensor.Tensor) {
		vals := s.value.probe(out, "value")
		for i := range count {
			use(first+i, i, vals)
		}
	})
}

// packValues packs the code of one item on the host.
func packValues(dst []byte, p *Plan, vals []*tensor.Tensor, item int) {
	offset := 0
	for s := range p.Sites {
		site := &p.Sites[s]
		if vals[s] != nil {
			value := valuesAt(vals[s])
			for k := range site.Planes() {
				for u := range site.Units {
					if above(site, value, item*valuesOf(site), k, u) > 0 {
						b := k*site.Units + u
						dst[offset+b/8] |= 1 << (7 - b%8)
					}
				}
			}
		}
		offset += site.Bytes()
	}
}
