package encoding

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes/internal/store"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// Origin is what two sets of codes must have in common for distances between them
// to mean something. It is a part of the manifest.
type Origin struct {
	Model     string            `json:"model"`
	SHA256    map[string]string `json:"sha256"`
	Sites     []OriginSite      `json:"sites"`
	SitesRule int               `json:"sites_rule"`
	SitesHash string            `json:"sites_hash"`
	CodeBytes int               `json:"code_bytes"`
	Settings  struct {
		// Sketch is the number of sampled bits, drawn with Seed.
		Sketch int    `json:"sketch"`
		Seed   uint64 `json:"seed"`
		// CodeSites are the globs of the sites whose codes a batch job wrote.
		CodeSites []string `json:"code_sites"`
		// ChannelShare is the share of positions from which on a channel's bit is set.
		ChannelShare float64 `json:"channel_share"`
	} `json:"settings"`

	// files are the Parquet files that items were read from, column what of these.
	files  []string
	column string
	find   func(path string) string // where a path leads; nil for there
	exif   bool                     // pictures were turned as their EXIF tag says
	parts  bool                     // Sites say the channels of regions
	// prepared is how pictures became inputs; its text is "" where that is not known.
	prepared struct{ name, text string }
}

// settings are those of a manifest, or of a job's plan, that say where items come from.
type settings struct {
	Column string `json:"column"`
	EXIF   bool   `json:"exif"`
	Data   struct {
		Column string `json:"column"`
		EXIF   bool   `json:"exif"`
	} `json:"data"`
}

// OriginSite is one site of the codes.
type OriginSite struct {
	Name   string `json:"name"`
	Units  int    `json:"units"`
	Planes int    `json:"planes"`
	// Channels is the length of the site's first axis, and in rows of regions the channels
	// of a position; 0 where the site has no channel code.
	Channels int `json:"channels,omitempty"`
	// Smooth marks an activation that bends everywhere: its bits are a sign code.
	Smooth bool `json:"smooth,omitempty"`

	text string // result.SiteText of it, where it was read
}

// bits is the number of bits that a site has in codes of the kind on.
func (s *OriginSite) bits(on string) int {
	if on == Channels {
		return s.Channels * s.Planes
	}
	return s.Units * s.Planes
}

// bits is the number of bits of a whole code, without padding; 0 when not known.
func (o *Origin) bits() (n int) {
	for i := range o.Sites {
		n += o.Sites[i].bits(Code)
	}
	return n
}

// SmoothSites counts the sites of codes that bend everywhere, and all of them.
type SmoothSites struct {
	Smooth int `json:"smooth"`
	All    int `json:"all"`
}

// String says what the bits of such sites are.
func (s *SmoothSites) String() string { return result.SmoothNote(s.Smooth, s.All) }

// Smooth counts the sites of the codes that are smooth, whose bits are sign codes and no
// sides of linear regions; nil where none is, or where no manifest tells.
func (c *Codes) Smooth() *SmoothSites {
	if c.Origin == nil {
		return nil
	}
	var n SmoothSites
	for i := range c.Origin.Sites {
		s := &c.Origin.Sites[i]
		if c.On == Code && !c.Origin.wrote(s.Name) || c.On == Channels && s.Channels == 0 {
			continue
		}
		if n.All++; s.Smooth {
			n.Smooth++
		}
	}
	if n.Smooth == 0 {
		return nil
	}
	return &n
}

func (o *Origin) table() result.SiteTable {
	t := result.SiteTable{Rule: o.SitesRule, Hash: o.SitesHash}
	for _, s := range o.Sites {
		t.Names = append(t.Names, s.Name)
		t.Texts = append(t.Texts, cmp.Or(s.text, fmt.Sprintf("%s:%d:%d", s.Name, s.Units, s.Planes)))
	}
	return t
}

// Differences says in what two origins differ that makes codes of the kind on
// incomparable; nil when they can be compared.
func (o *Origin) Differences(p *Origin, on string) (what []string) {
	say := func(differ bool, format string, args ...any) {
		if differ {
			what = append(what, fmt.Sprintf(format, args...))
		}
	}
	sums := func(o *Origin) []string { return slices.Sorted(maps.Values(o.SHA256)) }
	short := func(o *Origin) string { return fmt.Sprintf("%.12s", append(sums(o), "unknown")[0]) }
	say(!slices.Equal(sums(o), sums(p)), "the model (%s, SHA-256 %s, and %s, SHA-256 %s)",
		o.Model, short(o), p.Model, short(p))
	sites := o.table().Differences(p.table())
	say(sites != "", "%s", sites)
	a, b := o.Settings, p.Settings
	say(on == Sketch && a.Sketch != b.Sketch, "the size of the sketch (%d and %d bits)", a.Sketch, b.Sketch)
	say(on == Sketch && a.Seed != b.Seed, "the seed that chose the sketch's bits (%d and %d)", a.Seed, b.Seed)
	say(on == Code && !slices.Equal(a.CodeSites, b.CodeSites),
		"the sites whose codes were written (%q and %q)", a.CodeSites, b.CodeSites)
	say(on == Channels && a.ChannelShare != b.ChannelShare,
		"the share of positions that sets a channel's bit (%v and %v)", a.ChannelShare, b.ChannelShare)
	return what
}

