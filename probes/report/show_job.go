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
	r.Tables = append(r.Tables, Table{Caption: "The batch job", Head: []string{"shards", "done", "set aside", "missing", "items", "done", "failed", "bytes", "items a second"},
		Rows: [][]string{{fmt.Sprint(s.Shards), fmt.Sprint(s.Done), fmt.Sprint(len(s.Aside)), fmt.Sprint(len(s.Missing)), fmt.Sprint(s.Items), fmt.Sprint(s.Finished), fmt.Sprint(s.Failed), fmt.Sprint(s.Bytes), fmt.Sprintf("%.1f", s.ItemsPerSecond)}}})
	if !s.Success {
		r.Notes = append(r.Notes, "The job is not finished.")
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
	var files []string
	entries, err := os.ReadDir(r.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		n := e.Name()
		if shard := strings.TrimSuffix(n, "."+p.Settings.Format); shard != n && strings.Trim(shard, "0123456789") == "" {
			if p.Settings.Format == "npy" {
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
