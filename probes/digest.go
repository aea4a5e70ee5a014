package probes

import (
	"context"
	"encoding/hex"

	"github.com/zeebo/xxh3"

	"github.com/onnxprobe/onnxprobe/probes/result"
)

// Digest is the hash of an item's whole code, "digest", in hex: the id of a linear
// region. Items of one digest lie in one region, as far as sites show what bends.
type Digest struct{ coded }

// About is the probe's row in lists.
func (Digest) About() About {
	return About{Name: "digest", Doc: "128-bit hash of an item's whole code: the id of its linear region"}
}

// Start readies the probe for a session.
func (d Digest) Start(context.Context, *Prober) (Maker, error) { return d, nil }

// Columns is the column "digest".
func (Digest) Columns(b *Batch) ([]result.Column, error) {
	width, codes := b.CodeBytes(), b.Codes()
	digests := make([]string, b.Len())
	for i := range digests {
		if !b.Failed()[i] {
			digests[i] = DigestOf(codes[i*width : (i+1)*width]).String()
		}
	}
	return []result.Column{{Name: "digest", Values: digests, Null: b.Failed()}}, nil
}

// Hash is the 128-bit XXH3 hash of a packed code.
type Hash [16]byte

// DigestOf hashes a packed code. Equal codes have equal digests.
func DigestOf(code []byte) Hash { return xxh3.Hash128(code).Bytes() }

// String is the digest in hex.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }
