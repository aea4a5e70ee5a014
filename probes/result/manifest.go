package result

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// Manifest says how a result came about: enough to run it again and to tell whether two
// results can be compared. Every kind of result has what stands in it first; Run, Inputs,
// Sides and Study are there where the kind has them, and the names in JSON are one for all.
type Manifest struct {
	Tool    string `json:"tool"`
	Version string `json:"version"`
	// Kind is the verb that made the result.
	Kind    string   `json:"verb"`
	Command []string `json:"command,omitempty"`
	// Model is the network's file; SHA256 holds the sums of it and of its external data.
	Model  string            `json:"model,omitempty"`
	SHA256 map[string]string `json:"sha256,omitempty"`
	// Run is what the run of one network adds; nil for others, whose fields are not to be read.
	*Run
	Dataset *Data `json:"dataset,omitempty"`
	// Fingerprint is of what a batch job or a study was asked for, Shard the part of a job.
	Fingerprint string `json:"fingerprint,omitempty"`
	Shard       *int   `json:"shard,omitempty"`
	// Inputs are the results that this one is made of.
	Inputs []Input `json:"inputs,omitempty"`
	// Settings are the kind's own; Setting reads them.
	Settings any `json:"settings,omitempty"`
	// Sides are those of a comparison: a, b, and the judge where there is one.
	Sides []Side `json:"sides,omitempty"`
	*Study
	// Summary is a Summary of a run, or the kind's own; Summed reads it.
	Summary any      `json:"summary,omitempty"`
	Notes   []string `json:"notes,omitempty"`
}

// Run is what a manifest says of the run of a network.
type Run struct {
	Sites []Site `json:"sites,omitempty"`
	// SitesRule and SitesHash tell site tables apart; see SiteTable.
	SitesRule int    `json:"sites_rule,omitempty"`
	SitesHash string `json:"sites_hash,omitempty"`
	CodeBytes int    `json:"code_bytes,omitempty"`
	BitOrder  string `json:"bit_order,omitempty"`
	Packing   string `json:"packing,omitempty"`
	Units     int    `json:"units,omitempty"`
	// Unwatched lists what is not affine and belongs to no site; nil where sites were not
	// looked for.
	Unwatched []site.Unwatched `json:"unwatched"`
	Input     string           `json:"input"`
	Sample    []int            `json:"sample"`
	Batch     int              `json:"batch"`
	Backend   string           `json:"backend"`
	Runtime   string           `json:"backend_version"`
	// Library is the path of the backend's shared library, where it has one.
	Library string `json:"backend_library,omitempty"`
	Device  string `json:"device"`
	Threads int    `json:"threads"`
	// NoArena leaves external weights in the order of their file, by which other
	// kernels run: bits within rounding of a knot may differ.
	NoArena   bool   `json:"no_arena,omitempty"`
	Optimize  string `json:"optimize"`
	Precision string `json:"precision"`
	GPU       *GPU   `json:"gpu,omitempty"`
}

// Input is a result that another is made of.
type Input struct {
	Path string `json:"path"`
	// On is which of the items' codes were taken, Bits their number and Full that of the
	// codes of which these are a sample.
	On     string `json:"on"`
	Items  int    `json:"items"`
	Failed int    `json:"failed"`
	Bits   int    `json:"bits"`
	Full   int    `json:"full_bits,omitempty"`
	// Manifest is what of the input's own manifest matters; nil where it has none.
	Manifest any `json:"manifest,omitempty"`
}

// Side is one of the settings that a comparison compares.
type Side struct {
	Backend  string `json:"backend"`
	Runtime  string `json:"backend_version"`
	Device   string `json:"device"`
	Threads  int    `json:"threads"`
	Optimize string `json:"optimize,omitempty"`
	TF32     bool   `json:"tf32,omitempty"`
	Tune     string `json:"tune,omitempty"`
	Batch    int    `json:"batch"`
	Codes    string `json:"codes"` // graph, host or standard: where and how they are packed
	Float64  bool   `json:"float64,omitempty"`
	Float16  bool   `json:"float16,omitempty"`
}

// Study is what a manifest says of many networks on one training and one test set.
type Study struct {
	Thresholds any       `json:"thresholds,omitempty"`
	Train      Data      `json:"train"`
	Test       Data      `json:"test"`
	Networks   []Network `json:"networks"`
}

