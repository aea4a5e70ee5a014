package probes

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/rewrite"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// gathering is a probed model that makes the vertices of cross-polytopes itself and
// returns, instead of the code of each, what those around one point have in common.
// A run is of Batch vertices; they lie around at most groups points. In front of the
// model, with i from 0 to Batch:
//
//	vertex[i] = points[point[i]] + sign[i] * directions[direction[i]]
//
// points [groups, d] are the samples; directions [n, d] is a constant, the frame times
// each radius and a row of zeros. Each vertex is one float32 sum, as on the host: a
// product with 1 or -1 is exact. Behind the bits, planes of zeros and ones [Batch,
// units], and before they are packed:
//
//	members [2 groups, Batch] times plane > bound [2 groups, 1]
//
// so that row g of a code has the bits that are set at any vertex around point g, and
// row groups+g those that are set at all of them. The sums are whole numbers of at
// most Batch, exact in float32 and from factors of any floating type.
type gathering struct {
	groups     int
	input      string
	dtype      tensor.DType
	sample     []int
	directions []float32 // [n, d]
}

const (
	pointsIn    = "onnxprobe.points"
	pointIn     = "onnxprobe.point"
	directionIn = "onnxprobe.direction"
	signIn      = "onnxprobe.sign"
	membersIn   = "onnxprobe.members"
	boundIn     = "onnxprobe.bound"
)

// declare adds the inputs that the codes need.
func (g *gathering) declare(e *rewrite.Edit) {
	rows, batch := onnx.Dim{Size: int64(2 * g.groups)}, onnx.Dim{Size: -1, Param: "vertices"}
	e.Graph.Inputs = append(e.Graph.Inputs,
		onnx.NewValue(membersIn, tensor.Float32, []onnx.Dim{rows, batch}),
		onnx.NewValue(boundIn, tensor.Float32, []onnx.Dim{rows, {Size: 1}}))
}

// rows turns planes of the vertices into planes of what they have in common.
func (g *gathering) rows(p *packer, planes []string) []string {
	out := make([]string, len(planes))
	for i, plane := range planes {
		sums := p.e.Op("MatMul", nil, membersIn, p.e.Op("Reshape", nil, plane, p.ints(p.lead, -1)))
		out[i] = p.cast(p.e.Op("Greater", nil, sums, boundIn), p.bit())
	}
	return out
}

// vertices puts in front of the model what makes its input.
func (g *gathering) vertices(e *rewrite.Edit) error {
	e = e.In("onnxprobe").In("vertices")
	dim := int64(tensor.Count(g.sample))
	batch := onnx.Dim{Size: -1, Param: "vertices"}
	for i, v := range e.Graph.Inputs {
		if v.Name == g.input {
			e.Graph.Inputs[i] = onnx.NewValue(pointsIn, tensor.Float32, []onnx.Dim{{Size: int64(g.groups)}, {Size: dim}})
		}
	}
	e.Graph.Inputs = append(e.Graph.Inputs,
		onnx.NewValue(pointIn, tensor.Int64, []onnx.Dim{batch}),
		onnx.NewValue(directionIn, tensor.Int64, []onnx.Dim{batch}),
		onnx.NewValue(signIn, tensor.Float32, []onnx.Dim{batch, {Size: 1}}))
	all := e.Const(tensor.Of(g.directions, len(g.directions)/int(dim), int(dim)))
	step := e.Op("Mul", nil, e.Op("Gather", nil, all, directionIn), signIn)
	x := e.Op("Add", nil, e.Op("Gather", nil, pointsIn, pointIn), step)
	if g.dtype != tensor.Float32 {
		x = e.Op("Cast", map[string]any{"to": int(g.dtype)}, x)
	}
	shape := []int64{-1}
	for _, d := range g.sample {
		shape = append(shape, int64(d))
	}
	e.Op("Reshape", nil, x, e.Const(tensor.Of(shape, len(shape))))
	e.Graph.Nodes[len(e.Graph.Nodes)-1].Outputs[0] = g.input
	return nil
}

