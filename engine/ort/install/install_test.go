package install

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func sha(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func wheel(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, data := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tgz(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	w := tar.NewWriter(gz)
	for name, data := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), gz.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// fixture is a world with two artifacts of the same small library, a wheel and an
// npm archive, and a folder bin as the whole PATH.
type fixture struct {
	lib          []byte
	whl, tgz     []byte
	arts         []artifact
	dir, bin     string
	calls        string // a line for each download
	o            Options
	log          *bytes.Buffer
	wheel, nodes string // the archives on disk
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the fake clients are shell scripts")
	}
	x := &fixture{lib: bytes.Repeat([]byte("library "), 5000), dir: t.TempDir(), log: new(bytes.Buffer)}
	x.whl = wheel(t, map[string][]byte{"capi/lib.so": x.lib, "capi/extra.so": []byte("extra"), "../../escape": []byte("no")})
	x.tgz = tgz(t, map[string][]byte{"package/lib.so": x.lib, "package/extra.so": []byte("extra")})
	n := int64(len(x.lib))
	x.arts = []artifact{
		{client: "pip", pkg: "thing", platform: "here", file: "thing.whl", sha256: sha(x.whl),
			members: []member{{"capi/lib.so", n, sha(x.lib)}, {"capi/extra.so", 5, sha([]byte("extra"))}}},
		{client: "npm", pkg: "thing-node", file: "thing.tgz", sha256: sha(x.tgz),
			members: []member{{"package/lib.so", n, sha(x.lib)}, {"package/extra.so", 5, sha([]byte("extra"))}}},
	}
	x.bin, x.calls = filepath.Join(x.dir, "bin"), filepath.Join(x.dir, "calls")
	x.wheel, x.nodes = filepath.Join(x.dir, "thing.whl"), filepath.Join(x.dir, "thing.tgz")
	x.o = Options{Root: filepath.Join(x.dir, "root"), Log: x.log}
	if err := os.Mkdir(x.bin, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, x.wheel, x.whl)
	write(t, x.nodes, x.tgz)
	for _, tool := range []string{"cp", "sleep", "cat"} {
		for _, dir := range []string{"/bin", "/usr/bin"} {
			if exists(filepath.Join(dir, tool)) {
				os.Symlink(filepath.Join(dir, tool), filepath.Join(x.bin, tool))
				break
			}
		}
	}
	t.Setenv("PATH", x.bin)
	return x
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o700); err != nil {
		t.Fatal(err)
	}
}

// client puts a fake package client on PATH; body runs for a download, with DEST
// its folder.
func (x *fixture) client(t *testing.T, name, body string) {
	t.Helper()
	write(t, filepath.Join(x.bin, name), []byte(`#!/bin/sh
DEST=.
for a; do
  case "$a" in --version) exit 0;; esac
  case "$last" in --dest|--pack-destination) DEST="$a";; esac
  last="$a"
done
echo "$0 $*" >> `+x.calls+"\n"+body+"\n"))
}

func (x *fixture) install(ctx context.Context) (string, error) {
	return ensure(ctx, x.o, x.arts, folder(x.o.Root, x.o.CUDA))
}

// whole fails the test unless the library, and nothing but what belongs to it,
// is in place.
func (x *fixture) whole(t *testing.T, path string, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, x.lib) {
		t.Error("the library is not the archive's")
	}
	if names := x.files(t); fmt.Sprint(names) != fmt.Sprintf("[extra.so %s]", libraryName()) {
		t.Errorf("the folder holds %q", names)
	}
	if exists(filepath.Join(x.dir, "escape")) || exists(filepath.Join(x.o.Root, "escape")) {
		t.Error("a file of the archive went elsewhere")
	}
}

// nothing fails the test when a library is in place.
func (x *fixture) nothing(t *testing.T) {
	t.Helper()
	if names := x.files(t); len(names) != 0 {
		t.Errorf("after a failure the folder holds %q", names)
	}
}

func (x *fixture) files(t *testing.T) []string {
	entries, _ := os.ReadDir(folder(x.o.Root, false))
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (x *fixture) count(t *testing.T) int {
	b, _ := os.ReadFile(x.calls)
	return bytes.Count(b, []byte("\n"))
}

func says(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("got no error")
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not say %q: %v", w, err)
		}
	}
}

