package dataset

import (
	"errors"
	"math"
	"slices"
)

// texts is very many strings, in the memory of their bytes and four more each.
type texts struct {
	b    []byte
	ends []uint32
}

var errTexts = errors.New("the names of its files take more than 4 GiB; give it in parts")

func (t *texts) add(parts ...string) error {
	for _, s := range parts {
		t.b = append(t.b, s...)
	}
	if len(t.b) > math.MaxUint32 {
		return errTexts
	}
	t.ends = append(t.ends, uint32(len(t.b)))
	return nil
}

func (t *texts) len() int { return len(t.ends) }

func (t *texts) at(i int) string {
	from := uint32(0)
	if i > 0 {
		from = t.ends[i-1]
	}
	return string(t.b[from:t.ends[i]])
}

// clip gives back what of the memory is not used.
func (t *texts) clip() texts {
	if cap(t.b) > len(t.b)+len(t.b)/4 {
		t.b = slices.Clip(slices.Clone(t.b))
	}
	if cap(t.ends) > len(t.ends)+len(t.ends)/4 {
		t.ends = slices.Clip(slices.Clone(t.ends))
	}
	return *t
}
