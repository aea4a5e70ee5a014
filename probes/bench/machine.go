package bench

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/onnxprobe/onnxprobe/engine"
)

// Machine is what a measurement ran on. "" and 0 are not known.
type Machine struct {
	CPU    string `json:"cpu,omitempty"`
	Cores  int    `json:"cores"` // that this process may use
	Memory int64  `json:"memory_bytes,omitempty"`
	OS     string `json:"os"`
	Arch   string `json:"arch"`
	GPU    string `json:"gpu,omitempty"`
	Driver string `json:"driver,omitempty"`
}

// describe describes this machine; of its GPUs it names the one that d is.
func describe(ctx context.Context, d engine.Device) Machine {
	m := Machine{Cores: runtime.NumCPU(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	switch m.OS {
	case "linux":
		m.CPU = fieldOf("/proc/cpuinfo", "model name")
		m.Memory = kilobytes(fieldOf("/proc/meminfo", "MemTotal"))
	case "darwin":
		out, _ := exec.CommandContext(ctx, "sysctl", "-n", "machdep.cpu.brand_string").Output()
		m.CPU = strings.TrimSpace(string(out))
	}
	if d.Kind == "cuda" {
		if f := smi(ctx, "--query-gpu=name,driver_version", "-i", strconv.Itoa(d.Index)); len(f) > 0 && len(f[0]) == 2 {
			m.GPU, m.Driver = f[0][0], f[0][1]
		}
	}
	return m
}

// peak is the most memory, in bytes, that this process ever held, and with it engines that
// run in processes of their own; 0 is not known.
func peak() int64 {
	n := kilobytes(fieldOf("/proc/self/status", "VmHWM"))
	for _, status := range children() {
		n += kilobytes(fieldOf(status, "VmHWM"))
	}
	return n
}

// resident is the memory that they hold now; 0 is not known.
func resident() int64 {
	n := kilobytes(fieldOf("/proc/self/status", "VmRSS"))
	for _, status := range children() { // what is shared with them is counted above
		n += kilobytes(fieldOf(status, "RssAnon")) + kilobytes(fieldOf(status, "RssFile"))
	}
	return n
}

// children are the status files of the processes that this one has started.
func children() (files []string) {
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	for _, t := range tasks {
		b, _ := os.ReadFile(t)
		for _, pid := range strings.Fields(string(b)) {
			files = append(files, "/proc/"+pid+"/status")
		}
	}
	return files
}

// fieldOf is the value of the first line "name: value" of a file of /proc; "" where
// there is no such file.
func fieldOf(file, name string) string {
	b, _ := os.ReadFile(file)
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// kilobytes reads "123 kB".
func kilobytes(s string) int64 {
	n, err := strconv.ParseInt(strings.TrimSuffix(s, " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// deviceMemory is what deviceMemory gives for all the devices that it runs on.
func (b *Bench) deviceMemory(ctx context.Context) (sum int64) {
	seen := map[engine.Device]bool{}
	for _, d := range b.devices() {
		if !seen[d] {
			sum += deviceMemory(ctx, d)
		}
		seen[d] = true
	}
	return sum
}

// deviceMemory is the memory of a GPU that this process holds, as nvidia-smi has
// it, or all that is in use where it does not name processes, as in a container.
// 0 is not known, as on the CPU.
func deviceMemory(ctx context.Context, d engine.Device) int64 {
	if d.Kind != "cuda" {
		return 0
	}
	index := strconv.Itoa(d.Index)
	mine := held(smi(ctx, "--query-compute-apps=pid,used_memory", "-i", index), strconv.Itoa(os.Getpid()))
	if mine > 0 {
		return mine
	}
	if f := smi(ctx, "--query-gpu=memory.used", "-i", index); len(f) > 0 {
		n, _ := strconv.ParseInt(f[0][0], 10, 64)
		return n << 20
	}
	return 0
}

// held is the memory of one process in a list of them, MiB there and bytes here.
func held(rows [][]string, pid string) (sum int64) {
	for _, f := range rows {
		if len(f) == 2 && f[0] == pid {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			sum += n << 20
		}
	}
	return sum
}

// smi asks nvidia-smi and splits what it prints; nil where it is not there.
func smi(ctx context.Context, args ...string) [][]string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "nvidia-smi", append(args, "--format=csv,noheader,nounits")...).Output()
	if err != nil {
		return nil
	}
	return fields(string(out))
}

func fields(text string) (rows [][]string) {
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSpace(line), ", ")
		if f[0] != "" {
			rows = append(rows, f)
		}
	}
	return rows
}
