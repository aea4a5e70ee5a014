// Package dynamics follows networks over their training, and over sizes: local
// complexity, accuracy, margins, redundancy, K-NN and churn of codes, and robustness, of
// many checkpoints of one network ("Deep Networks Always Grok and Here is Why"), and the
// expressivity regimes of many networks ("Neural networks behave as hash encoders").
//
// A folder is the state of the work, so that it can be stopped at any time and extended:
//
//	plan.json       the settings, and hashes of the data
//	step-N.json     the figures of a checkpoint and its commit record (model-HASH.json of
//	                phases), written whole and last; one that is valid is kept
//	dynamics.*      the table, with its manifest, made anew at the end of every run
//
// A record is valid when the settings, the data, the model, the model before it and the
// sites that are found in it are those it was made of, and its figures are as they were
// written.
package dynamics

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/onnxprobe/onnxprobe/engine"
)

// Outcome is what a run came to.
type Outcome struct {
	// Records are of all networks in order, those that could not be measured included.
	Records []*Record
	// Measured were made by this run, Kept were there already, Failed are in error.
	Measured, Kept, Failed int
}

// record takes in the record of one more network.
func (o *Outcome) record(r *Record, kept bool) {
	o.Records = append(o.Records, r)
	switch {
	case r.Error != "":
		o.Failed++
	case kept:
		o.Kept++
	default:
		o.Measured++
	}
}

// whole is an error when nothing could be measured.
func (o *Outcome) whole() error {
	if o.Failed < len(o.Records) {
		return nil
	}
	if len(o.Records) == 0 {
		return errors.New("there are no networks")
	}
	r := o.Records[0]
	return fmt.Errorf("none of %d networks could be measured; the first: %s", len(o.Records), r.Error)
}

// records are the files that hold the figures of networks.
var records = regexp.MustCompile(`^(step-[0-9]+|model-[0-9a-f]+)\.json$`)

// wipe removes the records in a folder, and nothing else.
func wipe(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if records.MatchString(e.Name()) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// Begin makes dir the folder of this study and returns its fingerprint; verb tells
// studies of different kinds apart. A folder of other settings or data is an error that
// says what differs; force starts it anew.
func (s *Study) Begin(dir, verb string, force bool) (fingerprint string, err error) {
	if force {
		if err := wipe(dir); err != nil {
			return "", fmt.Errorf("starting %s anew: %w", dir, err)
		}
	}
	return settle(dir, verb, &s.Settings, force)
}

// Follow measures the checkpoints that dir has no valid record of, one at a time, in the
// order of their steps. fingerprint is Begin's. A checkpoint that fails becomes a record
// with its error, and the next run tries it again.
func (s *Study) Follow(ctx context.Context, dir, fingerprint string, cs []Checkpoint) (*Outcome, error) {
	var out Outcome
	var before *Checkpoint // the last that was measured
	var last sets          // its codes, where they are known
	for i := range cs {
		c := &cs[i]
		path := filepath.Join(dir, fmt.Sprintf("step-%d.json", c.Step))
		sum := ""
		if before != nil {
			sum = before.SHA256
		}
		if kept := readRecord(path, fingerprint, c.SHA256, sum); c.Err == nil && kept != nil {
			if kept.of(c.table) {
				kept.Path = c.Path
				out.record(kept, true)
				before, last = c, sets{}
				continue
			}
			s.say("step %d: its record is of other sites than this version finds, and is made anew", c.Step)
		}
		r, codes, err := s.step(ctx, c, before, last)
		if err != nil {
			if fatal(ctx, err) {
				return &out, err
			}
			err = engine.Named(c.Path, err)
			s.say("step %d: %v", c.Step, err)
			r = &Record{Path: c.Path, SHA256: c.SHA256, Error: s.words(err)}
		} else {
			before, last = c, codes
			s.say("step %d: %s in %.1f s", c.Step, c.Path, r.Seconds)
		}
		r.Fingerprint, r.Before, r.SitesHash = fingerprint, sum, c.table.Hash
		if err := r.write(path); err != nil {
			return &out, err
		}
		out.record(r, false)
	}
	return &out, out.whole()
}

// step measures a checkpoint. Where the codes of the one before are not at hand, because
// its record was, they are collected again.
func (s *Study) step(ctx context.Context, c, before *Checkpoint, last sets) (*Record, sets, error) {
	if c.Err != nil {
		return nil, sets{}, c.Err
	}
	if before != nil && last.train == nil {
		j, err := s.open(ctx, before.Path, before.SHA256)
		if err != nil {
			return nil, sets{}, fmt.Errorf("the checkpoint before it: %w", engine.Named(before.Path, err))
		}
		last, err = j.both(ctx, false)
		if err := errors.Join(err, j.r.Close()); err != nil {
			return nil, sets{}, fmt.Errorf("the checkpoint before it: %w", engine.Named(before.Path, err))
		}
	}
	return s.measure(ctx, c.Path, c.SHA256, last)
}
