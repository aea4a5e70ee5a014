package region

import (
	"encoding/hex"
	"fmt"

	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// entry is what a row says besides codes.
type entry struct {
	id, image, path, region, label string
	warning                        string
	box                            *Box // nil where there is no region
	score                          *float64
	crowd                          bool
	kept                           float64
	units                          int
}

// take makes a row of an item that of one of its regions.
func (r *entry) take(of *Region) {
	r.id, r.region, r.label, r.score = r.image+"#"+of.ID, of.ID, of.Label, of.Score
	r.crowd = of.Crowd
	box := of.Box
	if of.Mask != nil && box == (Box{}) {
		box = of.Mask.bounds()
	}
	r.box = &box
}

// bounds is the box around the pixels of a mask.
func (m *Mask) bounds() (b Box) {
	for y, line := range m.rows {
		line.each(func(x int) {
			p := Box{float64(x), float64(y), float64(x + 1), float64(y + 1)}
			if b == (Box{}) {
				b = p
			}
			b = Box{min(b.X0, p.X0), min(b.Y0, p.Y0), max(b.X1, p.X1), max(b.Y1, p.Y1)}
		})
	}
	return b
}

// rowColumns gathers rows.
type rowColumns struct {
	of             *Rows
	coded, crossed bool // which columns there are
	n              int

	id, image, path, region, label  []string
	status, message, selection      []string
	warning                         []string
	digest, code                    []string
	box                             [4][]float64
	kept, fraction, agreement       []float64
	score                           []float64
	unscored, crowd                 []bool
	units, complexity, count        []int64
	sketch, channels                []byte
	noRegion, noBox, failed, worked []bool
	sound                           []bool // without a warning
	apart                           []bool // no agreement is known
}

// fail adds the row of what cannot be used.
func (c *rowColumns) fail(at entry, err error) {
	c.head(at, err)
	c.selection = append(c.selection, "")
	if c.coded {
		c.digest, c.code = append(c.digest, ""), append(c.code, "")
		c.sketch, c.channels = append(c.sketch, make([]byte, c.sketchBytes())...), append(c.channels, make([]byte, c.channelBytes())...)
		c.agreement, c.apart = append(c.agreement, 0), append(c.apart, true)
	}
	if c.crossed {
		radii, sites := len(c.of.o.Radii), len(c.of.sites)
		c.complexity = append(c.complexity, make([]int64, radii)...)
		c.count, c.fraction = append(c.count, make([]int64, radii*sites)...), append(c.fraction, make([]float64, radii*sites)...)
	}
}

// head adds what every row has.
func (c *rowColumns) head(at entry, err error) {
	c.n++
	c.of.sum.Regions++
	c.id, c.image, c.path = append(c.id, at.id), append(c.image, at.image), append(c.path, at.path)
	c.region, c.label = append(c.region, at.region), append(c.label, at.label)
	c.noRegion, c.noBox = append(c.noRegion, at.box == nil), append(c.noBox, at.box == nil)
	box := Box{}
	if at.box != nil {
		box = *at.box
	}
	for i, v := range []float64{box.X0, box.Y0, box.X1, box.Y1} {
		c.box[i] = append(c.box[i], v)
	}
	score := 0.0
	if at.score != nil {
		score = *at.score
	}
	c.score, c.unscored = append(c.score, score), append(c.unscored, at.score == nil)
	c.crowd = append(c.crowd, at.crowd)
	c.kept, c.units = append(c.kept, at.kept), append(c.units, int64(at.units))
	status, message := "ok", ""
	if err != nil {
		status, message = "error", err.Error()
		if s := &c.of.sum; s.Failed < 10 {
			s.Errors = append(s.Errors, at.id+": "+message)
		}
		c.of.sum.Failed++
	}
	c.status, c.message = append(c.status, status), append(c.message, message)
	c.failed, c.worked = append(c.failed, err != nil), append(c.worked, err == nil)
	c.warning, c.sound = append(c.warning, at.warning), append(c.sound, at.warning == "")
}

// add adds the row of a region; code and changed are the item's, nil where there are
// none.
func (c *rowColumns) add(at entry, selected []*Selection, code, changed []byte) {
	c.head(at, nil)
	var bits []byte
	for _, s := range selected {
		bits = append(bits, s.Bits...)
	}
	c.selection = append(c.selection, probes.DigestOf(bits).String())
	if c.coded {
		c.codes(selected, code)
	}
	if c.crossed {
		c.changes(selected, changed)
	}
}

// codes adds what is made of an item's code.
func (c *rowColumns) codes(selected []*Selection, code []byte) {
	o := &c.of.o
	var own []byte // the codes of the sites with positions
	for _, s := range c.of.sites {
		own = append(own, code[s.offset:s.offset+s.bytes]...)
	}
	c.digest = append(c.digest, Digest(selected, own).String())
	if o.Sketch > 0 {
		sketch := make([]byte, c.sketchBytes())
		copy(sketch, Sketch(selected, own, o.Sketch, o.Seed))
		c.sketch = append(c.sketch, sketch...)
	}
	var whole []byte
	for i, s := range selected {
		site := own[:len(s.Bits)]
		own = own[len(s.Bits):]
		if o.Channels {
			c.channels = selected[i].ChannelCode(c.channels, site, o.Share)
		}
		if o.Code {
			whole = s.Append(whole, site)
		}
	}
	c.code = append(c.code, hex.EncodeToString(whole))
	share, some := 0.0, false
	if ref := c.of.agree; ref != nil {
		share, some = ref.region(selected, code)
	}
	c.agreement, c.apart = append(c.agreement, share), append(c.apart, !some)
}

// changes adds the local complexity inside.
func (c *rowColumns) changes(selected []*Selection, changed []byte) {
	for range c.of.o.Radii {
		total := int64(0)
		for i, s := range c.of.sites {
			n := selected[i].Changed(changed[s.offset : s.offset+s.bytes])
			total += int64(n)
			share := 0.0
			if selected[i].Units > 0 {
				share = float64(n) / float64(selected[i].Units)
			}
			c.count, c.fraction = append(c.count, int64(n)), append(c.fraction, share)
		}
		c.complexity = append(c.complexity, total)
		changed = changed[c.of.width:]
	}
}

func (c *rowColumns) sketchBytes() int { return (c.of.o.Sketch + 7) / 8 }

func (c *rowColumns) channelBytes() int {
	n := 0
	if c.of.o.Channels {
		for _, s := range c.of.sites {
			n += s.channelBytes()
		}
	}
	return n
}

// channelBytes is the length of a site's channel code.
func (l *Layout) channelBytes() int { return (l.planes*l.Channels + 7) / 8 }

// columns lays out the rows gathered.
func (c *rowColumns) columns() []result.Column {
	cols := []result.Column{
		{Name: "id", Values: c.id}, {Name: "image", Values: c.image}, {Name: "path", Values: c.path},
		{Name: "region", Values: c.region, Null: c.noRegion}, {Name: "label", Values: c.label, Null: c.noRegion},
	}
	if c.of.scored {
		cols = append(cols, result.Column{Name: "score", Values: c.score, Null: c.unscored})
	}
	if c.of.crowds {
		cols = append(cols, result.Column{Name: "crowd", Values: c.crowd, Null: c.noRegion})
	}
	for i, name := range []string{"x0", "y0", "x1", "y1"} {
		cols = append(cols, result.Column{Name: name, Values: c.box[i], Null: c.noBox})
	}
	cols = append(cols,
		result.Column{Name: "kept", Values: c.kept, Null: c.noBox}, result.Column{Name: "units", Values: c.units},
		result.Column{Name: "status", Values: c.status}, result.Column{Name: "error", Values: c.message, Null: c.worked},
		result.Column{Name: "warning", Values: c.warning, Null: c.sound},
		result.Column{Name: "selection", Values: c.selection, Null: c.failed})
	if c.coded {
		cols = append(cols, c.codeColumns()...)
	}
	if c.crossed {
		cols = append(cols, c.complexityColumns()...)
	}
	return cols
}

func (c *rowColumns) codeColumns() []result.Column {
	o := &c.of.o
	cols := []result.Column{{Name: "digest", Values: c.digest, Null: c.failed}}
	if c.of.agree != nil {
		cols = append(cols, result.Column{Name: "agreement", Values: c.agreement, Null: c.apart})
	}
	if o.Sketch > 0 {
		cols = append(cols, result.Column{Name: "sketch", Values: c.sketch, Width: c.sketchBytes(), Null: c.failed})
	}
	if o.Channels {
		var parts []result.Part
		for _, s := range c.of.sites {
			parts = append(parts, result.Part{Name: s.Site, Width: s.channelBytes()})
		}
		cols = append(cols, result.Column{Name: "channels", Values: c.channels, Width: c.channelBytes(), Parts: parts, Null: c.failed})
	}
	if o.Code {
		cols = append(cols, result.Column{Name: "region_code", Values: c.code, Null: c.failed})
	}
	return cols
}

func (c *rowColumns) complexityColumns() []result.Column {
	radii := c.of.o.Radii
	var perRadius, perSite []result.Part
	width := 0
	for _, radius := range radii {
		at := ""
		if len(radii) > 1 {
			at, width = fmt.Sprintf("@%g", radius), len(radii)
			perRadius = append(perRadius, result.Part{Name: fmt.Sprintf("r%g", radius), Width: 1})
		}
		for _, s := range c.of.sites {
			perSite = append(perSite, result.Part{Name: s.Site + at, Width: 1})
		}
	}
	return []result.Column{
		{Name: "complexity", Values: c.complexity, Width: width, Parts: perRadius, Null: c.failed},
		{Name: "count", Values: c.count, Width: len(perSite), Parts: perSite, Null: c.failed},
		{Name: "fraction", Values: c.fraction, Width: len(perSite), Parts: perSite, Null: c.failed},
	}
}