// maxDirections bounds the frames that become part of a model, whose message holds
// less than 2 GiB.
const maxDirections = 1 << 29

// inGraph says where the vertices are made: in the graph on a GPU, to which the
// points alone travel then and from which a few codes come back instead of one for
// each vertex. A CPU has them in its memory anyway, and packs codes faster than it
// adds them up.
func (r *Prober) inGraph(nb *Complexity) bool {
	f := &r.Plan.Fit
	able := nb.Each == nil && r.Batch > 1 && !f.Unbatched && len(f.Others) == 0 && (f.DType == tensor.Float32 ||
		f.DType == tensor.Float64 || f.DType == tensor.Float16) &&
		len(nb.Radii)*len(nb.Frame.Data) < maxDirections/4
	if nb.inGraph != nil {
		return able && *nb.inGraph
	}
	return able && r.Options.Device.Kind == "cuda" && 2*nb.groups(r.Batch) < r.Batch
}

// groups is the largest number of points that a run of n vertices lies around.
func (nb *Complexity) groups(n int) int { return (n-2+nb.vertices())/nb.vertices() + 1 }

// graphCrossing runs vertices that the graph makes.
type graphCrossing struct {
	r       *Prober // of the gathering's plan
	nb      *Complexity
	groups  int
	used    int // groups in the next run
	last    *tally
	tallies []*tally

	points, sign, members, bound []float32
	point, direction             []int64
}

// gathered is a session whose graph makes the vertices of one neighbourhood.
type gathered struct {
	r      *Prober // of the gathering's plan
	frame  *Frame
	radii  []float64
	groups int
}

// gathered is the session for nb beside r. It is prepared once, and shared where r's
// own is, so that a second run over a dataset finds it ready.
func (r *Prober) gathered(ctx context.Context, nb *Complexity) (*gathered, error) {
	for _, g := range r.also {
		if g.frame == nb.Frame && slices.Equal(g.radii, nb.Radii) && g.groups == nb.groups(r.Batch) {
			return g, nil
		}
	}
	g := &gathered{frame: nb.Frame, radii: slices.Clone(nb.Radii), groups: nb.groups(r.Batch)}
	var err error
	if r.of == nil {
		g.r, err = r.gather(ctx, nb, g.groups)
	} else {
		var first *gathered
		if first, err = r.of.gathered(ctx, nb); err == nil {
			g.r, err = first.r.share()
		}
	}
	if err != nil {
		return nil, err
	}
	r.also = append(r.also, g)
	return g, nil
}

