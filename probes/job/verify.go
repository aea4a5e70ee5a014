package job

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes/internal/store"
)

// Mismatch is a file that is not what it was, or that a reader would take for one of the job's.
type Mismatch struct {
	// Shard is the shard that the file belongs to, -1 where it belongs to the whole job.
	Shard int    `json:"shard"`
	File  string `json:"file"`
	Why   string `json:"why"`
	// Remedy says what makes it right again.
	Remedy string `json:"remedy"`
}

// String says in one line which file it is, what is wrong with it and the remedy.
func (m Mismatch) String() string {
	of := ""
	if m.Shard >= 0 {
		of = fmt.Sprintf("shard %d: ", m.Shard)
	}
	return fmt.Sprintf("%s%s: %s; %s", of, m.File, m.Why, m.Remedy)
}

// RemedyOptions is as in an onnx.RemedyError.
func (m Mismatch) RemedyOptions() []string {
	if m.Remedy == planAgain {
		return []string{"job.Overwrite"}
	}
	return nil
}

// The remedies there are.
const (
	runAgain    = "hash run makes the shard anew, then hash finish"
	finishAgain = "hash finish writes it anew"
	planAgain   = "the command that made the plan writes it again, or overwrite it to begin anew"
	moveAway    = "move it away"
)

// Verification is what Verify found.
type Verification struct {
	Shards int `json:"shards"`
	// Done counts the shards that are done and whole, Missing are those that are not done.
	Done     int   `json:"done"`
	Missing  []int `json:"missing"`
	Aside    []int `json:"set_aside,omitempty"`
	Finished bool  `json:"finished"`
	// Findings are the files that are not right.
	Findings []Mismatch `json:"mismatches"`
	// Foreign are files that are not the job's and that no reader takes for data.
	Foreign []string `json:"other_files,omitempty"`
}

// Verify holds every file of the job in dir against its record and the plan, and takes
// back what a finding makes untrue: _SUCCESS and what else Finish made, and the record of a
// shard, so that the next run makes it anew. Where it cannot read it is an error, and
// nothing is changed. A folder without a plan that holds nothing of a job is
// fs.ErrNotExist.
func Verify(dir string, seen func(shard int)) (Verification, error) {
	return verifyIn(store.Folder(dir), seen)
}

func verifyIn(at store.Store, seen func(shard int)) (Verification, error) {
	b, err := at.Get(planName)
	if err != nil && missing(err) != nil {
		return Verification{}, couldNot(err)
	}
	gone := errors.Is(err, fs.ErrNotExist)
	var p *Plan
	if err == nil {
		p, err = parsePlan(at, b)
	}
	if err == nil {
		return p.verify(true, seen)
	}
	var other *VersionError
	if errors.As(err, &other) {
		return Verification{}, couldNot(err)
	}
	if gone {
		entries, listed := at.List("")
		of, looked := jobsIn(at, entries)
		if lost := errors.Join(missing(listed), looked); lost != nil {
			return Verification{}, couldNot(lost)
		}
		if len(of) == 0 {
			return Verification{}, fmt.Errorf("reading the plan: %w", err)
		}
		err = errors.New("it is missing")
	}
	var damaged *DamagedError
	if errors.As(err, &damaged) { // which names a remedy too
		err = damaged.Err
	}
	v := Verification{Missing: []int{}, Findings: []Mismatch{{-1, planName, err.Error(), planAgain}}}
	return v, at.Delete(successName)
}

// couldNot is the error of a verification whose own reading failed.
func couldNot(err error) error {
	return fmt.Errorf("could not verify, and nothing was changed: %w", err)
}

// Verify is Verify of the plan's job.
func (p *Plan) Verify(seen func(shard int)) (Verification, error) { return p.verify(true, seen) }

