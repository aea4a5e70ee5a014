package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"

	"github.com/onnxprobe/onnxprobe/probes/internal/store"
	"github.com/onnxprobe/onnxprobe/probes/region"
	"github.com/onnxprobe/onnxprobe/probes/result"
)

// Record is the commit record of a shard: what was made, and how.
type Record struct {
	Shard       int    `json:"shard"`
	Fingerprint string `json:"fingerprint"`
	Items       int    `json:"items"`
	Failed      int    `json:"failed"`
	// Errors are the first errors of items.
	Errors []string `json:"errors,omitempty"`
	// Warnings are of items that were read all the same.
	Warnings result.Warnings `json:"warnings,omitempty"`
	// Regions counts the rows, where they are of regions.
	Regions *region.RowSummary `json:"regions,omitempty"`
	// Tiles is the number of tiles, where pictures are cut into them.
	Tiles int           `json:"tiles,omitempty"`
	Files []result.File `json:"files"`
	Engine
	Batch   int     `json:"batch"`
	Seconds Seconds `json:"seconds"`
	Worker  string  `json:"worker"`
	Tool    string  `json:"tool"`
	Ended   string  `json:"ended"`
	// Sum is the SHA-256 of the record's file as it is without its sum.
	Sum string `json:"sum,omitempty"`
}

// Bytes is the size of the shard's files.
func (r *Record) Bytes() (n int64) {
	for _, f := range r.Files {
		n += f.Bytes
	}
	return n
}

// Seconds is where the time of a shard went. Read and Decode are summed over the
// goroutines that do it; Wait is how long the engine waited for them; the stages
// overlap.
type Seconds struct {
	Read   float64 `json:"read"`
	Decode float64 `json:"decode"`
	Wait   float64 `json:"wait"`
	Infer  float64 `json:"infer"`
	Write  float64 `json:"write"`
	Total  float64 `json:"total"`
}

func (s *Seconds) add(o Seconds) {
	s.Read, s.Decode, s.Wait = s.Read+o.Read, s.Decode+o.Decode, s.Wait+o.Wait
	s.Infer, s.Write, s.Total = s.Infer+o.Infer, s.Write+o.Write, s.Total+o.Total
}

func shardName(i int) string { return fmt.Sprintf("%05d", i) }

// The files of a shard are called by its number, with one of these behind it.
const (
	recordSuffix = "_stats.json"
	asideSuffix  = "_failed.json"
	triesSuffix  = "_tries"
	itemsSuffix  = ".npy.items.jsonl"
	indexSuffix  = ".faiss"
)

func (p *Plan) dataName(i int) string { return shardName(i) + "." + p.Settings.Format }

// dataNames are the files that a shard's record has.
func (p *Plan) dataNames(i int) []string {
	names := []string{p.dataName(i)}
	if p.Settings.Format == "npy" {
		names = append(names, shardName(i)+itemsSuffix)
	}
	if p.Settings.FAISS {
		names = append(names, shardName(i)+indexSuffix)
	}
	return names
}

// ofShard are the names of the files and folders that belong to shards.
var ofShard = regexp.MustCompile(`^([0-9]{5,})(_stats\.json|_failed\.json|_tries|\.(parquet|npy|jsonl|faiss|npy\.items\.jsonl))$`)

// ofJob are those that belong to the whole.
var ofJob = regexp.MustCompile(`^(plan\.json|plan-[0-9a-f]{16}\.names|manifest\.json|_SUCCESS|sketches\.faiss|frame\.npy)$`)

// wipe removes what a job left in a folder, and nothing else.
func wipe(at store.Store) error {
	entries, err := at.List("")
	if err != nil {
		return err
	}
	// Records first: without one, no shard counts as done. The plan last: it says what the
	// rest is.
	turn := func(name string) int {
		m := ofShard.FindStringSubmatch(name)
		switch {
		case m != nil && m[2] == recordSuffix, name == successName:
			return 0
		case name == planName:
			return 2
		}
		return 1
	}
	for now := range 3 {
		for _, e := range entries {
			m := ofShard.FindStringSubmatch(e.Name)
			if !ours(e.Name) || turn(e.Name) != now {
				continue
			}
			if m != nil && m[2] == triesSuffix && !e.Regular {
				tries, err := at.List(e.Name + "/")
				if err != nil {
					return err
				}
				for _, t := range tries {
					if err := at.Delete(t.Name); err != nil {
						return err
					}
				}
				continue
			}
			if err := at.Delete(e.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// unfinish takes back what Finish made.
func (p *Plan) unfinish() error {
	names := []string{successName, manifestName}
	if p.Settings.FAISS {
		names = append(names, faissName)
	}
	for _, name := range names {
		if err := p.at.Delete(name); missing(err) != nil {
			return err
		}
	}
	return nil
}

// missing is nil for the error of a file that is not there, or that is no file.
func missing(err error) error {
	var odd *store.NotRegularError
	if errors.Is(err, fs.ErrNotExist) || errors.As(err, &odd) {
		return nil
	}
	return err
}

// record reads the record of a shard; why says what is wrong with it, and what there is
// of it is nil where there is none. An error is of the reading.
func (p *Plan) record(i int) (r *Record, why, err error) {
	b, err := p.at.Get(shardName(i) + recordSuffix)
	if err != nil {
		if lost := missing(err); lost != nil {
			return nil, nil, fmt.Errorf("reading the record of shard %d: %w", i, lost)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			why = err
		}
		return nil, why, nil
	}
	r = &Record{}
	switch err := json.Unmarshal(b, r); {
	case len(b) == 0:
		return r, errors.New("it is empty"), nil
	case err != nil:
		return r, fmt.Errorf("it is no record: %w", err), nil
	case r.Shard != i:
		return r, fmt.Errorf("it is the record of shard %d", r.Shard), nil
	case r.Fingerprint != p.fingerprint(i):
		return r, errors.New("it is of another plan: its fingerprint is another"), nil
	case r.Items != p.Shards[i].Items:
		return r, fmt.Errorf("it says %d items, the plan %d", r.Items, p.Shards[i].Items), nil
	}
	if err := checkSeal(b, &Record{}, r.Sum); err != nil {
		return r, err, nil
	}
	var names []string
	for _, f := range r.Files {
		names = append(names, f.Name)
	}
	if slices.Sort(names); !slices.Equal(names, slices.Sorted(slices.Values(p.dataNames(i)))) {
		return r, fmt.Errorf("it is of the files %q, and the plan's are %q", names, p.dataNames(i)), nil
	}
	return r, nil, nil
}

// Done is the record of a shard that is complete, else nil: the record is there,
// it is of this plan, and the files have the sizes it says. An error is of the reading.
func (p *Plan) Done(i int) (*Record, error) {
	r, why, err := p.record(i)
	if r == nil || why != nil || err != nil {
		return nil, err
	}
	for _, f := range r.Files {
		o, err := p.at.Open(f.Name)
		if err != nil {
			if err = missing(err); err != nil {
				err = fmt.Errorf("looking at shard %d: %w", i, err)
			}
			return nil, err
		}
		size := o.Size()
		if o.Close(); size != f.Bytes {
			return nil, nil
		}
	}
	return r, nil
}
