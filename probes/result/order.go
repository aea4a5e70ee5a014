package result

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// member is one of a JSON object.
type member struct {
	name, value []byte // as they are written
}

// encodeManifest is a manifest as it lies beside results, its members in the order that
// results of its kind have had from their first version on.
func encodeManifest(manifest any) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(manifest)
	m, ok := manifest.(*Manifest)
	if err != nil || !ok || m.Run != nil || m.Study != nil || m.Inputs != nil {
		return text.Bytes(), err
	}
	var all []member
	err = members(bytes.TrimSpace(text.Bytes()), func(key, value []byte) error {
		all = append(all, member{key, value})
		return nil
	})
	if err != nil {
		return nil, err
	}
	late := []string{`"settings"`, `"sides"`} // which stand before the dataset in comparisons
	slices.SortStableFunc(all, func(a, b member) int {
		switch {
		case m.Sides == nil: // of pages, figures and regions
			return bytes.Compare(a.name, b.name)
		case slices.Contains(late, string(a.name)) && string(b.name) == `"dataset"`:
			return -1
		case slices.Contains(late, string(b.name)) && string(a.name) == `"dataset"`:
			return 1
		}
		return 0
	})
	var sorted bytes.Buffer
	for i, x := range all {
		fmt.Fprintf(&sorted, "%s%s:%s", map[bool]string{true: "{", false: ","}[i == 0], x.name, x.value)
	}
	sorted.WriteString("}\n")
	text.Reset()
	err = json.Indent(&text, sorted.Bytes(), "", "  ")
	return text.Bytes(), err
}