func TestInstallWithPip(t *testing.T) {
	x := newFixture(t)
	x.client(t, "pip", "cp "+x.wheel+` "$DEST"`)
	path, err := x.install(t.Context())
	x.whole(t, path, err)
	args, _ := os.ReadFile(x.calls)
	for _, w := range []string{"download", "--no-deps", "--only-binary=:all:", "--platform here", "thing==" + Pinned} {
		if !strings.Contains(string(args), w) {
			t.Errorf("pip was called with %s, without %q", args, w)
		}
	}
	again, err := x.install(t.Context())
	x.whole(t, again, err)
	if n := x.count(t); n != 1 {
		t.Errorf("pip was called %d times; the second install has nothing to do", n)
	}
	// A library that was changed is not taken for an installed one.
	write(t, path, append([]byte("X"), x.lib[1:]...))
	again, err = x.install(t.Context())
	x.whole(t, again, err)
	if n := x.count(t); n != 2 {
		t.Errorf("pip was called %d times after the library was changed", n)
	}
}

func TestInstallFallsBackToNpm(t *testing.T) {
	x := newFixture(t)
	x.client(t, "pip3", "echo no matching distribution >&2; exit 1")
	x.client(t, "npm", "cp "+x.nodes+` "$DEST"`)
	path, err := x.install(t.Context())
	x.whole(t, path, err)
	x = newFixture(t)
	x.client(t, "pip3", "echo no matching distribution >&2; exit 1")
	x.client(t, "npm", "echo 404 gone >&2; exit 1")
	_, err = x.install(t.Context())
	says(t, err, "no matching distribution", "404 gone", "install from it", "thing.whl")
	x.nothing(t)
}

func TestInstallWithoutClients(t *testing.T) {
	x := newFixture(t)
	_, err := x.install(t.Context())
	says(t, err, "no pip", "no npm", "install pip or npm", "install from it", "thing.whl")
	x.nothing(t)
	// A name on PATH that runs nothing is no client.
	write(t, filepath.Join(x.bin, "pip"), []byte("#!/bin/sh\nexit 127\n"))
	x.client(t, "python3", "cp "+x.wheel+` "$DEST"`)
	path, err := x.install(t.Context())
	x.whole(t, path, err)
	if _, err := Install(t.Context(), Options{Root: x.o.Root, Client: "apt"}); err == nil || !strings.Contains(err.Error(), "pip and npm") {
		t.Errorf("an unknown client: %v", err)
	}
}

func TestInstallChecksTheArchive(t *testing.T) {
	x := newFixture(t)
	bad := filepath.Join(x.dir, "bad", "thing.whl")
	os.Mkdir(filepath.Dir(bad), 0o700)
	write(t, bad, wheel(t, map[string][]byte{"capi/lib.so": []byte("evil")}))
	x.client(t, "pip", "cp "+bad+` "$DEST"`)
	x.o.Client = "pip"
	_, err := x.install(t.Context())
	says(t, err, "SHA-256", x.arts[0].sha256, "thing.whl")
	x.nothing(t)
	x.client(t, "pip", "echo hello > $DEST/other.whl")
	_, err = x.install(t.Context())
	says(t, err, "thing.whl", "other.whl")
	x.nothing(t)
}

// What an interrupted install leaves behind neither stops the next one nor stays.
func TestInstallGoesOn(t *testing.T) {
	x := newFixture(t)
	dir := folder(x.o.Root, false)
	if err := os.MkdirAll(filepath.Join(dir, "download-1"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "download-1", "thing.whl"), x.whl[:100])
	write(t, filepath.Join(dir, "123.tmp"), x.lib[:100])
	write(t, filepath.Join(dir, libraryName()), x.lib[:100])
	write(t, filepath.Join(dir, "thing.whl"), x.whl) // downloaded, not yet unpacked
	path, err := x.install(t.Context())
	x.whole(t, path, err)
	if n := x.count(t); n != 0 {
		t.Errorf("a client was called %d times though the archive was there", n)
	}
	os.Remove(path)
	write(t, filepath.Join(dir, "thing.whl"), x.whl[:len(x.whl)-1]) // cut short
	x.client(t, "pip", "cp "+x.wheel+` "$DEST"`)
	path, err = x.install(t.Context())
	x.whole(t, path, err)
}

func TestInstallIsCancelled(t *testing.T) {
	x := newFixture(t)
	x.client(t, "pip", "exec sleep 30")
	x.client(t, "npm", "cp "+x.nodes+` "$DEST"`)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := x.install(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 10*time.Second {
		t.Errorf("got %v after %v", err, time.Since(start))
	}
	x.nothing(t)
	x.client(t, "pip", "cp "+x.wheel+` "$DEST"`)
	path, err := x.install(t.Context())
	x.whole(t, path, err)
}

func TestInstallTwiceAtOnce(t *testing.T) {
	x := newFixture(t)
	x.client(t, "pip", "sleep 0.3; cp "+x.wheel+` "$DEST"`)
	x.o.Log = nil
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			path, err := x.install(t.Context())
			if err != nil {
				t.Error(err)
			} else if got, _ := os.ReadFile(path); !bytes.Equal(got, x.lib) {
				t.Error("an install returned before the library was whole")
			}
		})
	}
	wg.Wait()
	if n := x.count(t); n != 1 {
		t.Errorf("pip was called %d times, want 1", n)
	}
}

