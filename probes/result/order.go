package result

import (
	"bytes"
	"encoding/json"
)

// encodeManifest is a manifest as it lies beside results, its members in the order that
// results of its kind have had from their first version on.
func encodeManifest(manifest any) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if m, ok := manifest.(*Manifest); ok && m.Run == nil && m.Study == nil && m.Inputs == nil {
		if m.Sides != nil { // of comparisons: the settings and the sides before the dataset
			manifest = struct {
				*Manifest
				Dataset *Data    `json:"dataset,omitempty"`
				Summary any      `json:"summary,omitempty"`
				Notes   []string `json:"notes,omitempty"`
			}{m, m.Dataset, m.Summary, m.Notes}
		} else { // of pages, figures and regions: by name
			if err := e.Encode(m); err != nil {
				return nil, err
			}
			var byName map[string]json.RawMessage
			if err := json.Unmarshal(text.Bytes(), &byName); err != nil {
				return nil, err
			}
			manifest = byName
			text.Reset()
		}
	}
	e.SetIndent("", "  ")
	err := e.Encode(manifest)
	return text.Bytes(), err
}
