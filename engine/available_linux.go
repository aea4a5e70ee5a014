package engine

import (
	"math"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// available is the memory that the process can still have, in bytes: what the machine
// has left, or what is left of a limit on its cgroup or one above; 0 where it cannot be
// told.
func available() int64 { return availableIn(os.ReadFile) }

// availableIn is available by the files that read gives.
func availableIn(read func(string) ([]byte, error)) int64 {
	// entry is the number that a file holds, or that follows a word in it.
	entry := func(file, word string) (int64, bool) {
		b, err := read(file)
		f := strings.Fields(string(b))
		at := 0
		if word != "" {
			at = slices.Index(f, word) + 1
		}
		if err != nil || at >= len(f) || word != "" && at == 0 {
			return 0, false
		}
		n, err := strconv.ParseInt(f[at], 10, 64)
		return n, err == nil && n >= 0
	}
	least := int64(math.MaxInt64)
	if kib, ok := entry("/proc/meminfo", "MemAvailable:"); ok {
		least = kib << 10
	}
	groups, _ := read("/proc/self/cgroup")
	for line := range strings.Lines(string(groups)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) < 3 {
			continue
		}
		root, limit, used := "/sys/fs/cgroup", "memory.max", "memory.current"
		idle := []string{"inactive_file", "active_file", "slab_reclaimable"}
		if f[1] == "memory" {
			root, limit, used = "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
			idle = []string{"total_inactive_file", "total_active_file"}
		} else if f[1] != "" {
			continue
		}
		// A container may see its own group as the root.
		for dir := path.Join("/", f[2]); ; dir = path.Dir(dir) {
			at := path.Join(root, dir)
			most, ok1 := entry(path.Join(at, limit), "")
			now, ok2 := entry(path.Join(at, used), "")
			if ok1 && ok2 {
				for _, word := range idle { // which the kernel drops where memory is wanted
					cached, _ := entry(path.Join(at, "memory.stat"), word)
					now -= cached
				}
				least = min(least, max(most-max(now, 0), 1))
			}
			if dir == "/" {
				break
			}
		}
	}
	if least == math.MaxInt64 {
		return 0
	}
	return max(least, 4)
}