// gather prepares the session of gathered.
func (r *Prober) gather(ctx context.Context, nb *Complexity, groups int) (*Prober, error) {
	p := *r.Plan
	g := &gathering{groups: groups, input: p.Fit.Input, dtype: p.Fit.DType, sample: p.Fit.Sample}
	for _, radius := range nb.Radii {
		g.directions = append(g.directions, nb.Frame.scaled(radius)...)
	}
	g.directions = append(g.directions, make([]float32, nb.Frame.Dim)...)
	p.gather = g
	if p.options.Pack = PackPortable; r.Options.Device.Kind != "cuda" {
		p.options.Pack = PackUnsigned
	}
	var err error
	if p.Model, err = p.rewrite(); err != nil {
		return nil, err
	}
	s, err := engine.Prepare(ctx, r.Backend, p.Model, nil, r.Options) // it declares what it takes
	if err != nil {
		return nil, engine.Named(p.source.Path, err)
	}
	own := &Prober{Plan: &p, Batch: r.Batch, Backend: r.Backend, Options: r.Options, Pack: p.options.Pack, session: s}
	if err := own.check(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return own, nil
}

func newGraphCrossing(ctx context.Context, r *Prober, nb *Complexity) (*graphCrossing, error) {
	g, err := r.gathered(ctx, nb)
	if err != nil {
		return nil, err
	}
	return &graphCrossing{r: g.r, nb: nb, groups: g.groups,
		points: make([]float32, g.groups*nb.Frame.Dim), sign: make([]float32, r.Batch), point: make([]int64, r.Batch), direction: make([]int64, r.Batch),
		members: make([]float32, 2*g.groups*r.Batch), bound: make([]float32, 2*g.groups)}, nil
}

func (c *graphCrossing) put(at int, x []float32, radius, j int, t *tally) {
	if at == 0 {
		c.used, c.last, c.tallies = 0, nil, c.tallies[:0]
	}
	if t != c.last {
		copy(c.points[c.used*len(x):], x)
		c.used, c.last, c.tallies = c.used+1, t, append(c.tallies, t)
	}
	p := c.nb.Frame.Directions
	c.point[at], c.sign[at] = int64(c.used-1), 1
	switch {
	case j < p:
		c.direction[at] = int64(radius*p + j)
	case j < 2*p:
		c.direction[at], c.sign[at] = int64(radius*p+j-p), -1
	default: // x - 0, which keeps the sign of a zero
		c.direction[at], c.sign[at] = int64(len(c.nb.Radii)*p), -1
	}
}

func (c *graphCrossing) run(ctx context.Context, of []*tally) ([]bool, error) {
	batch, n := c.r.Batch, make([]int, c.groups)
	clear(c.members)
	for i := range batch {
		if i >= len(of) { // a vertex of nobody: the first point itself
			c.point[i], c.direction[i], c.sign[i] = 0, int64(len(c.nb.Radii)*c.nb.Frame.Directions), -1
			continue
		}
		g := int(c.point[i])
		c.members[g*batch+i], c.members[(c.groups+g)*batch+i] = 1, 1
		n[g]++
	}
	for g := range c.groups {
		c.bound[g], c.bound[c.groups+g] = 0.5, float32(n[g])-0.5
	}
	clear(c.points[c.used*c.nb.Frame.Dim:])
	out, err := c.evaluate(ctx)
	if err != nil {
		return nil, err
	}
	for k, kind := range c.nb.kinds() {
		offset := 0
		for i, t := range c.r.probe(out, kind) {
			size := c.r.Plan.Sites[i].Bytes()
			for g, tally := range c.tallies {
				if t == nil { // an arg-max is never below itself
					tally.see(k, offset, make([]byte, size), make([]byte, size))
					continue
				}
				codes := tensor.Data[uint8](t)
				tally.see(k, offset, codes[g*size:(g+1)*size], codes[(c.groups+g)*size:(c.groups+g+1)*size])
			}
			offset += size
		}
	}
	nan := c.r.nan(out)
	c.r.Recycle(out)
	return nan, nil
}

// evaluate runs the session and checks the size of what it returns.
func (c *graphCrossing) evaluate(ctx context.Context) ([]*tensor.Tensor, error) {
	batch, rows := c.r.Batch, 2*c.groups
	by := map[string]*tensor.Tensor{
		pointsIn: tensor.Of(c.points, c.groups, c.nb.Frame.Dim), pointIn: tensor.Of(c.point, batch), directionIn: tensor.Of(c.direction, batch),
		signIn: tensor.Of(c.sign, batch, 1), membersIn: tensor.Of(c.members, rows, batch), boundIn: tensor.Of(c.bound, rows, 1),
	}
	var in []*tensor.Tensor
	for _, p := range c.r.session.Inputs() {
		if by[p.Name] == nil {
			return nil, fmt.Errorf("the session has an input %q, which nothing is known of", p.Name)
		}
		in = append(in, by[p.Name])
	}
	out, err := c.r.evaluate(ctx, in)
	if err != nil {
		return nil, err
	}
	return out, c.r.complete(out)
}
