package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var semantic = regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`)

// tagProxy writes the tag at HEAD as a module proxy.
func tagProxy(ctx context.Context, repository, dir string, log io.Writer) error {
	tags, err := output(ctx, repository, nil, "git", "tag", "--points-at", "HEAD")
	if err != nil {
		return err
	}
	for _, tag := range strings.Fields(tags) {
		if semantic.MatchString(tag) {
			module, err := writeProxy(ctx, repository, tag, dir)
			if err == nil {
				fmt.Fprintf(log, "wrote %s@%s into %s\n", module, tag, dir)
			}
			return err
		}
	}
	return fmt.Errorf("no tag such as v1.2.3 is at HEAD, only %q; a module proxy serves versions", strings.Fields(tags))
}

// writeProxy writes a tag of a repository into dir as go.dev/ref/mod#goproxy-protocol has it:
// a list of versions and, for the version, when it was made, its go.mod, and its files.
func writeProxy(ctx context.Context, repository, tag, dir string) (module string, err error) {
	mod, err := output(ctx, repository, nil, "git", "show", tag+":go.mod")
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(mod, "\n")
	module, ok := strings.CutPrefix(line, "module ")
	if !ok || strings.ToLower(module) != module {
		return "", fmt.Errorf("the first line of go.mod at %s is %q; want module and a path without capitals", tag, line)
	}
	when, err := output(ctx, repository, []string{"TZ=UTC"}, "git", "log", "-1", "--format=%cd", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", tag)
	if err != nil {
		return "", err
	}
	when = strings.TrimSpace(when)
	archive, err := output(ctx, repository, nil, "git", "archive", "--format=tar", tag)
	if err != nil {
		return "", err
	}
	files, err := moduleZip(strings.NewReader(archive), module+"@"+tag+"/")
	if err != nil {
		return "", fmt.Errorf("packing %s: %w", tag, err)
	}
	at := filepath.Join(dir, filepath.FromSlash(module), "@v")
	if err := os.MkdirAll(at, 0o755); err != nil {
		return "", err
	}
	for name, content := range map[string][]byte{
		tag + ".mod": []byte(mod), tag + ".zip": files,
		tag + ".info": fmt.Appendf(nil, "{\"Version\":%q,\"Time\":%q}\n", tag, when),
	} {
		if err := os.WriteFile(filepath.Join(at, name), content, 0o644); err != nil {
			return "", err
		}
	}
	return module, listVersion(filepath.Join(at, "list"), tag)
}

// listVersion adds a tag to a list of versions, which may be absent, in the order of letters.
func listVersion(path, tag string) error {
	before, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	tags := append(strings.Fields(string(before)), tag)
	slices.Sort(tags)
	return os.WriteFile(path, []byte(strings.Join(slices.Compact(tags), "\n")+"\n"), 0o644)
}

// moduleZip packs the files of a tar archive as go.dev/ref/mod#zip-files has it.
func moduleZip(archive io.Reader, prefix string) ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for t := tar.NewReader(archive); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			err := z.Close()
			return b.Bytes(), err
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag != tar.TypeReg {
			continue // folders, links and git's own header
		}
		if strings.HasSuffix(h.Name, "/go.mod") || strings.Contains("/"+h.Name, "/vendor/") {
			return nil, fmt.Errorf("%s is of another module, which a module's files leave out", h.Name)
		}
		f, err := z.Create(prefix + h.Name)
		if err == nil {
			_, err = io.Copy(f, t)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}
