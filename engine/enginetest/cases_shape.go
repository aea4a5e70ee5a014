package enginetest

import (
	"math"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// shapeCases rearrange what they are given.
func shapeCases() []Case {
	var cs table
	six := count(0, 2, 3)
	cs.op("reshape", "Reshape", ts{count(0, 2, 2, 2), i64(0, -1)}, count(0, 2, 4))
	cs.op("reshape to one axis", "Reshape", ts{six, i64(-1)}, count(0, 6))
	cs.op("reshape to a scalar", "Reshape", ts{count(5, 1, 1), i64()}, scalar(5))
	cs.op("reshape of nothing, zero allowed", "Reshape", ts{f([]int{0, 3}), i64(3, 0)}, f([]int{3, 0}), integer("allowzero", 1))
	cs.both("reshape by an input", "Reshape", ts{six, i64(3, -1)}, count(0, 3, 2))
	cs.op("flatten", "Flatten", ts{count(0, 2, 3, 2)}, count(0, 2, 6))
	cs.op("flatten from axis 0", "Flatten", ts{six}, count(0, 1, 6), integer("axis", 0))
	cs.op("flatten from axis 2", "Flatten", ts{count(0, 2, 3, 2)}, count(0, 6, 2), integer("axis", 2))
	cs.op("flatten from an axis counted from behind", "Flatten", ts{count(0, 2, 3, 2)}, count(0, 6, 2), integer("axis", -1))
	cs.op("flatten a vector", "Flatten", ts{count(0, 3)}, count(0, 3, 1))
	cs.op("transpose", "Transpose", ts{six}, f([]int{3, 2}, 0, 3, 1, 4, 2, 5))
	cs.op("transpose by a permutation", "Transpose", ts{count(0, 1, 2, 3)}, f([]int{3, 1, 2}, 0, 3, 1, 4, 2, 5), ints("perm", 2, 0, 1))
	cs.op("transpose of heads", "Transpose", ts{count(0, 1, 2, 2, 2)}, f([]int{1, 2, 2, 2}, 0, 1, 4, 5, 2, 3, 6, 7), ints("perm", 0, 2, 1, 3))
	cs.op("transpose of the inner two", "Transpose", ts{count(0, 2, 2, 2)}, f([]int{2, 2, 2}, 0, 2, 1, 3, 4, 6, 5, 7), ints("perm", 0, 2, 1))
	cs.op("squeeze", "Squeeze", ts{count(0, 2, 1, 3, 1), i64(1)}, count(0, 2, 3, 1))
	cs.op("squeeze axes counted from behind", "Squeeze", ts{count(0, 2, 1, 3, 1), i64(-1, -3)}, six)
	cs.both("squeeze whatever is 1", "Squeeze", ts{count(0, 1, 3, 1)}, count(0, 3))
	cs.op("squeeze of older opsets", "Squeeze", ts{count(0, 2, 1, 3)}, six, ints("axes", 1)).opset(11)
	cs.op("unsqueeze", "Unsqueeze", ts{six, i64(0, -1)}, count(0, 1, 2, 3, 1))
	cs.op("unsqueeze, axes in no order", "Unsqueeze", ts{six, i64(3, 1)}, count(0, 2, 1, 3, 1))
	cs.op("unsqueeze of older opsets", "Unsqueeze", ts{six}, count(0, 2, 1, 3), ints("axes", 1)).opset(11)
	cs.op("unsqueeze a scalar", "Unsqueeze", ts{scalar(7), i64(0)}, vec(7))
	cs.both("concat", "Concat", ts{count(0, 1, 2), count(2, 2, 2)}, count(0, 3, 2), integer("axis", 0))
	cs.both("concat of columns", "Concat", ts{f([]int{2, 1}, 0, 3), f([]int{2, 2}, 1, 2, 4, 5)}, six, integer("axis", 1))
	cs.both("concat of three, axis counted from behind", "Concat", ts{f([]int{2, 1}, 0, 3), f([]int{2, 1}, 1, 4), f([]int{2, 1}, 2, 5)}, six, integer("axis", -1))
	cs.both("concat with nothing", "Concat", ts{f([]int{2, 0}), six}, six, integer("axis", 1))
	cs.both("concat of one", "Concat", ts{six}, six, integer("axis", 1))
	cs.parts("split", "Split", ts{count(0, 2, 4)}, ts{f([]int{2, 2}, 0, 1, 4, 5), f([]int{2, 2}, 2, 3, 6, 7)}, integer("axis", 1))
	cs.parts("split unevenly", "Split", ts{six, i64(1, 2)}, ts{f([]int{2, 1}, 0, 3), f([]int{2, 2}, 1, 2, 4, 5)}, integer("axis", -1))
	cs.parts("split rows", "Split", ts{count(0, 3, 2), i64(1, 2)}, ts{count(0, 1, 2), count(2, 2, 2)})
	cs.parts("split of older opsets", "Split", ts{six}, ts{f([]int{2, 2}, 0, 1, 3, 4), f([]int{2, 1}, 2, 5)}, integer("axis", 1), ints("split", 2, 1)).opset(11)
	cs.parts("split into a number that does not divide", "Split", ts{six}, ts{f([]int{2, 2}, 0, 1, 3, 4), f([]int{2,
		1}, 2, 5)}, integer("axis", 1), integer("num_outputs", 2)).opset(18)
	cs.op("expand", "Expand", ts{f([]int{2, 1}, 1, 2), i64(2, 3)}, f([]int{2, 3}, 1, 1, 1, 2, 2, 2))
	cs.op("expand by more axes", "Expand", ts{vec(1, 2), i64(2, 1, 2)}, f([]int{2, 1, 2}, 1, 2, 1, 2))
	cs.op("expand where the shape has 1", "Expand", ts{count(1, 2, 2), i64(1, 1)}, count(1, 2, 2))
	cs.op("expand a scalar", "Expand", ts{scalar(7), i64(2)}, vec(7, 7))
	cs.op("tile", "Tile", ts{count(1, 2, 2), i64(2, 2)}, f([]int{4, 4}, 1, 2, 1, 2, 3, 4, 3, 4, 1, 2, 1, 2, 3, 4, 3, 4))
	cs.op("tile one axis", "Tile", ts{count(1, 1, 2), i64(1, 3)}, f([]int{1, 6}, 1, 2, 1, 2, 1, 2))
	pads := i64(0, 0, 1, 0, 0, 0, 0, 2)
	cs.op("pad", "Pad", ts{count(1, 1, 1, 1, 2), pads, scalar(9)}, f([]int{1, 1, 2, 4}, 9, 9, 9, 9, 1, 2, 9, 9))
	cs.op("pad with zeros", "Pad", ts{count(1, 1, 2), i64(0, 1, 0, 1)}, f([]int{1, 4}, 0, 1, 2, 0))
	cs.op("pad by less than nothing", "Pad", ts{count(1, 1, 4), i64(0, -1, 0, 1)}, f([]int{1, 4}, 2, 3, 4, 0))
	cs.op("pad reflect", "Pad", ts{count(1, 1, 4), i64(0, 2, 0, 3)}, f([]int{1, 9}, 3, 2, 1, 2, 3, 4, 3, 2, 1), text("mode", "reflect"))
	cs.op("pad reflect both ways", "Pad", ts{count(1, 2, 2), i64(1, 1, 0, 0)}, f([]int{3, 3}, 4, 3, 4, 2, 1, 2, 4, 3, 4), text("mode", "reflect"))
	cs.op("pad edge", "Pad", ts{count(1, 2, 2), i64(0, 1, 1, 2)}, f([]int{3, 5}, 1, 1, 2, 2, 2, 3, 3, 4, 4, 4, 3, 3, 4, 4, 4), text("mode", "edge"))
	cs.op("pad of some axes", "Pad", ts{count(1, 2, 2), i64(1, 1), scalar(0), i64(-1)}, f([]int{2, 4}, 0, 1, 2, 0, 0, 3, 4, 0)).opset(18)
	cs.op("pad wrap", "Pad", ts{count(1, 1, 3), i64(0, 1, 0, 2)}, f([]int{1, 6}, 3, 1, 2, 3, 1, 2), text("mode", "wrap")).opset(19)
	cs.op("pad of older opsets", "Pad", ts{count(1, 1, 2)}, f([]int{1, 4}, 9, 1, 2, 9), ints("pads", 0, 1, 0, 1), float("value", 9)).opset(10)
	blocks := count(0, 1, 4, 1, 2)
	cs.op("depthtospace", "DepthToSpace", ts{blocks}, f([]int{1, 1, 2, 4}, 0, 2, 1, 3, 4, 6, 5, 7), integer("blocksize", 2))
	cs.op("depthtospace DCR", "DepthToSpace", ts{count(0, 1, 8, 1, 1)}, f([]int{1, 2, 2, 2}, 0, 2, 4, 6, 1, 3, 5, 7), integer("blocksize", 2), text("mode", "DCR"))
	cs.op("depthtospace CRD", "DepthToSpace", ts{count(0, 1, 8, 1, 1)}, count(0, 1, 2, 2, 2), integer("blocksize", 2), text("mode", "CRD"))
	cs.op("spacetodepth", "SpaceToDepth", ts{f([]int{1, 1, 2, 4}, 0, 2, 1, 3, 4, 6, 5, 7)}, blocks, integer("blocksize", 2))
	cs.op("identity", "Identity", ts{six}, six)
	cs.op("trilu, the lower", "Trilu", ts{count(1, 2, 2)}, f([]int{2, 2}, 1, 0, 3, 4), integer("upper", 0))
	cs.op("trilu, the upper without its diagonal", "Trilu", ts{count(1, 2, 2), tensor.Scalar(int64(1))}, f([]int{2, 2}, 0, 2, 0, 0))
	return cs
}

// indexCases pick elements, and make shapes.
func indexCases() []Case {
	var cs table
	six, most := count(0, 2, 3), int64(math.MaxInt64)
	slice := func(name string, start, end, axes, steps *tensor.Tensor, want *tensor.Tensor) {
		cs.op("slice "+name, "Slice", ts{six, start, end, axes, steps}, want)
	}
	slice("columns", i64(1), i64(3), i64(1), i64(1), f([]int{2, 2}, 1, 2, 4, 5))
	slice("with a step", i64(0), i64(3), i64(-1), i64(2), f([]int{2, 2}, 0, 2, 3, 5))
	slice("backwards", i64(-1), i64(-most), i64(1), i64(-1), f([]int{2, 3}, 2, 1, 0, 5, 4, 3))
	slice("backwards by two", i64(most), i64(-most), i64(1), i64(-2), f([]int{2, 2}, 2, 0, 5, 3))
	slice("both axes", i64(1, -2), i64(most, most), i64(0, 1), i64(1, 1), f([]int{1, 2}, 4, 5))
	slice("to nothing", i64(2), i64(1), i64(1), i64(1), f([]int{2, 0}))
	cs.op("slice without axes", "Slice", ts{six, i64(0, 1), i64(1, -1)}, f([]int{1, 1}, 1))
	cs.op("slice of older opsets", "Slice", ts{six}, f([]int{2, 2}, 1, 2, 4, 5), ints("starts", 1), ints("ends", most), ints("axes", 1)).opset(9)
	cs.op("slice int64", "Slice", ts{i64(5, 6, 7), i64(1), i64(most)}, i64(6, 7))
	cs.op("gather rows", "Gather", ts{six, i64(1, 0, 1)}, f([]int{3, 3}, 3, 4, 5, 0, 1, 2, 3, 4, 5))
	cs.op("gather columns, counted from behind", "Gather", ts{six, i64(-1, 0)}, f([]int{2, 2}, 2, 0, 5, 3), integer("axis", 1))
	cs.op("gather by one number", "Gather", ts{six, tensor.Scalar(int64(1))}, vec(1, 4), integer("axis", 1))
	cs.op("gather by a table", "Gather", ts{vec(10, 20, 30), shaped(i64(0, 2, 2, 1), 2, 2)}, f([]int{2, 2}, 10, 30, 30, 20))
	cs.op("gather by int32", "Gather", ts{six, tensor.Of([]int32{1}, 1)}, count(3, 1, 3))
	cs.both("gather by an input", "Gather", ts{six, i64(1)}, count(3, 1, 3))
	cs.op("gather int64", "Gather", ts{i64(5, 1<<60+1), i64(1)}, i64(1<<60+1))
	cs.op("gatherelements", "GatherElements", ts{six, shaped(i64(2, -3), 2, 1)}, f([]int{2, 1}, 2, 3), integer("axis", 1))
	cs.op("gathernd", "GatherND", ts{six, shaped(i64(0, 1, 1, -1), 2, 2)}, vec(1, 5))
	cs.op("gathernd of rows", "GatherND", ts{six, shaped(i64(1, 0), 2, 1)}, f([]int{2, 3}, 3, 4, 5, 0, 1, 2))
	cs.op("scatterelements", "ScatterElements", ts{six, shaped(i64(2, 0), 2, 1), f([]int{2, 1}, 7, 8)}, f([]int{2, 3}, 0, 1, 7, 8, 4, 5), integer("axis", 1))
	cs.op("scatternd", "ScatterND", ts{six, shaped(i64(1), 1, 1), f([]int{1, 3}, 7, 8, 9)}, f([]int{2, 3}, 0, 1, 2, 7, 8, 9))
	cs.op("nonzero", "NonZero", ts{f([]int{2, 2}, 0, 3, negz, -1)}, shaped(i64(0, 1, 1, 1), 2, 2))
	cs.op("compress", "Compress", ts{six, bits(0, 1, 1)}, f([]int{2, 2}, 1, 2, 4, 5), integer("axis", 1))
	cs.op("onehot", "OneHot", ts{i64(1, -1), tensor.Scalar(int64(3)), vec(2, 5)}, f([]int{2, 3}, 2, 5, 2, 2, 2, 5))

	cs.op("shape", "Shape", ts{count(0, 2, 1, 3)}, i64(2, 1, 3))
	cs.op("shape of some axes", "Shape", ts{count(0, 2, 1, 3)}, i64(1), integer("start", 1), integer("end", -1))
	cs.op("shape of a scalar", "Shape", ts{scalar(1)}, i64())
	cs.op("size", "Size", ts{six}, tensor.Scalar(int64(6)))
	still := func(name, op string, in ts, want *tensor.Tensor, attrs ...*onnx.Attr) {
		cs.add(name, build(func(b *builder) {
			b.in("unread", tensor.Float32, 1)
			var names []string
			for i, t := range in {
				names = append(names, b.constant(string(rune('a'+i)), t))
			}
			b.op(op, "y", names, attrs...)
			b.outAny("y", want.DType)
		}), ts{vec(0)}, want)
	}
	still("constantofshape", "ConstantOfShape", ts{i64(2, 3)}, fill(0, 2, 3))
	still("constantofshape of int64", "ConstantOfShape", ts{i64(2)}, i64(7, 7), value("value", i64(7)))
	still("constantofshape of half", "ConstantOfShape", ts{i64(2)}, vec(0.5, 0.5), value("value", vec(0.5)))
	still("constantofshape of nothing", "ConstantOfShape", ts{i64(0)}, vec())
	still("constantofshape of bools", "ConstantOfShape", ts{i64(2)}, bits(1, 1), value("value", bits(1)))
	cs.op("constantofshape by an input", "ConstantOfShape", ts{i64(2, 3)}, fill(0, 2, 3))
	still("range", "Range", ts{scalar(1), scalar(4), scalar(2)}, vec(1, 3))
	still("range down", "Range", ts{tensor.Scalar(int64(3)), tensor.Scalar(int64(0)), tensor.Scalar(int64(-1))}, i64(3, 2, 1))
	cs.both("range by inputs", "Range", ts{scalar(1), scalar(4), scalar(2)}, vec(1, 3))
	cs.op("eyelike", "EyeLike", ts{fill(5, 2, 3)}, f([]int{2, 3}, 0, 1, 0, 0, 0, 1), integer("k", 1))
	return cs
}

// resizeCases are Resize and what came before it.
func resizeCases() []Case {
	var cs table
	four, row := count(1, 1, 1, 2, 2), count(1, 1, 1, 1, 4)
	none, twice := vec(), vec(1, 1, 2, 2)
	quads := f([]int{1, 1, 4, 4}, 1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4)
	mode := func(s string) []string { return []string{"mode", s} }
	resize := func(name string, in ts, want *tensor.Tensor, settings ...[]string) *Case {
		c := cs.op("resize "+name, "Resize", in, want)
		for _, s := range settings {
			c.Model.Graph.Nodes[0].Attrs = append(c.Model.Graph.Nodes[0].Attrs, text(s[0], s[1]))
		}
		return c
	}
	at := func(s string) []string { return []string{"coordinate_transformation_mode", s} }
	resize("nearest", ts{four, none, twice}, quads)
	resize("nearest as PyTorch asks for it", ts{four, none, twice}, quads, mode("nearest"), at("asymmetric"), []string{"nearest_mode", "floor"})
	resize("nearest down", ts{row, none, vec(1, 1, 1, 0.5)}, f([]int{1, 1, 1, 2}, 1, 3), at("asymmetric"), []string{"nearest_mode", "floor"})
	resize("nearest down, from half pixels", ts{row, none, vec(1, 1, 1, 0.5)}, f([]int{1, 1, 1, 2}, 1, 3))
	resize("nearest down, ceil", ts{row, none, vec(1, 1, 1, 0.5)}, f([]int{1, 1, 1, 2}, 2, 4), []string{"nearest_mode", "ceil"})
	bySize := resize("nearest to a size", ts{four, none, none, i64(1, 1, 4, 4)}, quads)
	bySize.Model.Graph.Nodes[0].Inputs = []string{"x", "", "", "c"}
	resize("linear", ts{four, none, twice}, f([]int{1, 1, 4, 4}, 1, 1.25, 1.75, 2, 1.5, 1.75, 2.25, 2.5, 2.5, 2.75, 3.25, 3.5, 3, 3.25, 3.75, 4), mode("linear"))
	resize("linear as PyTorch asks for it", ts{four, none, twice}, f([]int{1, 1, 4, 4}, 1, 1.25, 1.75, 2, 1.5, 1.75,
		2.25, 2.5, 2.5, 2.75, 3.25, 3.5, 3, 3.25, 3.75, 4),
		mode("linear"), at("pytorch_half_pixel"))
	resize("linear down", ts{row, none, vec(1, 1, 1, 0.5)}, f([]int{1, 1, 1, 2}, 1.5, 3.5), mode("linear"))
	resize("linear, asymmetric", ts{count(1, 1, 1, 1, 2), none, vec(1, 1, 1, 2)}, f([]int{1, 1, 1, 4}, 1, 1.5, 2, 2), mode("linear"), at("asymmetric"))
	corners := resize("linear, corners aligned", ts{count(1, 1, 1, 1, 2), none, none, i64(1, 1, 1, 5)}, f([]int{1, 1,
		1, 5}, 1, 1.25, 1.5, 1.75, 2), mode("linear"), at("align_corners"))
	corners.Model.Graph.Nodes[0].Inputs = []string{"x", "", "", "c"}
	resize("of older opsets", ts{four, twice}, quads, mode("nearest")).opset(10)
	cs.op("upsample", "Upsample", ts{four, twice}, quads, text("mode", "nearest")).opset(9)
	return cs
}
