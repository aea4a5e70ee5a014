package enginetest

// poolCases are the operators on windows other than Conv.
func poolCases() []Case {
	var cs table
	four, nine, sixteen := count(1, 1, 1, 2, 2), count(1, 1, 1, 3, 3), count(1, 1, 1, 4, 4)
	k2, s2, around := ints("kernel_shape", 2, 2), ints("strides", 2, 2), ints("pads", 1, 1, 1, 1)
	cs.op("maxpool", "MaxPool", ts{sixteen}, f([]int{1, 1, 2, 2}, 6, 8, 14, 16), k2, s2, ints("dilations", 1, 1))
	cs.op("maxpool, stride left out", "MaxPool", ts{nine}, f([]int{1, 1, 2, 2}, 5, 6, 8, 9), k2)
	cs.op("maxpool padding never wins", "MaxPool", ts{count(-4, 1, 1, 2, 2)}, f([]int{1, 1, 2, 2}, -4, -3, -2, -1), k2, s2, around)
	cs.op("maxpool pads on one side", "MaxPool", ts{count(-9, 1, 1, 3, 3)}, f([]int{1, 1, 2, 2}, -9, -7, -3, -1), k2, s2, ints("pads", 1, 1, 0, 0))
	cs.op("maxpool ceil", "MaxPool", ts{nine}, f([]int{1, 1, 2, 2}, 5, 6, 8, 9), k2, s2, integer("ceil_mode", 1))
	cs.op("maxpool dilated", "MaxPool", ts{sixteen}, f([]int{1, 1, 2, 2}, 11, 12, 15, 16), k2, ints("dilations", 2, 2))
	cs.op("maxpool SAME_UPPER", "MaxPool", ts{nine}, f([]int{1, 1, 2, 2}, 5, 6, 8, 9), k2, s2, text("auto_pad", "SAME_UPPER"))
	cs.op("maxpool SAME_LOWER", "MaxPool", ts{nine}, f([]int{1, 1, 2, 2}, 1, 3, 7, 9), k2, s2, text("auto_pad", "SAME_LOWER"))
	cs.op("maxpool 3x2 with strides 1 and 2", "MaxPool", ts{sixteen}, f([]int{1, 1, 2, 2}, 10, 12, 14, 16), ints("kernel_shape", 3, 2), ints("strides", 1, 2))
	cs.op("maxpool 1-D", "MaxPool", ts{f([]int{1, 1, 4}, 3, 1, -2, -1)}, f([]int{1, 1, 3}, 3, 1, -1), ints("kernel_shape", 2))
	cs.op("maxpool 3-D", "MaxPool", ts{count(1, 1, 1, 2, 2, 2)}, f([]int{1, 1, 1, 1, 1}, 8), ints("kernel_shape", 2, 2, 2))
	cs.parts("maxpool tells where", "MaxPool", ts{count(1, 1, 2, 2, 2)},
		ts{f([]int{1, 2, 1, 1}, 4, 8), shaped(i64(3, 7), 1, 2, 1, 1)}, k2)
	cs.parts("maxpool tells the first of equal ones", "MaxPool", ts{f([]int{2, 1, 2, 3}, 1, 1, 1, 1, 1, 1, 0, 2, 2, 2, 2, 0)},
		ts{f([]int{2, 1, 1, 2}, 1, 1, 2, 2), shaped(i64(0, 1, 7, 7), 2, 1, 1, 2)}, k2)
	cs.parts("maxpool tells where, with pads", "MaxPool", ts{count(-9, 1, 1, 3, 3)},
		ts{f([]int{1, 1, 2, 2}, -9, -7, -3, -1), shaped(i64(0, 2, 6, 8), 1, 1, 2, 2)}, k2, s2, ints("pads", 1, 1, 0, 0))
	cs.parts("maxpool tells where, as ONNX computes it", "MaxPool", ts{count(1, 1, 1, 5, 5)}, ts{
		f([]int{1, 1, 5, 5}, 13, 14, 15, 15, 15, 18, 19, 20, 20, 20, 23, 24, 25, 25, 25, 23, 24, 25, 25, 25, 23, 24, 25, 25, 25),
		shaped(i64(12, 13, 14, 14, 14, 17, 18, 19, 19, 19, 22, 23, 24, 24, 24, 22, 23, 24, 24, 24, 22, 23, 24, 24, 24), 1, 1, 5, 5)},
		ints("kernel_shape", 5, 5), ints("pads", 2, 2, 2, 2))
	cs.parts("maxpool tells where, dilated", "MaxPool", ts{sixteen},
		ts{f([]int{1, 1, 2, 2}, 11, 12, 15, 16), shaped(i64(10, 11, 14, 15), 1, 1, 2, 2)}, k2, ints("dilations", 2, 2))
	cs.parts("maxpool tells where, ceil", "MaxPool", ts{nine},
		ts{f([]int{1, 1, 2, 2}, 5, 6, 8, 9), shaped(i64(4, 5, 7, 8), 1, 1, 2, 2)}, k2, s2, integer("ceil_mode", 1))
	cs.op("averagepool", "AveragePool", ts{sixteen}, f([]int{1, 1, 2, 2}, 3.5, 5.5, 11.5, 13.5), k2, s2)
	cs.op("averagepool without its padding", "AveragePool", ts{four}, f([]int{1, 1, 3, 3}, 1, 1.5, 2, 2, 2.5, 3, 3, 3.5, 4), k2, around)
	cs.op("averagepool with its padding", "AveragePool", ts{four}, f([]int{1, 1, 3, 3}, 0.25, 0.75, 0.5, 1, 2.5, 1.5,
		0.75, 1.75, 1), k2, around, integer("count_include_pad", 1))
	cs.op("averagepool ceil", "AveragePool", ts{nine}, f([]int{1, 1, 2, 2}, 3, 4.5, 7.5, 9), k2, s2, integer("ceil_mode", 1))
	cs.op("averagepool SAME_UPPER", "AveragePool", ts{nine}, f([]int{1, 1, 2, 2}, 3, 4.5, 7.5, 9), k2, s2, text("auto_pad", "SAME_UPPER"))
	cs.op("averagepool dilated", "AveragePool", ts{sixteen}, f([]int{1, 1, 2, 2}, 6, 7, 10, 11), k2, ints("dilations", 2, 2)).opset(19)
	cs.op("averagepool 1-D", "AveragePool", ts{count(1, 1, 1, 4)}, f([]int{1, 1, 2}, 1.5, 3.5), ints("kernel_shape", 2), ints("strides", 2))
	cs.op("averagepool 3-D", "AveragePool", ts{count(1, 1, 1, 2, 2, 2)}, f([]int{1, 1, 1, 1, 1}, 4.5), ints("kernel_shape", 2, 2, 2))
	cs.op("globalaveragepool", "GlobalAveragePool", ts{count(1, 1, 2, 2, 2)}, f([]int{1, 2, 1, 1}, 2.5, 6.5))
	cs.op("globalaveragepool 1-D", "GlobalAveragePool", ts{count(1, 2, 1, 2)}, f([]int{2, 1, 1}, 1.5, 3.5))
	cs.op("globalmaxpool", "GlobalMaxPool", ts{count(-8, 1, 2, 2, 2)}, f([]int{1, 2, 1, 1}, -5, -1))
	return cs
}