// Comparable says why distances between two sets of codes would mean nothing, or
// nil. Of a set without a manifest only the width can be checked.
func Comparable(a, b *Codes) error {
	if a.Origin != nil && b.Origin != nil {
		if a.On != b.On {
			return fmt.Errorf("%s holds one %s an item, %s one %s", a.Name, a.On, b.Name, b.On)
		}
		if what := a.Origin.Differences(b.Origin, a.On); what != nil {
			return fmt.Errorf("%s and %s cannot be compared; they differ in %s", a.Name, b.Name, join(what))
		}
	}
	if a.width != b.width {
		return fmt.Errorf("%s and %s cannot be compared; their codes have %d and %d bytes", a.Name, b.Name, a.width, b.width)
	}
	return nil
}

// PreparedOtherwise says, where it is known, that the pictures of two sets became inputs in
// different ways, which their codes then show too; "" where they did not.
func PreparedOtherwise(a, b *Codes) string {
	if a.Origin == nil || b.Origin == nil || a.Origin.prepared.text == "" || b.Origin.prepared.text == "" ||
		a.Origin.prepared.text == b.Origin.prepared.text {
		return ""
	}
	return fmt.Sprintf("pictures of %s were preprocessed otherwise (%s) than those of %s (%s): what differs can be that",
		b.Name, b.Origin.prepared.name, a.Name, a.Origin.prepared.name)
}

// sameModel says that the codes of two sets are known to be of one network.
func sameModel(a, b *Codes) bool {
	return a.Origin != nil && b.Origin != nil && len(a.Origin.SHA256) > 0 && maps.Equal(a.Origin.SHA256, b.Origin.SHA256)
}

// common counts the items of test that train has too, by their ids and codes.
func common(train, test *Codes) (n int) {
	if test == nil || train.width != test.width {
		return 0
	}
	at := map[string]int{}
	for i := range train.n {
		at[train.ID(i)] = i
	}
	one, other := make([]byte, test.width), make([]byte, test.width)
	for i := range test.n {
		if j, ok := at[test.ID(i)]; ok {
			train.At(one, j)
			if test.At(other, i); bytes.Equal(one, other) {
				n++
			}
		}
	}
	return n
}

// sameSites says why the codes of two networks are not of the same sites, or nil; without
// manifests of both nothing is known.
func sameSites(a, b *Codes) error {
	if a.Origin == nil || b.Origin == nil {
		return nil
	}
	if what := a.Origin.table().Differences(b.Origin.table()); what != "" {
		return fmt.Errorf("%s and %s cannot be compared; they differ in %s", a.Name, b.Name, what)
	}
	return nil
}

func join(what []string) string {
	last := len(what) - 1
	if last < 1 {
		return strings.Join(what, "")
	}
	return strings.Join(what[:last], ", ") + " and " + what[last]
}

// originOf is the origin that a manifest gives; nil where it is of another program, or of
// one shard, whose job says it.
func originOf(m *result.Manifest) (*Origin, error) {
	if m == nil || m.SHA256 == nil {
		return nil, nil
	}
	o := &Origin{Model: m.Model, SHA256: m.SHA256}
	table, err := m.Table()
	if err != nil {
		return nil, err
	}
	o.SitesRule, o.SitesHash = table.Rule, table.Hash
	if m.Run != nil {
		o.CodeBytes = m.CodeBytes
		o.parts = slices.ContainsFunc(m.Sites, func(s result.Site) bool { return s.RegionChannels > 0 })
		for i, s := range m.Sites {
			at := OriginSite{Name: s.Name, Units: s.Units, Planes: s.Planes, Smooth: s.Smooth, text: table.Texts[i]}
			if o.parts {
				at.Channels = s.RegionChannels
			} else if len(s.Shape) > 1 && s.Op != "MaxPool" { // those that have channel codes
				at.Channels = s.Shape[0]
			}
			o.Sites = append(o.Sites, at)
		}
	}
	var from settings
	if err := cmp.Or(m.Setting(&o.Settings), m.Setting(&from)); err != nil {
		return nil, err
	}
	o.column, o.exif = cmp.Or(from.Column, from.Data.Column), from.EXIF || from.Data.EXIF
	if m.Dataset != nil {
		for _, f := range m.Dataset.Sources {
			if f.Format == "parquet" {
				o.files = append(o.files, f.Path)
			}
			if p := f.Preprocess; p != nil && o.prepared.text == "" {
				plain := *p
				plain.Name, plain.Note = "", "" // which change no pixels
				b, err := json.Marshal(plain)
				if err != nil {
					return nil, err
				}
				o.prepared.name, o.prepared.text = cmp.Or(filepath.Base(p.Name), "none"), string(b)
			}
		}
	}
	return o, nil
}

// jobPlan is what is read of a batch job's plan.json.
type jobPlan struct {
	store.Places
	Manifest *result.Manifest  `json:"manifest"`
	Settings json.RawMessage   `json:"settings"`
	Shards   []json.RawMessage `json:"shards"`
	Sources  []struct {
		Path   string   `json:"path"`
		Paths  []string `json:"paths"`
		Format string   `json:"format"`
	} `json:"sources"`
}

// origin is the origin of all shards in dir, the job's folder; nil where there is no plan.
func (plan *jobPlan) origin(dir string) (*Origin, error) {
	if plan.Manifest == nil {
		return nil, nil
	}
	if plan.Settings != nil {
		plan.Manifest.Settings = plan.Settings
	}
	o, err := originOf(plan.Manifest)
	if err != nil || o == nil {
		return nil, err
	}
	o.find = func(path string) string { return plan.Find(dir, path) }
	for _, f := range plan.Sources {
		if f.Format == "parquet" {
			o.files = append(o.files, append(f.Paths, f.Path)[0])
		}
	}
	for i, path := range o.files {
		o.files[i] = plan.Find(dir, path)
	}
	return o, nil
}
