package result

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/probes/site"
)

// Manifest says how a result came about: enough to run it again and to tell
// whether two results can be compared.
type Manifest struct {
	Tool    string   `json:"tool"`
	Version string   `json:"version"`
	Verb    string   `json:"verb"`
	Command []string `json:"command,omitempty"`
	// Model holds the SHA-256 of the model file and of its external data.
	Model  string            `json:"model"`
	SHA256 map[string]string `json:"sha256"`
	Sites  []Site            `json:"sites,omitempty"`
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
	Device    string           `json:"device"`
	Threads   int              `json:"threads"`
	// NoArena leaves external weights in the order of their file, by which other
	// kernels run: bits within rounding of a knot may differ.
	NoArena   bool           `json:"no_arena,omitempty"`
	Optimize  string         `json:"optimize"`
	Precision string         `json:"precision"`
	GPU       *GPU           `json:"gpu,omitempty"`
	Dataset   Data           `json:"dataset"`
	Settings  map[string]any `json:"settings,omitempty"`
	Summary   Summary        `json:"summary"`
	Notes     []string       `json:"notes,omitempty"`
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
}

// Count adds an item, with its error where it has one.
func (s *Summary) Count(err error) {
	s.Items++
	if err != nil {
		if s.Failed++; len(s.Errors) < 10 {
			s.Errors = append(s.Errors, err.Error())
		}
	}
}

// SmoothNote is what every output says about sites that bend everywhere.
func SmoothNote(smooth, all int) string {
	return fmt.Sprintf("%d of %d sites are", smooth, all) + " smooth (GELU, SiLU and their like bend everywhere): their bits are sign codes, not sides of linear regions"
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
			name := u.Name
			if u.Module != "" {
				name = u.Module
			}
			if name = fmt.Sprintf("%s (%s)", name, u.Op); slices.Contains(names, name) || k.kind == site.KindSmooth {
				continue
			}
			if len(names) < most {
				names = append(names, name)
			} else {
				more++
			}
		}
		switch {
		case n == 1:
			parts = append(parts, "1 "+k.one)
		case n > 1:
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

// Version is the tool's version, from the build: that of the program, or of the module
// in a program of another one.
func Version() string {
	const module = "github.com/onnxprobe/onnxprobe"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, d := range info.Deps {
		if d.Path == module {
			if v = d.Version; d.Replace != nil {
				v = d.Replace.Version
			}
		}
	}
	v = strings.Trim(v, "()") // "(devel)" is that of a build in the module's folder
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && info.Main.Path == module && (v == "" || v == "devel") {
			v = "devel-" + s.Value[:min(12, len(s.Value))]
		}
	}
	return cmp.Or(v, "devel")
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
