package region

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// table is a sink that keeps rows: by column, one value a row.
type table struct {
	rows   []map[string]any
	writes int
}

func (t *table) Write(cols []result.Column) error {
	t.writes++
	n := reflect.ValueOf(cols[0].Values).Len()
	for i := range n {
		row := map[string]any{}
		for _, c := range cols {
			v, w := reflect.ValueOf(c.Values), max(c.Width, 1)
			if v.Len() != n*w || c.Null != nil && len(c.Null) != n {
				return fmt.Errorf("column %s: %d values and %d marks for %d rows of %d", c.Name, v.Len(), len(c.Null), n, w)
			}
			switch {
			case c.Null != nil && c.Null[i]:
				row[c.Name] = nil
			case c.Width == 0:
				row[c.Name] = v.Index(i).Interface()
			default:
				row[c.Name] = fmt.Sprint(v.Slice(i*w, (i+1)*w).Interface())
			}
		}
		t.rows = append(t.rows, row)
	}
	return nil
}
func (t *table) Commit(any) error { return nil }
func (t *table) Abort() error     { return nil }

// annotated is the regions of items.
type annotated [][]Region

func (a annotated) Has(i int) bool { return len(a[i]) > 0 }
func (a annotated) Regions(i int, _ picture.Size) (rs []Region, errs []error) {
	for _, r := range a[i] {
		if r.ID == "bad" {
			errs = append(errs, errors.New("boxes.csv:7: no box"))
			continue
		}
		rs = append(rs, r)
	}
	return rs, errs
}

// trial is a shipped network with codes drawn at random.
type trial struct {
	plan          *probes.Plan
	layouts       []Layout
	geometry      picture.Geometry
	code, changed [][]byte
	from          annotated
	failed        int // this item could not be read; -1 for none
	o             RowOptions
}

