package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The packages of Slurm, and what they need beyond a small installation.
var slurmPackages = []string{"slurmctld", "slurmd", "slurm-client", "slurm-wlm-basic-plugins", "libhwloc15"}

// slurmFiles is a folder that holds Slurm, unpacked from the distribution's packages
// and not installed. It is kept in the user's cache.
func slurmFiles(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("Slurm comes from Debian's packages: %v", err)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skipf("Slurm is kept in the user's cache: %v", err)
	}
	root := filepath.Join(cache, "onnxprobe-test", "slurm")
	if _, err := os.Stat(root); err == nil {
		return root
	}
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil {
		t.Skipf("Slurm is kept in the user's cache: %v", err)
	}
	temp, err := os.MkdirTemp(filepath.Dir(root), "slurm-")
	if err != nil {
		t.Skipf("Slurm is kept in the user's cache: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(temp) })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	load := exec.CommandContext(ctx, "apt-get", append([]string{"download", "-q", "-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=5"}, slurmPackages...)...)
	load.Dir = temp
	if out, err := load.CombinedOutput(); err != nil {
		t.Skipf("Slurm's packages cannot be had: %v\n%s", err, out)
	}
	debs, _ := filepath.Glob(filepath.Join(temp, "*.deb"))
	for _, deb := range debs {
		if out, err := exec.Command("dpkg-deb", "-x", deb, filepath.Join(temp, "root")).CombinedOutput(); err != nil {
			t.Fatalf("unpacking %s: %v\n%s", deb, err, out)
		}
	}
	if err := os.Rename(filepath.Join(temp, "root"), root); err != nil {
		t.Fatal(err)
	}
	return root
}

// find is the file of that name below root, or of the name that Debian gives it
// where several packages have one.
func find(t *testing.T, root, name string) (path string) {
	t.Helper()
	filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err == nil && path == "" && strings.HasPrefix(p, root+"/usr/") && !strings.HasPrefix(p, root+"/usr/share/") && (d.Name() == name || d.Name() == name+"-wlm" && d.Type().IsRegular()) {
			path = p
		}
		return nil
	})
	if path == "" {
		t.Fatalf("there is no %s in %s; removing that folder fetches the packages anew", name, root)
	}
	return path
}

// slurm is a controller and nodes n1 and n2, each able to run two tasks of the
// example at once, as processes of this machine on its loopback interface.
type slurm struct {
	t     *testing.T
	dir   string // configuration, state, logs, and what tasks write
	root  string
	env   []string
	nodes map[string]*exec.Cmd
}

