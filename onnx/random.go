package onnx

// random says of ONNX's operators under which circumstances one of their nodes gives
// other numbers for an item in every run: it draws them, or normalizes by what else is
// in the batch, as networks do while they are trained.
var random = map[string]func(n *Node, opset int64, constant func(name string) (float64, bool)) bool{
	"RandomNormal": always, "RandomNormalLike": always, "RandomUniform": always, "RandomUniformLike": always,
	"Multinomial": always, "Bernoulli": always,
	"Dropout": func(n *Node, opset int64, constant func(string) (float64, bool)) bool {
		switch {
		case opset < 7:
			return n.Int("is_test", 0) == 0 && n.Float("ratio", 0.5) != 0
		case opset < 12:
			return false
		}
		ratio, known := constant(n.Input(1))
		train, _ := constant(n.Input(2))
		return train != 0 && !(known && ratio == 0)
	},
	"BatchNormalization": func(n *Node, opset int64, _ func(string) (float64, bool)) bool {
		if opset >= 14 {
			return n.Int("training_mode", 0) != 0
		}
		more := false
		for i, o := range n.Outputs {
			more = more || i > 0 && o != ""
		}
		return more && n.Int("is_test", 0) == 0
	},
}

func always(*Node, int64, func(string) (float64, bool)) bool { return true }

// RandomNodes are the nodes that give an item other numbers in every run, in the bodies
// of If, Loop and Scan too: those that draw random numbers, and normalizations that are
// in training mode. The bodies of model-local functions are not looked into.
func (m *Model) RandomNodes() []*Node {
	return m.randomIn(m.Graph, func(string) (float64, bool) { return 0, false })
}

func (m *Model) randomIn(g *Graph, outer func(name string) (float64, bool)) (nodes []*Node) {
	if g == nil {
		return nil
	}
	var ix *Index // made when it is needed: for few models
	constant := func(name string) (float64, bool) {
		if name == "" {
			return 0, false
		}
		if ix == nil {
			ix = g.Index()
		}
		for range 4 {
			if n := ix.Maker[name]; n != nil && n.IsOp("Identity") {
				name = n.Input(0)
			}
		}
		t := ix.Const[name]
		if t == nil {
			return outer(name)
		}
		if n, err := t.Count(); err != nil || n != 1 {
			return 0, false
		}
		v, err := m.Values(t)
		if err != nil {
			return 0, false
		}
		if b, ok := v.Data.([]bool); ok {
			if b[0] {
				return 1, true
			}
			return 0, true
		}
		f := v.Float64s()
		if len(f) != 1 {
			return 0, false
		}
		return f[0], true
	}
	var moved map[string]bool
	for _, n := range g.Nodes {
		if is := random[n.Op]; is != nil && n.IsOp(n.Op) && is(n, m.Opset(""), constant) {
			if n.Op == "BatchNormalization" && g == m.Graph { // weights are standardized by one too
				if moved == nil {
					moved = g.moved()
				}
				if !moved[n.Input(0)] {
					continue
				}
			}
			nodes = append(nodes, n)
		}
		for _, body := range n.Subgraphs() {
			nodes = append(nodes, m.randomIn(body, constant)...)
		}
	}
	return nodes
}

// moved is the set of values that depend on what goes into the graph.
func (g *Graph) moved() map[string]bool {
	set := map[string]bool{}
	for _, v := range g.Inputs {
		set[v.Name] = true
	}
	for _, t := range g.Initializers {
		delete(set, t.Name)
	}
	for _, n := range g.Nodes {
		for _, v := range n.Reads() {
			if set[v] {
				for _, o := range n.Outputs {
					set[o] = true
				}
				break
			}
		}
	}
	return set
}
