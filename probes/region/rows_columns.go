package region

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
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
	cut                            *picture.Size // the input whose crop cuts some of it off, or nil
	units                          int
}

// take makes a row of an item that of one of its regions.
func (r *entry) take(of *Region) {
	r.id, r.region, r.label, r.score = r.image+"#"+of.ID, of.ID, of.Label, of.Score
	r.crowd = of.Crowd
	box := of.Bounds()
	r.box = &box
}

// see says how much the model sees of a region, and where the centre of that is on the
// picture; of nothing it is an error. tiled says that the input shows a part of the picture
// on purpose.
func (r *entry) see(g picture.Geometry, of Region, tiled bool) (cx, cy float64, err error) {
	if err := of.check(g.Picture); err != nil {
		return 0, 0, err
	}
	kept, inside, cx, cy := of.seen(g)
	r.kept = kept
	// Rounding moves the edges of what is seen by less than this.
	if inside && kept < 1-1e-9 && !tiled {
		r.cut = &g.Input
	}
	switch {
	case !inside:
		err = fmt.Errorf("region %q: it lies outside the picture of %s pixels (height x width)", of.ID, g.Picture)
	case kept == 0 && r.cut != nil:
		err = whole(g.Input, "region %q: the crop to %s pixels (height x width) leaves nothing of it", of.ID, g.Input)
	case kept == 0:
		err = fmt.Errorf("region %q: nothing of it is in the %s pixels (height x width) that the model sees", of.ID, g.Input)
	}
	return cx, cy, err
}

// Bounds is a region's box, and of a mask without one the box around it.
func (r Region) Bounds() Box {
	if r.Mask != nil && r.Box == (Box{}) {
		return r.Mask.bounds()
	}
	return r.Box
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

// heads gathers what every row of a region says, whatever is measured of it.
type heads struct {
	scored bool        // regions have scores
	crowds bool        // some are crowds
	sum    *RowSummary // that counts the rows
	n      int

	id, image, path, region, label  []string
	status, message, warning        []string
	box                             [4][]float64
	kept, score                     []float64
	unscored, crowd                 []bool
	noRegion, noBox, failed, worked []bool
	sound                           []bool // without a warning
}

func headsOf(from Source, sum *RowSummary) heads {
	return heads{scored: Scored(from), crowds: Crowded(from), sum: sum}
}

// add adds a row, of what cannot be used with err.
func (h *heads) add(at entry, err error) {
	h.n++
	h.sum.Regions++
	h.id, h.image, h.path = append(h.id, at.id), append(h.image, at.image), append(h.path, at.path)
	h.region, h.label = append(h.region, at.region), append(h.label, at.label)
	h.noRegion, h.noBox = append(h.noRegion, at.box == nil), append(h.noBox, at.box == nil)
	box := Box{}
	if at.box != nil {
		box = *at.box
	}
	for i, v := range []float64{box.X0, box.Y0, box.X1, box.Y1} {
		h.box[i] = append(h.box[i], v)
	}
	score := 0.0
	if at.score != nil {
		score = *at.score
	}
	h.score, h.unscored = append(h.score, score), append(h.unscored, at.score == nil)
	h.crowd, h.kept = append(h.crowd, at.crowd), append(h.kept, at.kept)
	status, message := "ok", ""
	if err != nil {
		status, message = "error", err.Error()
		if s := h.sum; s.Failed < 10 {
			s.Errors = append(s.Errors, at.id+": "+strings.TrimPrefix(message, at.id+": ")) // a fault of annotations names its place
		}
		h.sum.Failed++
	}
	if at.cut != nil && at.kept > 0 {
		h.sum.crop(*at.cut, 1, 0)
	} else if at.cut != nil {
		h.sum.crop(*at.cut, 0, 1)
	}
	h.status, h.message = append(h.status, status), append(h.message, message)
	h.warning, h.sound = append(h.warning, at.warning), append(h.sound, at.warning == "")
	h.failed, h.worked = append(h.failed, err != nil), append(h.worked, err == nil)
}

// columns are those that say which region a row is of.
func (h *heads) columns() []result.Column {
	cols := []result.Column{
		{Name: "id", Values: h.id}, {Name: "image", Values: h.image}, {Name: "path", Values: h.path},
		{Name: "region", Values: h.region, Null: h.noRegion}, {Name: "label", Values: h.label, Null: h.noRegion},
	}
	if h.scored {
		cols = append(cols, result.Column{Name: "score", Values: h.score, Null: h.unscored})
	}
	if h.crowds {
		cols = append(cols, result.Column{Name: "crowd", Values: h.crowd, Null: h.noRegion})
	}
	for i, name := range []string{"x0", "y0", "x1", "y1"} {
		cols = append(cols, result.Column{Name: name, Values: h.box[i], Null: h.noBox})
	}
	return append(cols, result.Column{Name: "kept", Values: h.kept, Null: h.noBox})
}

// outcome are those that say whether it could be used.
func (h *heads) outcome() []result.Column {
	return []result.Column{{Name: "status", Values: h.status}, {Name: "error", Values: h.message, Null: h.worked},
		{Name: "warning", Values: h.warning, Null: h.sound}}
}

// rowColumns gathers rows.
type rowColumns struct {
	heads
	of             *Rows
	coded, crossed bool // which columns there are

	selection, digest, code  []string
	fraction, agreement      []float64
	units, complexity, count []int64
	sketch, channels         []byte
	apart                    []bool // no agreement is known
}

// head adds what every row has.
func (c *rowColumns) head(at entry, err error) {
	c.add(at, err)
	c.units = append(c.units, int64(at.units))
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

// row adds the row of a region; code and changed are the item's, nil where there are
// none.
func (c *rowColumns) row(at entry, selected []*Selection, code, changed []byte) {
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
	cols := append(c.heads.columns(), result.Column{Name: "units", Values: c.units})
	cols = append(append(cols, c.outcome()...), result.Column{Name: "selection", Values: c.selection, Null: c.failed})
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
	for _, radius := range radii {
		perRadius = append(perRadius, result.Part{Name: fmt.Sprintf("r%g", radius), Width: 1})
		for _, s := range c.of.sites {
			perSite = append(perSite, result.Part{Name: fmt.Sprintf("%s@%g", s.Site, radius), Width: 1})
		}
	}
	return []result.Column{
		{Name: "complexity", Values: c.complexity, Width: len(radii), Parts: perRadius, Null: c.failed},
		{Name: "count", Values: c.count, Width: len(perSite), Parts: perSite, Null: c.failed},
		{Name: "fraction", Values: c.fraction, Width: len(perSite), Parts: perSite, Null: c.failed},
	}
}