func newTrial(t *testing.T) *trial {
	m, err := onnx.Load("../../testdata/models/resnet_basic_dynamo.onnx")
	if err != nil {
		t.Fatal(err)
	}
	p, err := probes.Attach(m, probes.AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ls, err := Map(m, &p.Fit, p.Sites)
	if err != nil {
		t.Fatal(err)
	}
	shape := p.Fit.Sample
	g, err := picture.Preprocess{}.Geometry(shape[2], shape[1])
	if err != nil {
		t.Fatal(err)
	}
	x := &trial{plan: p, layouts: ls, geometry: g, failed: -1, o: RowOptions{Channels: true, Share: 0.5, Sketch: 20, Seed: 3, Code: true, Radii: []float64{0.1, 0.5}}}
	r := rand.New(rand.NewPCG(1, 2))
	w, h := float64(shape[2]), float64(shape[1])
	for i := range 6 {
		code, changed := make([]byte, p.CodeBytes()), make([]byte, 2*p.CodeBytes())
		for k := range code {
			code[k] = byte(r.Uint32())
		}
		for k := range changed {
			changed[k] = byte(r.Uint32() & r.Uint32())
		}
		at := 0
		for range 3 { // padding is zero in codes
			for k := range p.Sites {
				s := &p.Sites[k]
				if pad := s.Bytes()*8 - s.Units*s.Planes(); pad > 0 {
					buf := code
					if at >= p.CodeBytes() {
						buf = changed[at-p.CodeBytes():]
						buf[s.Bytes()-1] &= 0xff << pad
					} else {
						buf[at+s.Bytes()-1] &= 0xff << pad
					}
				}
				at += s.Bytes()
			}
		}
		x.code, x.changed = append(x.code, code), append(x.changed, changed)
		var rs []Region
		for k := range i {
			bx, by := r.Float64()*w*0.8, r.Float64()*h*0.8
			rs = append(rs, Region{ID: fmt.Sprint(k), Label: "c", Box: Box{bx, by, bx + 1 + r.Float64()*w/2, by + 1 + r.Float64()*h/2}})
		}
		x.from = append(x.from, rs)
	}
	x.from[5] = append(x.from[5], Region{ID: "all", Box: Box{0, 0, w, h}}, Region{ID: "out", Box: Box{w + 1, 0, w + 9, h}}, Region{ID: "bad"}, Region{ID: "all", Box: Box{0, 0, w, h}})
	return x
}

// run gives the rows in batches of a size.
func (x *trial) run(t *testing.T, batch int) (*table, RowSummary) {
	t.Helper()
	to := &table{}
	r := x.sink(t, to)
	x.write(t, r, batch)
	return to, r.Summary()
}

func (x *trial) sink(t *testing.T, to *table) *Rows {
	t.Helper()
	where := func(i int) (picture.Geometry, error) { return x.geometry, nil }
	r, err := NewRows(to, x.plan.Sites, x.layouts, where, x.from, x.o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (x *trial) write(t *testing.T, r *Rows, batch int) {
	t.Helper()
	for lo := 0; lo < len(x.code); lo += batch {
		var id, path, status, message []string
		var code, changed []byte
		for i := lo; i < min(lo+batch, len(x.code)); i++ {
			id, path, status, message = append(id, fmt.Sprintf("p%d", i)), append(path, fmt.Sprintf("dir/p%d", i)), append(status, "ok"), append(message, "")
			if i == x.failed {
				status[i-lo], message[i-lo] = "error", "it is no picture"
			}
			code, changed = append(code, x.code[i]...), append(changed, x.changed[i]...)
		}
		cols := []result.Column{{Name: "id", Values: id}, {Name: "path", Values: path}, {Name: "status", Values: status}, {Name: "error", Values: message},
			{Name: "code", Values: code, Width: len(x.code[0])}, {Name: "changed", Values: changed, Width: len(x.changed[0])}}
		if err := r.Write(cols); err != nil {
			t.Fatal(err)
		}
	}
}

// Each row says what one finds by going through the bits of the whole code one by one.
func TestRowsAreWhatTheWholeCodesSay(t *testing.T) {
	x := newTrial(t)
	to, sum := x.run(t, 4)
	if want := (RowSummary{Regions: 19, Failed: 2, Pictures: 5, Without: 1}); sum.Regions != want.Regions || sum.Failed != want.Failed || sum.Pictures != want.Pictures || sum.Without != want.Without {
		t.Fatalf("%+v, want %+v", sum, want)
	}
	at := map[string]map[string]any{}
	for _, row := range to.rows {
		at[row["id"].(string)] = row
	}
	for i, rs := range x.from {
		for _, of := range rs {
			row := at[fmt.Sprintf("p%d#%s", i, of.ID)]
			if of.ID == "bad" || of.ID == "out" {
				continue
			}
			if row == nil || row["status"] != "ok" || row["x0"] != of.Box.X0 || row["y1"] != of.Box.Y1 || row["image"] != fmt.Sprintf("p%d", i) {
				t.Fatalf("item %d, region %s: %v", i, of.ID, row)
			}
			x.compare(t, row, i, of)
		}
	}
	whole, _ := at["p5#all"]["digest"].(string)
	var spatial []byte
	offset := 0
	for k, l := range x.layouts {
		n := x.plan.Sites[k].Bytes()
		if l.Reason == "" {
			spatial = append(spatial, x.code[5][offset:offset+n]...)
		}
		offset += n
	}
	if want := probes.DigestOf(spatial).String(); whole != want {
		t.Errorf("the digest of a region that is the picture is %s, that of the code is %s", whole, want)
	}
	if at["p5#all#2"] == nil {
		t.Error("a region whose ID was taken has no row of its own")
	}
	for id, why := range map[string]string{"p5#out": "outside the picture of 8x8 pixels", "p5#!1": "boxes.csv:7"} {
		if row := at[id]; row == nil || row["status"] != "error" || !strings.Contains(row["error"].(string), why) || row["digest"] != nil || row["channels"] != nil {
			t.Errorf("%s: %v, want an error that says %q", id, row, why)
		}
	}
}

// compare holds a row against the bits of the item's code.
func (x *trial) compare(t *testing.T, row map[string]any, item int, of Region) {
	mask, kept, err := Project(x.geometry, of)
	if err != nil || row["kept"] != kept {
		t.Fatalf("kept %v, want %v, %v", row["kept"], kept, err)
	}
	var packedCode, channels []byte
	counts, units, offset := [2][]int64{}, 0, 0
	total := [2]int64{}
	for k := range x.plan.Sites {
		s, l := &x.plan.Sites[k], &x.layouts[k]
		if l.Reason == "" {
			p, err := l.Positions(mask, x.o.Rule)
			if err != nil {
				t.Fatal(err)
			}
			var own []bool
			fired, n := make([]int, l.Channels), [2]int64{}
			for u := range s.Units { // one plane: these are ReLUs
				y, px, c, _ := chw(l, u)
				if !p.Has(y, px) {
					continue
				}
				units++
				bit := probes.Bit(x.code[item], offset*8+u)
				if own = append(own, bit); bit {
					fired[c]++
				}
				for r := range n {
					if probes.Bit(x.changed[item], (r*x.plan.CodeBytes()+offset)*8+u) {
						n[r]++
					}
				}
			}
			share := make([]bool, l.Channels)
			for c, f := range fired {
				share[c] = f > 0 && 2*f >= p.Count()
			}
			packedCode, channels = append(packedCode, packed(own)...), append(channels, packed(share)...)
			for r := range n {
				counts[r], total[r] = append(counts[r], n[r]), total[r]+n[r]
			}
		}
		offset += s.Bytes()
	}
	want := map[string]any{"units": int64(units), "digest": probes.DigestOf(packedCode).String(), "region_code": hex.EncodeToString(packedCode),
		"channels": fmt.Sprint(channels), "complexity": fmt.Sprint(total[:]), "count": fmt.Sprint(slices.Concat(counts[0], counts[1]))}
	for name, v := range want {
		if row[name] != v {
			t.Errorf("item %d, region %s: %s is %.80v, want %.80v", item, of.ID, name, row[name], v)
		}
	}
}

// How items come in batches, and in which order regions come, changes no row.
func TestRowsDoNotDependOnBatchesAndOrder(t *testing.T) {
	x := newTrial(t)
	want, _ := x.run(t, 6)
	for batch := 1; batch < 6; batch++ {
		if got, _ := x.run(t, batch); !reflect.DeepEqual(got.rows, want.rows) {
			t.Errorf("other rows in batches of %d", batch)
		}
	}
	for i := range x.from {
		slices.Reverse(x.from[i])
	}
	got, _ := x.run(t, 6)
	key := func(r map[string]any) string { return fmt.Sprint(r["id"], r["region"]) }
	by := func(a, b map[string]any) int { return strings.Compare(key(a), key(b)) }
	slices.SortFunc(got.rows, by)
	slices.SortFunc(want.rows, by)
	if !reflect.DeepEqual(got.rows, want.rows) {
		t.Error("other rows for regions in another order")
	}
}

// More regions than are kept at a time are written in pieces, in order.
func TestRowsOfVeryManyRegions(t *testing.T) {
	x := newTrial(t)
	x.o, x.from = RowOptions{Radii: x.o.Radii}, make(annotated, 6)
	for k := range 600 {
		x.from[2] = append(x.from[2], Region{ID: fmt.Sprint(k), Box: Box{0, 0, 2, 2}})
	}
	to, _ := x.run(t, 6)
	if len(to.rows) != 600 || to.writes < 3 || to.rows[599]["region"] != "599" {
		t.Errorf("%d rows in %d pieces", len(to.rows), to.writes)
	}
}

func TestRowOfAPictureThatFailed(t *testing.T) {
	x := newTrial(t)
	x.failed = 3
	to, sum := x.run(t, 4)
	row := to.rows[1+2]
	if row["id"] != "p3" || row["region"] != nil || row["error"] != "it is no picture" || sum.Regions != 19-2 || sum.Failed != 3 {
		t.Errorf("%v; %+v", row, sum)
	}
}

// faulty is a source that finds nothing but a fault.
type faulty struct{ err error }

func (f faulty) Has(int) bool                                  { return true }
func (f faulty) Regions(int, picture.Size) ([]Region, []error) { return nil, []error{f.err} }

// A picture at which the engine that finds regions crashes is a row, and one that goes
// beyond a limit ends the run.
func TestRowsOfALostEngine(t *testing.T) {
	x := newTrial(t)
	lost := &engine.LostError{Engine: "fake", Doing: "ran the model", Signal: "SIGFPE"}
	for _, ends := range []bool{false, true} {
		to := &table{}
		if ends {
			lost.Signal, lost.Why = "", errors.New("took longer than 60 s")
		}
		where := func(int) (picture.Geometry, error) { return x.geometry, nil }
		r, err := NewRows(to, x.plan.Sites, x.layouts, where, faulty{fmt.Errorf("regions by a model: %w", lost)}, RowOptions{Code: true})
		if err != nil {
			t.Fatal(err)
		}
		err = r.Write([]result.Column{{Name: "id", Values: []string{"p"}}, {Name: "path", Values: []string{"p"}}, {Name: "status", Values: []string{"ok"}},
			{Name: "error", Values: []string{""}}, {Name: "code", Values: x.code[0], Width: len(x.code[0])}})
		if ends && (err == nil || !strings.Contains(err.Error(), `picture "p": regions by a model: fake took`)) || errors.Is(err, lost) != ends || (len(to.rows) == 1) == ends {
			t.Fatalf("ends %v: %v, %d rows", ends, err, len(to.rows))
		}
		if want := "regions by a model: fake crashed with SIGFPE while it ran the model"; !ends && to.rows[0]["error"] != want {
			t.Errorf("the row's error is %v, want %s", to.rows[0]["error"], want)
		}
	}
}

// What no row can be made of is said at once.
func TestRowsRefuse(t *testing.T) {
	x := newTrial(t)
	lost := slices.Clone(x.layouts)
	for i := range lost {
		lost[i].Reason = "pooled"
	}
	for want, f := range map[string]func() error{
		"no site has positions": func() error { _, err := NewRows(nil, x.plan.Sites, lost, nil, nil, x.o); return err },
		"layouts for":           func() error { _, err := NewRows(nil, x.plan.Sites, lost[1:], nil, nil, x.o); return err },
		"a share of 2": func() error {
			_, err := NewRows(nil, x.plan.Sites, x.layouts, nil, nil, RowOptions{Share: 2})
			return err
		},
		"whole codes": func() error {
			r, err := NewRows(nil, x.plan.Sites, x.layouts, nil, nil, x.o)
			if err != nil {
				return err
			}
			return r.Write([]result.Column{{Name: "id", Values: []string{"a"}}, {Name: "code", Values: []byte{1, 2}, Width: 2}})
		},
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error that says %q", err, want)
		}
	}
}

// A sketch holds bits of the code; with all of them asked for it is the code, and of
// two codes its distance follows theirs.
func TestSketchOfSeveralSites(t *testing.T) {
	x := newTrial(t)
	m, _, err := Project(x.geometry, Region{Box: Box{1, 1, 9, 9}})
	if err != nil {
		t.Fatal(err)
	}
	var sel []*Selection
	var code []byte
	bits, offset := 0, 0
	for k := range x.layouts {
		n := x.plan.Sites[k].Bytes()
		if s, err := x.layouts[k].Units(m, Nominal); err == nil && s.Units > 0 {
			sel, code, bits = append(sel, s), append(code, x.code[4][offset:offset+n]...), bits+s.Size()
		}
		offset += n
	}
	var all []bool
	rest := code
	for _, s := range sel {
		own := s.Append(nil, rest[:len(s.Bits)])
		rest = rest[len(s.Bits):]
		for i := range s.Size() {
			all = append(all, probes.Bit(own, i))
		}
	}
	if got := Sketch(sel, code, bits+100, 1); string(got) != string(packed(all)) {
		t.Error("a sketch of all bits is not the code")
	}
	chosen := sample(50, bits, 9)
	var want []bool
	for _, c := range chosen {
		want = append(want, all[c])
	}
	if got := Sketch(sel, code, 50, 9); string(got) != string(packed(want)) || len(slices.Compact(slices.Clone(chosen))) != 50 {
		t.Errorf("a sketch of 50 bits at %v is %x, want %x", chosen, got, packed(want))
	}
}