// verify is Verify; without all, what Finish writes is not looked at.
func (p *Plan) verify(all bool, seen func(shard int)) (Verification, error) {
	x := verifier{p: p, v: Verification{Shards: len(p.Shards), Missing: []int{}, Findings: []Mismatch{}}}
	err := x.look(all, seen)
	if err != nil {
		return Verification{}, couldNot(err)
	}
	if len(x.v.Findings) == 0 {
		return x.v, nil
	}
	if err := p.unfinish(); err != nil {
		return x.v, fmt.Errorf("taking back what finish wrote: %w", err)
	}
	for _, m := range x.v.Findings {
		if m.Shard >= 0 && m.Remedy == runAgain {
			if err := p.at.Delete(shardName(m.Shard) + recordSuffix); missing(err) != nil { // what is no file is named, and stays
				return x.v, fmt.Errorf("taking back the record of shard %d: %w", m.Shard, err)
			}
		}
	}
	return x.v, nil
}

type verifier struct {
	p *Plan
	v Verification
}

func (x *verifier) find(shard int, file string, why error, remedy string) {
	x.v.Findings = append(x.v.Findings, Mismatch{shard, file, why.Error(), remedy})
}

// look gathers what is wrong. An error is of the reading.
func (x *verifier) look(all bool, seen func(shard int)) error {
	p := x.p
	entries, err := p.at.List("")
	if err != nil {
		return err
	}
	there := map[string]store.Entry{}
	for _, e := range entries {
		there[e.Name] = e
	}
	if p.Changed != nil {
		x.find(-1, planName, p.Changed, planAgain)
	}
	finished := false
	if _, ok := there[successName]; ok && all {
		if finished, err = x.success(); err != nil {
			return err
		}
	}
	for _, c := range []struct {
		name string
		does bool
		look func() (why, err error)
	}{{p.Names, p.Names != "", p.checkNames}, {frameName, p.Settings.Complexity != nil, p.checkFrame}} {
		if !c.does {
			continue
		}
		why, err := c.look()
		if err != nil {
			return err
		}
		if why != nil {
			x.find(-1, c.name, why, planAgain)
		}
	}
	claimed := finished
	if _, ok := there[manifestName]; ok && all {
		claimed = true
	}
	for i := range p.Shards {
		_, aside := there[shardName(i)+asideSuffix]
		if err := x.shard(i, aside, claimed); err != nil {
			return err
		}
		if seen != nil {
			seen(i)
		}
	}
	if all {
		if finished, err = x.finish(there, finished); err != nil {
			return err
		}
	}
	x.v.Finished = finished && len(x.v.Findings) == 0
	x.others(entries)
	return nil
}

// success holds _SUCCESS against the plan.
func (x *verifier) success() (bool, error) {
	b, err := x.p.at.Get(successName)
	if err != nil && missing(err) != nil {
		return false, err
	}
	if err == nil && string(b) == x.p.success() {
		return true, nil
	}
	if err == nil {
		err = errors.New("it does not hold the plan's fingerprint")
	}
	x.find(-1, successName, err, finishAgain)
	return true, nil // it says so, be it wrongly
}

// shard holds the files of one against its record. One that is not done is a finding where
// the job claims to be finished. asided says whether there is a file that sets it aside.
func (x *verifier) shard(i int, asided, claimed bool) error {
	p := x.p
	n := len(x.v.Findings)
	r, why, err := p.record(i)
	if err != nil {
		return err
	}
	aside, err := p.SetAside(i)
	if err != nil {
		return err
	}
	if asided && aside == nil {
		x.find(i, shardName(i)+asideSuffix, errors.New("it is not what sets a shard of this job aside, and is not heeded"), moveAway)
	}
	record := shardName(i) + recordSuffix
	switch {
	case why != nil:
		x.find(i, record, why, runAgain)
		return nil
	case r == nil && aside != nil:
		x.v.Aside = append(x.v.Aside, i)
		return nil
	case r == nil && claimed:
		x.find(i, record, errors.New("it is missing, and the job says that it is finished"), runAgain)
		x.v.Missing = append(x.v.Missing, i)
		return nil
	case r == nil:
		x.v.Missing = append(x.v.Missing, i)
		return nil
	}
	for _, f := range r.Files {
		why, err := p.checkSum(f)
		if err != nil {
			return err
		}
		if why != nil {
			x.find(i, f.Name, why, runAgain)
		}
	}
	if len(x.v.Findings) == n {
		x.v.Done++
	}
	return nil
}

