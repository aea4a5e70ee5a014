package install

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// clients are the ways to call each package client, in order of preference.
var clients = map[string][][]string{
	"pip": {{"pip3"}, {"pip"}, {"python3", "-m", "pip"}, {"python", "-m", "pip"}, {"py", "-m", "pip"}},
	"npm": {{"npm"}},
}

// findClient is the first way to call a client that answers here, or nil. A
// name on PATH is not enough: version managers leave names that run nothing.
func findClient(ctx context.Context, client string) []string {
	for _, cmd := range clients[client] {
		if _, err := exec.LookPath(cmd[0]); err != nil {
			continue
		}
		if runClient(ctx, "", append(cmd[1:len(cmd):len(cmd)], "--version"), cmd[0]) == nil {
			return cmd
		}
	}
	return nil
}

// download gets a's archive with cmd and leaves it, checked, as dir/a.file. It
// arrives in a folder of its own and is renamed when whole. log receives a line
// now and then.
func download(ctx context.Context, cmd []string, a artifact, dir string, log func(string, ...any)) error {
	tmp, err := os.MkdirTemp(dir, "download-*")
	if err != nil {
		return fmt.Errorf("downloading %s: %w", a.file, err)
	}
	defer os.RemoveAll(tmp)
	args := append([]string{}, cmd[1:]...)
	if a.client == "pip" {
		args = append(args, "download", "--no-deps", "--only-binary=:all:", "--progress-bar", "off",
			"--python-version", "3.12", "--implementation", "cp", "--platform", a.platform,
			"--dest", tmp, a.pkg+"=="+a.release())
		if a.cuda { // of GBs, a second copy in pip's cache helps nobody
			args = append(args, "--no-cache-dir")
		}
	} else {
		args = append(args, "pack", a.pkg+"@"+Pinned, "--pack-destination", tmp)
	}
	stop := watch(tmp, a, log)
	err = runClient(ctx, tmp, args, cmd[0])
	stop()
	if err != nil {
		return err
	}
	got := filepath.Join(tmp, a.file)
	if !exists(got) {
		names := glob(tmp, "*")
		for i := range names {
			names[i] = filepath.Base(names[i])
		}
		return fmt.Errorf("downloading %s with %s: it left %q instead", a.file, strings.Join(cmd, " "), names)
	}
	if err := checkFile(got, 0, a.sha256); err != nil {
		return fmt.Errorf("downloading %s with %s: %w", a.file, strings.Join(cmd, " "), err)
	}
	if err := os.Rename(got, filepath.Join(dir, a.file)); err != nil {
		return fmt.Errorf("downloading %s: %w", a.file, err)
	}
	return nil
}

// watchEvery is the time from one line of progress to the next.
var watchEvery = 5 * time.Second

// watch says how much of a has arrived in dir, until stop is called.
func watch(dir string, a artifact, log func(string, ...any)) (stop func()) {
	if a.size == 0 {
		return func() {}
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				log("  %s: %s of %s", a.pkg, bytesText(min(sizeOf(dir), a.size)), bytesText(a.size))
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

// sizeOf is how many bytes the files below dir have; what is removed meanwhile
// counts nothing.
func sizeOf(dir string) (n int64) {
	filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if info, err := e.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}

// runClient runs a client in dir, which takes its temporary files too: /tmp may
// be too small. Its error ends with the tail of what the client
// wrote.
func runClient(ctx context.Context, dir string, args []string, name string) error {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = dir
	c.WaitDelay = 5 * time.Second
	c.Env = append(os.Environ(), "PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_INPUT=1", "NO_UPDATE_NOTIFIER=1")
	if dir != "" {
		c.Env = append(c.Env, "TMPDIR="+dir)
	}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Run(); err != nil {
		return fmt.Errorf("running %s %s: %w\n%s", name, strings.Join(args, " "), err, tail(out.String(), 12))
	}
	return nil
}

// tail is the last n lines of s, indented, each cut at 500 bytes.
func tail(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	for i, l := range lines {
		lines[i] = "  " + l[:min(len(l), 500)]
	}
	return strings.Join(lines, "\n")
}
