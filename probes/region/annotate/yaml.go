package annotate

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// maxYAML bounds a data.yaml, whose nodes take up to 200 times its bytes.
const maxYAML = 2 << 20

// yamlData is what a data.yaml says: names is nil and points zero where it does not.
type yamlData struct {
	names []string
	// unnamed is what is wrong with the names.
	unnamed error
	// points is kpt_shape: how many points a pose has, and of how many numbers.
	points [2]int
}

// readYAML reads the top-level keys names and kpt_shape of a data.yaml, as Ultralytics writes
// it (https://docs.ultralytics.com/datasets/detect, and /pose): names are a list, or a map
// from 0 to the number of names less one. Of several documents it reads the first. A name is
// the text as it is written: yes, 1 and null are names like others.
func readYAML(r io.Reader) (*yamlData, error) {
	bounded := &io.LimitedReader{R: decodeText(r), N: maxYAML + 1}
	// Nodes rather than values: nothing is expanded, so anchors cost what their text does.
	var doc yaml.Node
	err := yaml.NewDecoder(bounded).Decode(&doc)
	switch {
	case bounded.N == 0:
		return nil, fmt.Errorf("the file has more than %d bytes", maxYAML)
	case errors.Is(err, io.EOF):
		return &yamlData{}, nil
	case err != nil:
		return nil, err
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return &yamlData{}, nil
	}
	keys, d := map[string]*yaml.Node{}, &yamlData{}
	for k, v := range pairs(doc.Content[0]) {
		if k.Kind != yaml.ScalarNode || k.Value != "names" && k.Value != "kpt_shape" {
			continue
		}
		if first := keys[k.Value]; first != nil {
			return nil, fmt.Errorf("%s, line %d: the key is on line %d already", k.Value, k.Line, first.Line)
		}
		keys[k.Value] = k
		if k.Value == "names" {
			d.names, d.unnamed = namesIn(v)
		} else if d.points, err = pointsIn(v); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// pointsIn is kpt_shape.
func pointsIn(n *yaml.Node) (points [2]int, err error) {
	at := n.Line
	if n = target(n); n.Kind == yaml.SequenceNode && len(n.Content) == 2 {
		for i, v := range n.Content {
			points[i], _ = strconv.Atoi(target(v).Value)
		}
	}
	if !goodPoints(points) {
		err = fmt.Errorf("kpt_shape, line %d: want [POINTS, NUMBERS], of 2 or 3 numbers each", at)
	}
	return points, err
}

// pairs goes over the keys and values of a map.
func pairs(m *yaml.Node) func(yield func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		for i := 0; i+1 < len(m.Content) && yield(m.Content[i], m.Content[i+1]); i += 2 {
		}
	}
}

// namesIn are the names of a list or a map.
func namesIn(n *yaml.Node) ([]string, error) {
	at := n.Line
	n = target(n)
	byNumber := map[int]string{}
	add := func(k int, v *yaml.Node) error {
		if _, twice := byNumber[k]; twice {
			return fmt.Errorf("names, line %d: class %d is named twice", v.Line, k)
		}
		name, err := yamlText(v)
		if err != nil {
			return fmt.Errorf("names, line %d: %w", v.Line, err)
		}
		byNumber[k] = name
		return nil
	}
	switch n.Kind {
	case yaml.SequenceNode:
		for k, v := range n.Content {
			if err := add(k, v); err != nil {
				return nil, err
			}
		}
	case yaml.MappingNode:
		for key, v := range pairs(n) {
			text := target(key).Value
			k, err := strconv.Atoi(text)
			if err != nil || k < 0 {
				return nil, fmt.Errorf("names, line %d: got the key %.40q, want the number of a class", key.Line, text)
			}
			if err := add(k, v); err != nil {
				return nil, err
			}
		}
	default:
		return nil, fmt.Errorf("names, line %d: got %.60q, want a list or a map of names", at, n.Value)
	}
	if len(byNumber) == 0 {
		return nil, fmt.Errorf("names, line %d: got nothing, want a list or a map of names", at)
	}
	names := make([]string, len(byNumber))
	for k, name := range byNumber {
		if k >= len(names) {
			return nil, fmt.Errorf("names, line %d: got class %d among %d names, want the numbers from 0 to %d",
				at, k, len(names), len(names)-1)
		}
		names[k] = name
	}
	return names, nil
}

// yamlText is a name as it is written.
func yamlText(v *yaml.Node) (string, error) {
	v = target(v)
	switch {
	case v.Kind != yaml.ScalarNode:
		kind := map[yaml.Kind]string{yaml.SequenceNode: "a list", yaml.MappingNode: "a map"}[v.Kind]
		return "", fmt.Errorf("got %s, want a name; put quotes around one that reads as more", kind)
	case v.Value == "" && v.ShortTag() == "!!null":
		return "", errors.New("a name is missing")
	}
	return v.Value, nil
}

// target is a node, or of an alias the node that it stands for.
func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}