// Network is one of a study's, with how measuring it went.
type Network struct {
	Step    *int64  `json:"step,omitempty"`
	Path    string  `json:"path"`
	SHA256  string  `json:"sha256,omitempty"`
	Backend string  `json:"backend,omitempty"`
	Version string  `json:"backend_version,omitempty"`
	Device  string  `json:"device,omitempty"`
	Failed  int     `json:"items_failed,omitempty"`
	Error   string  `json:"error,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
}

// NewManifest is the manifest of a result of this version: what every kind has.
func NewManifest(kind string, command []string) *Manifest {
	return &Manifest{Tool: "onnxprobe", Version: Version(), Kind: kind, Command: command}
}

// maxManifest bounds the bytes of a manifest that is read.
const maxManifest = 64 << 20

// ReadManifest reads a manifest of this version or an earlier one. What there is not in it
// is zero. Members of another type are a *MembersError, with the manifest of the others; a file that there is not is fs.ErrNotExist.
func ReadManifest(path string) (*Manifest, error) {
	f, err := openRegular(path)
	var text []byte
	if err == nil {
		defer f.Close()
		text, err = io.ReadAll(io.LimitReader(f, maxManifest+1))
	}
	if len(text) > maxManifest {
		err = fmt.Errorf("it has more than the %d bytes that are read", maxManifest)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the manifest %s: %w", path, err)
	}
	return parseManifest(text, path)
}

func parseManifest(text []byte, path string) (*Manifest, error) {
	settings, summary := new(json.RawMessage), new(json.RawMessage)
	m := &Manifest{Settings: settings, Summary: summary}
	err := json.Unmarshal(text, m)
	if err != nil {
		var other *json.UnmarshalTypeError
		if !errors.As(err, &other) || other.Field == "" {
			return nil, fmt.Errorf("reading the manifest %s: %w", path, err)
		}
		return m, oddMembers(text, path)
	}
	if len(*settings) == 0 {
		m.Settings = nil
	}
	if len(*summary) == 0 {
		m.Summary = nil
	}
	return m, nil
}

// MembersError says that members of a manifest have other types than they should. It comes
// with the manifest of the others.
type MembersError struct {
	Path    string
	Members []string // their names, sorted
	Err     error    // of the first
}

func (e *MembersError) Error() string {
	return fmt.Sprintf("reading the manifest %s: of another type: %s: %v", e.Path, strings.Join(e.Members, ", "), e.Err)
}

func (e *MembersError) Unwrap() error { return e.Err }

// oddMembers finds them.
func oddMembers(text []byte, path string) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return fmt.Errorf("reading the manifest %s: %w", path, err)
	}
	e := &MembersError{Path: path}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		one, err := json.Marshal(map[string]json.RawMessage{name: all[name]})
		if err == nil {
			err = json.Unmarshal(one, &Manifest{Settings: new(json.RawMessage), Summary: new(json.RawMessage)})
		}
		if err != nil {
			e.Members, e.Err = append(e.Members, name), cmp.Or(e.Err, err)
		}
	}
	return e
}

// Setting fills v, a pointer, with what Settings and v have in common; v stays as it is
// where there is nothing.
func (m *Manifest) Setting(v any) error { return convert(m.Settings, v, "settings") }

// Summed is Setting of the Summary.
func (m *Manifest) Summed(v any) error { return convert(m.Summary, v, "summary") }

func convert(from, to any, what string) error {
	text, err := json.Marshal(from)
	if err == nil && len(text) > 0 {
		err = json.Unmarshal(text, to)
	}
	if err != nil {
		return fmt.Errorf("reading the %s of a manifest: %w", what, err)
	}
	return nil
}

// GPU holds the settings of a GPU; see engine.Options.
type GPU struct {
	Tune      string `json:"tune"`
	Memory    int64  `json:"memory_limit,omitempty"`
	CUDAGraph bool   `json:"cuda_graph,omitempty"`
	// Names are what the devices are called, in the order of Manifest.Device.
	Names []string `json:"names,omitempty"`
	// OnCPU are the nodes that ran on the CPU nevertheless, where that was allowed.
	OnCPU []string `json:"on_cpu,omitempty"`
}

// Site is a site with its place in the whole code.
type Site struct {
	site.Site
	Planes int `json:"planes"`
	// Offset and Bytes are the site's place in the whole code.
	Offset int `json:"offset"`
	Bytes  int `json:"bytes"`
	// RegionChannels is how many channels a position of the site has in rows of regions: the
	// length of its channel code for each knot. It is 0 where it has no place on the picture,
	// and in other results.
	RegionChannels int `json:"region_channels,omitempty"`
}

// Data says what went in.
type Data struct {
	dataset.Description
	// IDs is a digest of the items' ids in order; "" for random points.
	IDs string `json:"ids,omitempty"`
}

// Summary counts the items of a run.
type Summary struct {
	Items  int `json:"items"`
	Failed int `json:"failed"`
	// Errors holds the first few errors of items.
	Errors []string `json:"errors,omitempty"`
	// Warnings are of items that were read all the same.
	Warnings Warnings `json:"warnings,omitempty"`
}

// Count adds an item, with its error where it has one, before which its id is said unless
// the error names it.
func (s *Summary) Count(id string, err error) {
	s.Items++
	if err == nil {
		return
	}
	if s.Failed++; len(s.Errors) < 10 {
		said := err.Error()
		if !strings.Contains(said, id) {
			said = id + ": " + said
		}
		s.Errors = append(s.Errors, said)
	}
}

// SmoothNote is what every output says about sites that bend everywhere.
func SmoothNote(smooth, all int) string {
	return fmt.Sprintf("%d of %d sites are", smooth, all) + " smooth (GELU, SiLU and their like bend everywhere): " +
		"their bits are sign codes, not sides of linear regions"
}

// UnwatchedNote says in a line what no site shows, with at most five names: what bends
// before what does not; "" where there is nothing.
func UnwatchedNote(all []site.Unwatched) string {
	const most = 5
	var parts, names []string
	more := 0
	for _, k := range []struct {
		kind       site.Kind
		one, other string
	}{{site.KindBend, "bend", "bends"}, {site.KindBody, "body", "bodies"}, {site.KindRandom, "random node", "random nodes"},
		{site.KindGuard, "guard of a divisor", "guards of divisors"}, {site.KindSmooth, "smooth node", "smooth nodes"}} {
		n := 0
		for _, u := range all {
			if u.Kind != k.kind {
				continue
			}
			n++
			name := fmt.Sprintf("%s (%s)", cmp.Or(u.Module, u.Name), u.Op)
			switch {
			case slices.Contains(names, name) || k.kind == site.KindSmooth:
			case len(names) < most:
				names = append(names, name)
			default:
				more++
			}
		}
		if n == 1 {
			k.other = k.one
		}
		if n > 0 {
			parts = append(parts, fmt.Sprint(n, " ", k.other))
		}
	}
	if parts == nil {
		return ""
	}
	line := "no site shows " + strings.Join(parts, ", ")
	if names != nil {
		line += ": " + strings.Join(names, ", ")
	}
	if more > 0 {
		line += fmt.Sprintf(" and %d more", more)
	}
	return line + "; inspect says why"
}

// module is where this tool comes from.
const module = "github.com/onnxprobe/onnxprobe"

// pseudo is the end of a version that Go makes of a commit without a tag.
var pseudo = regexp.MustCompile(`[-.]\d{14}-[0-9a-f]{12}(\+dirty)?$`)

// Version is the tool's version, from the build: that of the program, or of the module
// in a program of another one.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return VersionOf(info)
}

// VersionOf is the tool's version in a program that was built so: the tag or, of a checkout
// at a commit without one, devel-COMMIT, either with +dirty where there were changes; the
// module's version where the program comes from a module proxy or is another module's; and
// "devel" where the build knows nothing.
func VersionOf(info *debug.BuildInfo) string {
	v := info.Main.Version
	for _, d := range info.Deps {
		if d.Path == module {
			if v = d.Version; d.Replace != nil {
				v = d.Replace.Version
			}
		}
	}
	v = strings.Trim(v, "()") // "(devel)" is that of a build in the module's folder
	if info.Main.Path != module || v != "" && v != "devel" && !pseudo.MatchString(v) {
		return cmp.Or(v, "devel")
	}
	setting := map[string]string{}
	for _, s := range info.Settings {
		setting[s.Key] = s.Value
	}
	commit := setting["vcs.revision"]
	if commit == "" {
		return cmp.Or(v, "devel")
	}
	v = "devel-" + commit[:min(12, len(commit))]
	if setting["vcs.modified"] == "true" {
		v += "+dirty"
	}
	return v
}

// DataOf describes a dataset for the manifest. The ids of random points say nothing, and
// there can be very many of them.
func DataOf(ds dataset.Dataset) Data {
	d := Data{Description: dataset.Describe(ds)}
	if len(d.Sources) == 1 && d.Sources[0].Format == "random" {
		return d
	}
	h := xxh3.New()
	for i := range ds.Len() {
		_, _ = h.WriteString(ds.Item(i).ID)
		_, _ = h.Write([]byte{0})
	}
	d.IDs = fmt.Sprintf("xxh3:%016x", h.Sum64())
	return d
}
