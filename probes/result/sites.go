package result

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes/site"
)

// SitesRule numbers the rules by which sites are found and what their bits mean. Results
// without a number are of rule 1.
const SitesRule = 2

// SiteTable is what a manifest says of its sites.
type SiteTable struct {
	Rule int
	// Hash is of all Texts in order, 128 bits in hex; "" in results of versions before it.
	Hash string
	// Names are the sites', and Texts what SiteText makes of them.
	Names, Texts []string
}

// TableOf is the table of sites that this version finds.
func TableOf(sites []site.Site) (SiteTable, error) {
	t := SiteTable{Rule: SitesRule}
	for i := range sites {
		if err := t.add(Site{Site: sites[i], Planes: sites[i].Planes()}); err != nil {
			return t, err
		}
	}
	sum := sha256.Sum256([]byte(strings.Join(t.Texts, "\n")))
	t.Hash = hex.EncodeToString(sum[:16])
	return t, nil
}

// add appends a site.
func (t *SiteTable) add(s Site) error {
	b, err := json.Marshal(s)
	text := ""
	if err == nil {
		text, err = SiteText(b)
	}
	if err != nil {
		return fmt.Errorf("describing site %s: %w", s.Name, err)
	}
	t.Names, t.Texts = append(t.Names, s.Name), append(t.Texts, text)
	return nil
}

// SiteText is a site of a manifest in the form in which sites are compared. Left out are
// its place in the code, which follows from the sites before it, as its place on the picture
// does from the model, the names that an export
// gives nodes and values, and what is empty.
func SiteText(b []byte) (string, error) {
	var all map[string]any
	if err := json.Unmarshal(b, &all); err != nil {
		return "", fmt.Errorf("reading a site: %w", err)
	}
	for _, key := range []string{"offset", "bytes", "node", "pre", "region_channels"} {
		delete(all, key)
	}
	if v, _ := all["against"].(string); v != "" { // by the name of a value of the export
		all["against"] = true
	}
	for key, v := range all {
		list, ok := v.([]any)
		if v == nil || v == "" || v == false || ok && len(list) == 0 {
			delete(all, key)
		}
	}
	text, err := json.Marshal(all)
	return string(text), err
}

// Table is the manifest's site table; an empty one of what is no run of a network.
func (m *Manifest) Table() (SiteTable, error) {
	if m.Run == nil {
		return SiteTable{}, nil
	}
	t := SiteTable{Rule: m.SitesRule, Hash: m.SitesHash}
	for _, s := range m.Sites {
		if err := t.add(s); err != nil {
			return t, err
		}
	}
	return t, nil
}

func (t SiteTable) byName() map[string]string {
	texts := map[string]string{}
	for i, name := range t.Names {
		texts[name] = t.Texts[i]
	}
	return texts
}

// Differences says in what the sites of two results differ, naming at most five, and what
// to do; "" where they are the same, by whatever rule they were found.
func (t SiteTable) Differences(u SiteTable) string {
	same := slices.Equal(t.Texts, u.Texts)
	if t.Hash != "" && u.Hash != "" {
		same = t.Hash == u.Hash
	}
	if same {
		return ""
	}
	first, second := t.byName(), u.byName()
	var said []string
	add := func(format, name string) { said = append(said, fmt.Sprintf(format, name)) }
	for _, name := range t.Names {
		switch text, there := second[name]; {
		case !there:
			add("%q is in the first alone", name)
		case text != first[name]:
			add("%q is another in each", name)
		}
	}
	for _, name := range u.Names {
		if _, there := first[name]; !there {
			add("%q is in the second alone", name)
		}
	}
	if n := len(said) - 5; n > 0 {
		said = append(said[:5], fmt.Sprintf("and %d more", n))
	}
	if said == nil {
		said = []string{"in another order"}
	}
	if a, b := max(t.Rule, 1), max(u.Rule, 1); a != b {
		said = append(said, fmt.Sprintf("found by rules %d and %d, of two versions", a, b))
	}
	return fmt.Sprintf("the sites (%d and %d of them; %s; make both with "+
		"one version of onnxprobe and the same choice of sites)", len(t.Names), len(u.Names), strings.Join(said, ", "))
}