// finish holds what Finish wrote against the records. It gives whether the job is finished,
// which a finish may have done since finished was asked.
func (x *verifier) finish(there map[string]store.Entry, finished bool) (bool, error) {
	p := x.p
	_, has := there[manifestName]
	if !finished && has {
		var err error
		if finished, err = p.finished(); err != nil {
			return false, err
		}
	}
	if _, index := there[faissName]; !finished && (has || index && p.Settings.FAISS) {
		made := manifestName
		if !has {
			made = faissName
		}
		x.find(-1, successName, fmt.Errorf("it is missing, and %s is there: finish was not completed, or a run began anew", made), finishAgain)
	}
	if !finished && !has {
		return false, nil
	}
	whole, lacks, err := p.whole()
	if err != nil {
		return false, err
	}
	if err := x.manifest(whole, len(lacks) > 0); err != nil || !p.Settings.FAISS {
		return finished, err
	}
	in, why, err := p.openFor(faissName)
	if err != nil {
		return false, err
	}
	if in == nil {
		x.find(-1, faissName, why, finishAgain)
		return finished, nil
	}
	defer in.Close()
	if len(lacks) > 0 {
		return finished, nil // a finding of theirs takes it back
	}
	why, err = p.checkIndex(in, whole.Shards)
	if why != nil {
		x.find(-1, faissName, why, finishAgain)
	}
	return finished, err
}

// manifest holds manifest.json against the records; some of these lack.
func (x *verifier) manifest(want manifest, lacks bool) error {
	b, err := x.p.at.Get(manifestName)
	if err != nil {
		if lost := missing(err); lost != nil {
			return lost
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = errors.New("it is missing")
		}
		x.find(-1, manifestName, err, finishAgain)
		return nil
	}
	var why error
	if !lacks {
		if why, err = follows(b, want, x.p.Sum == ""); err != nil {
			return err
		}
	}
	if why != nil {
		x.find(-1, manifestName, why, finishAgain)
	}
	return nil
}

// dataExtensions are those of files that readers of a folder take for its data.
var dataExtensions = map[string]bool{".parquet": true, ".npy": true, ".jsonl": true, ".faiss": true}

// others tells the files that are not the job's.
func (x *verifier) others(entries []store.Entry) {
	p := x.p
	mine := map[string]bool{planName: true, p.Names: true, manifestName: true, successName: true}
	mine[frameName] = p.Settings.Complexity != nil
	mine[faissName] = p.Settings.FAISS
	for i := range p.Shards {
		mine[shardName(i)+recordSuffix], mine[shardName(i)+asideSuffix] = true, true
		for _, name := range p.dataNames(i) {
			mine[name] = true
		}
	}
	for _, e := range entries {
		m := ofShard.FindStringSubmatch(e.Name)
		switch {
		case mine[e.Name], store.Temporary.MatchString(e.Name) && ours(e.Name):
		case m != nil && m[2] == triesSuffix:
			if e.Regular {
				x.find(-1, e.Name, errors.New("it is a file, where the job has a folder"), moveAway)
			}
		case isNames(e.Name): // from before the job was extended
		case !strings.HasPrefix(e.Name, ".") && (dataExtensions[path.Ext(e.Name)] || m != nil):
			x.find(-1, e.Name, errors.New("it is not of this job, and would be read as if it were"), moveAway)
		default:
			x.v.Foreign = append(x.v.Foreign, e.Name)
		}
	}
}