// startSlurm starts one, and skips where that cannot be; where ONNXPROBE_TEST_SLURM is
// set and the packages are there, it fails.
func startSlurm(t *testing.T) *slurm {
	t.Helper()
	s := &slurm{t: t, dir: t.TempDir(), root: slurmFiles(t), nodes: map[string]*exec.Cmd{}}
	plugins := filepath.Dir(find(t, s.root, "auth_none.so"))
	conf := filepath.Join(s.dir, "slurm.conf")
	s.env = append(os.Environ(), "SLURM_CONF="+conf, "LD_LIBRARY_PATH="+plugins+":"+filepath.Dir(plugins))
	host, err := os.Hostname()
	if err != nil {
		t.Skip(err)
	}
	host, _, _ = strings.Cut(host, ".")
	me, err := user.Current()
	if err != nil {
		t.Skip(err)
	}
	ports := freePorts(t, 3)
	for _, name := range []string{"state", "n1", "n2"} {
		if err := os.Mkdir(filepath.Join(s.dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// A requeued task waits until its old credential has expired, in two minutes if
	// nothing is said. config_overrides lets nodes have cores that are not there.
	err = os.WriteFile(conf, fmt.Appendf(nil, `
ClusterName=test
SlurmctldHost=%[1]s(127.0.0.1)
SlurmctldPort=%[2]d
SlurmUser=%[3]s
SlurmdUser=%[3]s
AuthType=auth/none
AuthInfo=cred_expire=5
CredType=cred/none
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
PluginDir=%[4]s
StateSaveLocation=%[5]s/state
SlurmdSpoolDir=%[5]s/%%n
SlurmctldPidFile=%[5]s/slurmctld.pid
SlurmdPidFile=%[5]s/%%n.pid
MpiDefault=none
SwitchType=switch/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
GresTypes=gpu
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=0,batch_sched_delay=0
SlurmdTimeout=5
InactiveLimit=0
NodeName=n1 NodeHostname=%[1]s NodeAddr=127.0.0.1 Port=%[6]d CPUs=16
NodeName=n2 NodeHostname=%[1]s NodeAddr=127.0.0.1 Port=%[7]d CPUs=16
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
`, host, ports[0], me.Username, plugins, s.dir, ports[1], ports[2]), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	s.daemon("slurmctld", "-i")
	for _, n := range []string{"n1", "n2"} {
		s.nodes[n] = s.daemon("slurmd", "-N", n, "-d", find(t, s.root, "slurmstepd"))
	}
	var idle string
	for range 100 {
		if idle, err = s.command("sinfo", "--noheader", "--states=idle", "--format=%D"); err == nil && strings.TrimSpace(idle) == "2" {
			return s
		}
		time.Sleep(100 * time.Millisecond)
	}
	message := fmt.Sprintf("Slurm does not start here: %v\n%s\n%s", err, idle, s.logs())
	if os.Getenv("ONNXPROBE_TEST_SLURM") != "" {
		t.Fatal(message)
	}
	t.Skip(message)
	return nil
}

// freePorts are ports of the loopback interface that nobody listens on.
func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Skip(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// daemon starts one of Slurm's, which ends with the test.
func (s *slurm) daemon(name string, args ...string) *exec.Cmd {
	s.t.Helper()
	log, err := os.Create(filepath.Join(s.dir, strings.Join(append([]string{name}, args[:min(2, len(args))]...), "")+".log"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(find(s.t, s.root, name), append([]string{"-D"}, args...)...)
	cmd.Env, cmd.Stdout, cmd.Stderr = s.env, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd
}

func (s *slurm) stop() {
	if s.t.Failed() {
		s.t.Log(s.logs())
	}
	for n := range s.nodes {
		s.kill(n)
	}
}

// logs are the last lines of what Slurm's daemons and the tasks said.
func (s *slurm) logs() string {
	var b strings.Builder
	for _, pattern := range []string{"*.log", "*.out"} {
		files, _ := filepath.Glob(filepath.Join(s.dir, pattern))
		for _, f := range files {
			content, _ := os.ReadFile(f)
			lines := strings.Split(strings.TrimSpace(string(content)), "\n")
			fmt.Fprintf(&b, "%s:\n%s\n", filepath.Base(f), strings.Join(lines[max(0, len(lines)-15):], "\n"))
		}
	}
	return b.String()
}

// command runs one of Slurm's commands.
func (s *slurm) command(name string, args ...string) (string, error) {
	cmd := exec.Command(find(s.t, s.root, name), args...)
	cmd.Dir, cmd.Env = s.dir, s.env
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}

// submit is the number of a new job.
func (s *slurm) submit(args ...string) string {
	s.t.Helper()
	id, err := s.command("sbatch", append([]string{"--parsable"}, args...)...)
	if err != nil {
		s.t.Fatalf("sbatch %q: %v", args, err)
	}
	return id
}

// tasks are what Slurm says of a job, a line for each of its tasks.
func (s *slurm) tasks(id string) []string {
	s.t.Helper()
	out, err := s.command("scontrol", "show", "job", "--oneliner", id)
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Split(out, "\n")
}

// detail is one of the NAME=VALUE that Slurm says.
func detail(line, name string) string {
	for _, f := range strings.Fields(line) {
		if v, ok := strings.CutPrefix(f, name+"="); ok {
			return v
		}
	}
	return ""
}

// wait waits for a job's end.
func (s *slurm) wait(id string) {
	s.t.Helper()
	running := []string{"PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "REQUEUED"}
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if !slices.ContainsFunc(s.tasks(id), func(line string) bool { return slices.Contains(running, detail(line, "JobState")) }) {
			return
		}
	}
	s.t.Fatalf("job %s does not end: %q", id, s.tasks(id))
}

// on are the processes of tasks on a node, by the index of the task.
func (s *slurm) on(node string) map[int]string {
	pids := map[int]string{}
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil || !bytes.Contains(b, []byte("SLURM_CONF="+s.dir)) || !bytes.Contains(b, []byte("\x00SLURMD_NODENAME="+node+"\x00")) {
			continue
		}
		for v := range strings.SplitSeq(string(b), "\x00") {
			if index, ok := strings.CutPrefix(v, "SLURM_ARRAY_TASK_ID="); ok {
				if i, err := strconv.Atoi(index); err == nil {
					pids[i] = filepath.Base(filepath.Dir(f))
				}
			}
		}
	}
	return pids
}

// kill ends a node as a power cut does: its daemon, the daemons of its tasks and the
// tasks, and nobody says so to the controller.
func (s *slurm) kill(node string) {
	if d := s.nodes[node]; d != nil {
		d.Process.Kill()
	}
	for _, pid := range s.on(node) {
		if status, err := os.ReadFile("/proc/" + pid + "/status"); err == nil {
			_, after, _ := strings.Cut(string(status), "PPid:")
			parent, _, _ := strings.Cut(strings.TrimSpace(after), "\n")
			if comm, _ := os.ReadFile("/proc/" + parent + "/comm"); strings.HasPrefix(string(comm), "slurmstepd") {
				kill9(parent)
			}
		}
		kill9(pid)
	}
}

func kill9(pid string) {
	if n, err := strconv.Atoi(pid); err == nil && n > 1 {
		syscall.Kill(n, syscall.SIGKILL)
	}
}
