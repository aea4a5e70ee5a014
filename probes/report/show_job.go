package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes/encoding"
	planned "github.com/onnxprobe/onnxprobe/probes/job"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

func isJob(dir string) bool {
	b, err := readSmall(filepath.Join(dir, "plan.json"))
	var p struct {
		Shards []json.RawMessage `json:"shards"`
	}
	return err == nil && json.Unmarshal(b, &p) == nil && p.Shards != nil
}

// job shows the folder of a batch job: how far it is, and what its shards hold.
func job(c *collector, r *shown) error {
	p, err := planned.Load(r.path)
	if err != nil {
		return err
	}
	s, err := p.Status()
	if err != nil {
		return err
	}
	r.Kind = "hash"
	r.table("The batch job",
		[]string{"shards", "done", "set aside", "missing", "items", "done", "failed", "bytes", "items a second"},
		cells(s.Shards, s.Done, len(s.Aside), len(s.Missing), s.Items, s.Finished, s.Failed, s.Bytes,
			fmt.Sprintf("%.1f", s.ItemsPerSecond)))
	if !s.Success {
		r.alarm("The job is not finished: %s of %s are done.", text.Grouped(s.Done), text.Count(s.Shards, "shard"))
	}
	r.found("%s of %s are done.", text.Grouped(s.Finished), text.Count(s.Items, "item"))
	r.failing(s.Failed, s.Items)
	if n := len(s.Aside); n > 0 {
		r.alarm("%s %s set aside.", text.Count(n, "shard"), text.Are(n))
	}
	for _, e := range s.Errors {
		r.Notes = append(r.Notes, name(e, 300))
	}
	if s.Done == 0 {
		return nil
	}
	var none *encoding.NoCodesError
	if err := codes(c, r); err != nil && s.Success && !errors.As(err, &none) && !errors.Is(err, ErrNoData) {
		return err
	} else if err != nil {
		r.Notes = append(r.Notes, "Codes are not shown: "+err.Error()+".")
	}
	if p.Settings.Complexity == nil {
		return nil
	}
	r.settings.Radius = p.Settings.Complexity.Radii
	entries, err := os.ReadDir(r.path)
	if err != nil {
		return err
	}
	var files []string
	for _, e := range entries {
		n, is := strings.CutSuffix(e.Name(), "."+p.Settings.Format)
		if is && strings.Trim(n, "0123456789") == "" {
			if n = e.Name(); p.Settings.Format == "npy" {
				n += ".items.jsonl"
			}
			files = append(files, filepath.Join(r.path, n))
		}
	}
	if err := c.complexityOf(r, files); err != nil {
		r.Notes = append(r.Notes, "Local complexity is not shown: "+err.Error()+".")
	}
	return nil
}
