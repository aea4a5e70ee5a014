package job

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/onnxprobe/onnxprobe/probes/internal/store"
)

// Aside says that a shard is not tried any more.
type Aside struct {
	Shard       int    `json:"shard"`
	Fingerprint string `json:"fingerprint"`
	Tries       int    `json:"tries"`
	Reason      string `json:"reason"`
	// Error is what the last of the tries ended with, "" where it ended with its process.
	Error string `json:"error,omitempty"`
	// Sum is the SHA-256 of the file as it is without its sum.
	Sum string `json:"sum,omitempty"`
}

// SetAside is what is known of a shard that is not tried any more, else nil.
func (p *Plan) SetAside(i int) (*Aside, error) {
	b, err := p.at.Get(shardName(i) + asideSuffix)
	if err != nil {
		return nil, missing(err)
	}
	a := &Aside{}
	if json.Unmarshal(b, a) != nil || a.Fingerprint != p.fingerprint(i) || checkSeal(b, &Aside{}, a.Sum) != nil {
		return nil, nil // of another job, or damaged
	}
	return a, nil
}

// Retry makes a shard that was set aside one that is tried again.
func (p *Plan) Retry(i int) error {
	a, err := p.SetAside(i)
	if err == nil && a != nil {
		err = p.at.Delete(shardName(i) + asideSuffix)
	}
	if h, ok := p.at.(store.Holder); ok && err == nil {
		err = h.Forget(shardName(i) + triesSuffix)
	}
	return err
}

// tries counts the tries of a shard that ended with their process, and those that
// go on.
func (p *Plan) tries(i int) (dead, alive int, err error) {
	h, ok := p.at.(store.Holder)
	if !ok {
		return 0, 0, nil
	}
	return h.Holds(shardName(i) + triesSuffix)
}

// begin marks a try of a shard, before its first byte is read.
func (p *Plan) begin(i int, worker string) (store.Held, error) {
	h, ok := p.at.(store.Holder)
	if !ok {
		return free{}, nil
	}
	return h.Hold(shardName(i)+triesSuffix, worker)
}

// free is a try where none can be marked.
type free struct{}

func (free) Release(bool) {}

// setAside gives a shard up; last is the error of the last try, or "".
func (p *Plan) setAside(i, tries int, last string) (*Aside, error) {
	a := &Aside{Shard: i, Fingerprint: p.fingerprint(i), Tries: tries, Error: last,
		Reason: strconv.Itoa(tries) + " tries ended with their process, or with an error of the engine"}
	b, err := sealed(a, &a.Sum)
	if err == nil {
		err = store.PutBytes(p.at, shardName(i)+asideSuffix, false, b)
	}
	if err != nil {
		return nil, outputError{fmt.Errorf("setting shard %d aside: %w", i, err)}
	}
	return a, nil
}
