package install

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A lock that is taken is waited for, with a word, until it is given up or the wait is
// cancelled; a place where no file can be is an error that names it.
func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	silent := func() { t.Error("a free lock was waited for") }
	unlock, err := lock(t.Context(), path, silent)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := lock(ctx, path, cancel); !errors.Is(err, context.Canceled) ||
		!strings.Contains(err.Error(), "waiting for another install") {
		t.Errorf("a wait that was cancelled ended with %v", err)
	}
	waits := 0
	began := time.Now()
	second, err := lock(t.Context(), path, func() { waits++; time.AfterFunc(50*time.Millisecond, unlock) })
	if err != nil || waits != 1 || time.Since(began) < 50*time.Millisecond {
		t.Fatalf("waited %d times, %v: %v", waits, time.Since(began), err)
	}
	second()
	if third, err := lock(t.Context(), path, silent); err != nil {
		t.Error(err)
	} else {
		third()
	}
	missing := filepath.Join(path, "none", "lock")
	if _, err := lock(t.Context(), missing, silent); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("a lock below a file gave %v", err)
	}
}
