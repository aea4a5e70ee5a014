package install

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/gofrs/flock"
)

// lock waits for the lock file at path; waiting is called once if it is taken. The system
// drops it when it is unlocked or the process ends, however it ends.
func lock(ctx context.Context, path string, waiting func()) (unlock func(), err error) {
	f := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o644))
	ok, err := f.TryLock()
	if !ok && err == nil {
		waiting()
		ok, err = f.TryLockContext(ctx, 100*time.Millisecond)
	}
	switch {
	case ok:
		return func() { _ = f.Close() }, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("waiting for another install: %w", ctx.Err())
	}
	return nil, fmt.Errorf("locking %s: %w", path, err)
}
