package dynamics

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/onnxprobe/onnxprobe/onnx"
	"github.com/onnxprobe/onnxprobe/probes/internal/store"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// Value is a figure; NaN and infinities are null in JSON.
type Value float64

// MarshalJSON writes null for what JSON has no number for.
func (v Value) MarshalJSON() ([]byte, error) {
	if f := float64(v); !math.IsNaN(f) && !math.IsInf(f, 0) {
		return json.Marshal(f)
	}
	return []byte("null"), nil
}

// UnmarshalJSON reads null as NaN.
func (v *Value) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*v = Value(math.NaN())
		return nil
	}
	return json.Unmarshal(b, (*float64)(v))
}

// Row is one figure of a network.
type Row struct {
	// Set is train, test or random; Site the site it is of, "" for all together; Radius
	// that of local complexity, else 0.
	Set     string  `json:"set"`
	Site    string  `json:"site,omitempty"`
	Radius  float64 `json:"radius,omitempty"`
	Measure string  `json:"measure"`
	// Value is the mean over N items where StdErr, the standard error of the mean, is not
	// null, and else what Measure says, over N items.
	Value  Value `json:"value"`
	StdErr Value `json:"stderr"`
	N      int   `json:"n"`
}

// Record is the commit record of one network: what was measured, and of what. It is
// written last and whole.
type Record struct {
	Fingerprint string `json:"fingerprint"`
	Path        string `json:"path"`
	SHA256      string `json:"sha256"`
	// SitesHash is result.SiteTable.Hash of the sites; "" in records of versions before it.
	SitesHash string `json:"sites_hash,omitempty"`
	// Before is the SHA-256 of the checkpoint that churn compares with, "" for none.
	Before string `json:"before,omitempty"`
	// Error is why the network could not be measured; such a record is never valid.
	Error string `json:"error,omitempty"`
	Rows  []Row  `json:"rows,omitempty"`
	// Check is a hash of Rows.
	Check string `json:"rows_sha256"`
	// Failed counts the items that could not be read.
	Failed  int     `json:"items_failed"`
	Backend string  `json:"backend"`
	Version string  `json:"backend_version"`
	Device  string  `json:"device"`
	Seconds float64 `json:"seconds"`
	Tool    string  `json:"tool"`
	Ended   string  `json:"ended"`
}

func (r *Record) check() string {
	b, err := json.Marshal(r.Rows)
	if err != nil {
		return "none"
	}
	return fmt.Sprintf("%x", sha256.Sum256(b))
}

// of says whether the record is of these sites: by its hash, or before there was one by
// the sites that its figures name, where they name any.
func (r *Record) of(t result.SiteTable) bool {
	if r.SitesHash != "" {
		return r.SitesHash == t.Hash
	}
	named := map[string]bool{}
	for _, row := range r.Rows {
		if row.Site != "" {
			named[row.Site] = true
		}
	}
	unnamed := slices.ContainsFunc(t.Names, func(name string) bool { return !named[name] })
	return len(named) == 0 || !unnamed && len(named) == len(t.Names)
}

// write puts the record where readRecord finds it.
func (r *Record) write(path string) error {
	r.Check = r.check()
	if err := putJSON(path, r); err != nil {
		return fmt.Errorf("writing the record %s: %w", path, err)
	}
	return nil
}

// readRecord is the record at path when it is of this work and these networks and whole,
// else nil.
func readRecord(path, fingerprint, sum, before string) *Record {
	b, _ := os.ReadFile(path)
	return parseRecord(b, fingerprint, sum, before)
}

func parseRecord(b []byte, fingerprint, sum, before string) *Record {
	r := &Record{}
	if json.Unmarshal(b, r) != nil || r.Error != "" || r.Fingerprint != fingerprint || r.SHA256 != sum ||
		r.Before != before || r.Check != r.check() || len(r.Rows) == 0 {
		return nil
	}
	return r
}

// plan is plan.json: what the records of a folder are of.
type plan struct {
	Fingerprint string          `json:"fingerprint"`
	Verb        string          `json:"verb"`
	Settings    json.RawMessage `json:"settings"`
}

const planName = "plan.json"

// optionForce is the name of the argument that starts a folder anew.
const optionForce = "dynamics.Study.Begin.force"

// settle makes dir a folder of work with these settings, and returns their fingerprint.
// One of other work is an error that says what differs, unless force starts it anew.
func settle(dir, verb string, settings any, force bool) (string, error) {
	b, err := json.Marshal(settings)
	if err != nil {
		return "", err
	}
	p := plan{fmt.Sprintf("%x", sha256.Sum256(append([]byte(verb+"\x00"), b...))), verb, b}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", fmt.Errorf("making the folder %s: %w", dir, err)
	}
	path := filepath.Join(dir, planName)
	old, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if left, _ := os.ReadDir(dir); len(left) > 0 && !force {
			err := fmt.Errorf("%s holds other files (%s) and no %s; take an empty folder, or force it", dir, left[0].Name(), planName)
			return "", onnx.Remedy(err, optionForce)
		}
	case err != nil:
		return "", fmt.Errorf("reading the plan: %w", err)
	case !force:
		if err := p.agrees(old); err != nil {
			err = fmt.Errorf("the folder %s: %w; take another, or force it to start anew", dir, err)
			return "", onnx.Remedy(err, optionForce)
		}
		return p.Fingerprint, nil
	}
	if err := putJSON(path, p); err != nil {
		return "", fmt.Errorf("writing the plan %s: %w", path, err)
	}
	return p.Fingerprint, nil
}

// agrees is an error that says why old, which was found as plan.json, is not p.
func (p *plan) agrees(old []byte) error {
	var q plan
	if err := json.Unmarshal(old, &q); err != nil {
		return fmt.Errorf("reading %s: %w", planName, err)
	}
	if q.Verb != p.Verb {
		return fmt.Errorf("it is a folder of %q, not of %s", q.Verb, p.Verb)
	}
	if d := differences(q.Settings, p.Settings); q.Fingerprint != p.Fingerprint || len(d) > 0 {
		return fmt.Errorf("it was begun with other settings or data: %s differ", d)
	}
	return nil
}

// differences names the settings that are not the same.
func differences(a, b json.RawMessage) []string {
	var x, y map[string]any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return []string{"the settings"}
	}
	var names []string
	for _, k := range slices.Concat(slices.Collect(maps.Keys(x)), slices.Collect(maps.Keys(y))) {
		if !reflect.DeepEqual(x[k], y[k]) {
			names = append(names, k)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// putJSON writes v whole, in place of what is there.
func putJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	return store.PutBytes(store.Folder(filepath.Dir(path)), filepath.Base(path), false, append(b, '\n'))
}