func TestInstallFrom(t *testing.T) {
	x := newFixture(t)
	loose := filepath.Join(x.dir, "loose")
	os.Mkdir(loose, 0o700)
	write(t, filepath.Join(loose, "lib.so"), x.lib)
	write(t, filepath.Join(loose, "extra.so"), []byte("extra"))
	renamed := filepath.Join(x.dir, "renamed.bin")
	write(t, renamed, x.whl)
	for _, from := range []string{x.wheel, x.nodes, x.dir, loose, filepath.Join(loose, "lib.so"), renamed} {
		os.RemoveAll(x.o.Root)
		x.o.From = from
		path, err := x.install(t.Context())
		x.whole(t, path, err)
		if !exists(from) {
			t.Fatalf("%s is gone", from)
		}
	}
	empty := filepath.Join(x.dir, "empty")
	os.Mkdir(empty, 0o700)
	bomb := append([]byte{}, x.lib...)
	for name, c := range map[string]struct {
		data []byte
		says []string
	}{
		"changed.whl": {wheel(t, map[string][]byte{"capi/lib.so": append([]byte("X"), x.lib[1:]...), "capi/extra.so": []byte("extra")}), []string{"SHA-256", "lib.so", EnvLibrary}},
		"longer.whl":  {wheel(t, map[string][]byte{"capi/lib.so": append(bomb, make([]byte, 10<<20)...), "capi/extra.so": []byte("extra")}), []string{"more than 40000 bytes"}},
		"without.whl": {wheel(t, map[string][]byte{"capi/other.so": x.lib}), []string{"it has no capi/"}},
		"without.tgz": {tgz(t, map[string][]byte{"package/other.so": x.lib}), []string{"it has no package/lib.so"}},
		"short.whl":   {x.whl[:len(x.whl)/2], []string{"zip"}},
		"short.tgz":   {x.tgz[:len(x.tgz)/2], []string{"EOF"}},
		"tiny":        {[]byte("x"), []string{"first bytes"}},
		"mine.so":     {bytes.Repeat([]byte("y"), 100), []string{"got 100 bytes, want 40000", "a library of your own needs no install"}},
	} {
		os.RemoveAll(x.o.Root)
		x.o.From = filepath.Join(x.dir, name)
		write(t, x.o.From, c.data)
		_, err := x.install(t.Context())
		says(t, err, append(c.says, name)...)
		if exists(filepath.Join(folder(x.o.Root, false), libraryName())) {
			t.Errorf("%s left a library", name)
		}
	}
	for _, from := range []string{empty, filepath.Join(x.dir, "absent")} {
		x.o.From = from
		_, err := x.install(t.Context())
		says(t, err, from)
	}
}

// A link inside an archive is not followed or taken for the file.
func TestInstallFromLinks(t *testing.T) {
	x := newFixture(t)
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	w := tar.NewWriter(gz)
	w.WriteHeader(&tar.Header{Name: "package/lib.so", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"})
	if err := errors.Join(w.Close(), gz.Close()); err != nil {
		t.Fatal(err)
	}
	x.o.From = filepath.Join(x.dir, "links.tgz")
	write(t, x.o.From, b.Bytes())
	_, err := x.install(t.Context())
	says(t, err, "it has no package/lib.so")
}

// The pinned table is well formed: a wrong digit would show only on a user's
// machine.
func TestArtifacts(t *testing.T) {
	for _, a := range artifacts {
		if !strings.Contains(a.file, Pinned) || len(a.sha256) != 64 || len(a.members) == 0 || (a.client == "pip") != (a.platform != "") {
			t.Errorf("the row %+v", a)
		}
		for _, m := range a.members {
			if len(m.sha256) != 64 || m.size < 1000 || m.size > maxUnpacked {
				t.Errorf("%s: the member %+v", a.file, m)
			}
		}
	}
	if _, err := forSystem("plan9", "arm", false); err == nil || !strings.Contains(err.Error(), "linux/amd64") || !strings.Contains(err.Error(), EnvLibrary) {
		t.Errorf("an unknown system: %v", err)
	}
}
