package report

import (
	"slices"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// alike is what items with equal codes of a kind share, in words.
type alike struct {
	// code is what was compared, codes several of it.
	code, codes string
	// region is what items with equal ones share, linear where that is one, and regions
	// several of it; sign and signs are what is added where it is a sign code.
	region, regions string
	sign, signs     string
	linear          bool
	// whole says that items with equal ones have equal whole codes.
	whole bool
}

// alikeBy are the words for codes of the kind on, "" where that is not known; smooth are the
// smooth sites of these, nil for none.
func alikeBy(on string, smooth *encoding.SmoothSites) alike {
	a := alike{code: "code", codes: "codes", whole: true}
	switch on {
	case encoding.Sketch:
		a = alike{code: "sketch", codes: "sketches"}
	case encoding.Channels:
		a = alike{code: "channel code", codes: "channel codes"}
	case "":
		a = alike{code: "code of a kind not known", codes: "codes of a kind not known"}
	}
	a.region, a.regions = a.code, a.codes
	switch {
	case a.whole && smooth == nil:
		a.region, a.regions, a.linear = "linear region", "linear regions", true
	case a.whole && smooth.Smooth < smooth.All:
		a.sign, a.signs = " (in part a sign code)", " (in part sign codes)"
	case a.whole:
		a.sign, a.signs = " (a sign code)", " (sign codes)"
	}
	return a
}

// different are several regions, said to be different where they are none.
func (a alike) different() string {
	if a.linear {
		return a.regions
	}
	return "different " + a.regions
}

// smooth says that bits of smooth sites are no sides of linear regions, once.
func (r *shown) smooth(s *encoding.SmoothSites) {
	if s == nil {
		return
	}
	if said := s.String() + "."; !slices.Contains(r.Attention, said) {
		r.Attention = append(r.Attention, said)
	}
}

// smoothSites are those of the run that a manifest is of; nil for none.
func smoothSites(m *result.Manifest) *encoding.SmoothSites {
	if m.Run == nil {
		return nil
	}
	s := &encoding.SmoothSites{All: len(m.Sites)}
	for i := range m.Sites {
		if m.Sites[i].Smooth {
			s.Smooth++
		}
	}
	if s.Smooth == 0 {
		return nil
	}
	return s
}
