package install

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// maxUnpacked bounds what is read out of a compressed archive while looking for
// a member: about five times what the real one unpacks to.
const maxUnpacked = 2 << 30

// sniff tells a wheel ("zip") and an npm archive ("tgz") from a "library".
func sniff(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var head [4]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return "", fmt.Errorf("reading its first bytes: %w", err)
	}
	switch {
	case bytes.Equal(head[:], []byte("PK\x03\x04")):
		return "zip", nil
	case head[0] == 0x1f && head[1] == 0x8b:
		return "tgz", nil
	}
	return "library", nil
}

func archiveKind(a artifact) string {
	if a.client == "npm" {
		return "tgz"
	}
	return "zip"
}

// unpack puts a's members, and nothing else of the archive, into dir.
func unpack(archive string, a artifact, dir string) error {
	if archiveKind(a) == "tgz" {
		return unpackTgz(archive, a, dir)
	}
	z, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("reading %q: %w", archive, err)
	}
	defer z.Close()
	return a.put(dir, func(m member) (io.ReadCloser, string, error) {
		at := slices.IndexFunc(z.File, func(f *zip.File) bool { return f.Name == m.path })
		if at < 0 {
			return nil, "", fmt.Errorf("reading %q: it has no %s, so it is not %s", archive, m.path, a.file)
		}
		r, err := z.File[at].Open()
		if err != nil {
			err = fmt.Errorf("reading %s in %q: %w", m.path, archive, err)
		}
		return r, archive, err
	})
}

// put puts a's members into dir, which open opens and says where they come from. The
// library is the last: it marks the install as whole.
func (a artifact) put(dir string, open func(m member) (r io.ReadCloser, from string, err error)) error {
	for i, m := range slices.Backward(a.members) {
		r, from, err := open(m)
		if err != nil {
			return err
		}
		err = putFile(r, m, from, a.target(dir, i))
		r.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func unpackTgz(archive string, a artifact, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("reading %q: %w", archive, err)
	}
	defer f.Close()
	gz, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("reading %q: %w", archive, err)
	}
	t := tar.NewReader(&capped{r: gz, left: maxUnpacked})
	found := 0
	for found < len(a.members) {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("reading %q: it has no %s, so it is not %s", archive, a.members[0].path, a.file)
		}
		if err != nil {
			return fmt.Errorf("reading %q: %w", archive, err)
		}
		i := slices.IndexFunc(a.members, func(m member) bool { return m.path == h.Name })
		if i < 0 || h.Typeflag != tar.TypeReg {
			continue
		}
		if err := putFile(t, a.members[i], archive, a.target(dir, i)); err != nil {
			return err
		}
		found++
	}
	return nil
}

// capped is an error, not an end, once more than left bytes were read.
type capped struct {
	r    io.Reader
	left int64
}

func (c *capped) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return 0, fmt.Errorf("it unpacks to more than %d bytes", int64(maxUnpacked))
	}
	return n, err
}

// putFile copies r to target through a temporary file beside it, so that target
// is either absent or whole, and only when r is the very bytes m names. from
// says in errors where r comes from.
func putFile(r io.Reader, m member, from, target string) error {
	tmp, err := os.CreateTemp(filepath.Dir(target), "*.tmp")
	if err != nil {
		return fmt.Errorf("installing %s: %w", target, err)
	}
	defer os.Remove(tmp.Name())
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(tmp, h), io.LimitReader(r, m.size+1))
	if err == nil {
		err = tmp.Chmod(0o755)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("copying %s from %q: %w", filepath.Base(m.path), from, err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); n != m.size || got != m.sha256 {
		if n > m.size {
			return fmt.Errorf("checking %s from %q: it has more than %d bytes, want exactly these many", filepath.Base(m.path), from, m.size)
		}
		return fmt.Errorf("checking %s from %q: got %d bytes with SHA-256 %s, want %d with %s", filepath.Base(m.path), from, n, got, m.size, m.sha256)
	}
	if err := os.Rename(tmp.Name(), target); err != nil {
		return fmt.Errorf("installing %s: %w", target, err)
	}
	return nil
}

// checkFile is nil when the file at path has this SHA-256 and, unless size is
// 0, this size.
func checkFile(path string, size int64, sum string) error {
	if info, err := os.Stat(path); err != nil {
		return err
	} else if size != 0 && info.Size() != size {
		return fmt.Errorf("checking %q: got %d bytes, want %d", path, info.Size(), size)
	}
	got, err := sumOf(path)
	if err == nil && got != sum {
		err = fmt.Errorf("checking %q: got SHA-256 %s, want %s", path, got, sum)
	}
	return err
}

// sumOf is the SHA-256 of the file at path.
func sumOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("checking %q: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
