package engine

import (
	"io/fs"
	"math"
	"testing"
)

// What is available is the least of what the machine and the groups leave; files as
// Linux's admin-guide has them (cgroup-v1/memory, cgroup-v2).
func TestAvailable(t *testing.T) {
	const machine = "MemTotal:       16000000 kB\nMemFree:         1000000 kB\nMemAvailable:    8000000 kB\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"no groups", map[string]string{"/proc/meminfo": machine}, 8000000 << 10},
		{"no limit", map[string]string{"/proc/meminfo": machine, "/proc/self/cgroup": "0::/a\n", "/sys/fs/cgroup/a/memory.max": "max\n", "/sys/fs/cgroup/a/memory.current": "5\n"}, 8000000 << 10},
		{"a limit", map[string]string{"/proc/meminfo": machine, "/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/b/memory.max": "1000000\n", "/sys/fs/cgroup/a/b/memory.current": "400000\n"}, 600000},
		{"file pages are given back", map[string]string{"/proc/meminfo": machine, "/proc/self/cgroup": "0::/a\n", "/sys/fs/cgroup/a/memory.max": "1000000\n", "/sys/fs/cgroup/a/memory.current": "400000\n",
			"/sys/fs/cgroup/a/memory.stat": "anon 1\ninactive_file 200000\nactive_file 70000\nslab_reclaimable 30000\n"}, 900000},
		{"a limit above", map[string]string{"/proc/meminfo": machine, "/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/memory.max": "2000\n", "/sys/fs/cgroup/a/memory.current": "400\n"}, 1600},
		{"a container's root", map[string]string{"/proc/meminfo": machine, "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "2000\n", "/sys/fs/cgroup/memory.current": "400\n"}, 1600},
		{"all used", map[string]string{"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "2000\n", "/sys/fs/cgroup/memory.current": "2000\n"}, 4},
		{"version 1", map[string]string{"/proc/meminfo": machine, "/proc/self/cgroup": "5:cpu:/z\n4:memory:/docker/x\n0::/\n",
			"/sys/fs/cgroup/memory/memory.limit_in_bytes": "3000\n", "/sys/fs/cgroup/memory/memory.usage_in_bytes": "1000\n", "/sys/fs/cgroup/memory/memory.stat": "inactive_file 1\ntotal_inactive_file 500\n"}, 2500},
		{"version 1, no limit", map[string]string{"/proc/meminfo": machine, "/proc/self/cgroup": "4:memory:/\n", "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n", "/sys/fs/cgroup/memory/memory.usage_in_bytes": "1\n"}, 8000000 << 10},
		{"nothing is known", nil, 0},
		{"garbage", map[string]string{"/proc/meminfo": "MemAvailable:", "/proc/self/cgroup": "::\nx\n0::\n", "/sys/fs/cgroup/memory.max": "", "/sys/fs/cgroup/memory.current": "-5"}, 0},
	} {
		got := availableIn(func(name string) ([]byte, error) {
			if s, ok := c.files[name]; ok {
				return []byte(s), nil
			}
			return nil, fs.ErrNotExist
		})
		if got != c.want {
			t.Errorf("%s: %d bytes, want %d", c.name, got, c.want)
		}
	}
	if got := available(); got < 1<<20 || got == math.MaxInt64 {
		t.Errorf("this machine has %d bytes", got)
	}
}
