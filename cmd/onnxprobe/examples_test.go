package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	jobs "github.com/onnxprobe/onnxprobe/probes/job"
)

// absolute is a path of this folder for programs that run in another.
func absolute(t testing.TB, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// deadTries leaves of a shard what three workers leave that it took with it.
func deadTries(t testing.TB, dir string, shard int) {
	t.Helper()
	tries := filepath.Join(dir, fmt.Sprintf("%05d_tries", shard))
	if err := os.MkdirAll(tries, 0o777); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := os.WriteFile(filepath.Join(tries, fmt.Sprint(i)), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// example runs a program with the test binary as onnxprobe.
func example(t testing.TB, env []string, name string, args ...string) (code int, out string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), append([]string{asProgram + "=1", "ONNXPROBE=" + self}, env...)...)
	b, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s %q: %v", name, args, err)
	}
	return cmd.ProcessState.ExitCode(), string(b)
}

// The example with xargs goes on when a process fails, and ends as finish does.
func TestXargs(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a script of bash")
	}
	t.Run("set aside", func(t *testing.T) {
		needORT(t)
		dir := filepath.Join(t.TempDir(), "job")
		stdoutOf(t, planOf(job20(dir))...)
		deadTries(t, dir, 1)
		code, out := example(t, nil, "bash", "examples/xargs.sh", dir, "3")
		if code != exitSomeFailed || !strings.Contains(out, "1 shard is set aside: [1]") {
			t.Errorf("exit code %d, want 3\n%s", code, out)
		}
		if done, _ := filepath.Glob(filepath.Join(dir, "*_stats.json")); len(done) != 19 {
			t.Errorf("%d shards are done, want 19", len(done))
		}
	})
	t.Run("a process for each GPU", func(t *testing.T) {
		if out, err := exec.Command("xargs", "--version").Output(); err != nil || !strings.Contains(string(out), "GNU") {
			t.Skip("--process-slot-var is of GNU xargs")
		}
		dir := t.TempDir()
		fake := filepath.Join(dir, "fake")
		err := os.WriteFile(fake, []byte(`#!/bin/sh
case "$*" in
*status*) echo '{"shards":40}' ;;
*run*) sleep 0.2; echo "$*" >> `+dir+`/log; cat >> `+dir+`/shards ;;
esac
`), 0o755)
		if err != nil {
			t.Fatal(err)
		}
		if code, out := example(t, []string{"ONNXPROBE=" + fake, "DEVICE=cuda:SLOT"}, "bash", "examples/xargs.sh", "the job", "3"); code != exitDone {
			t.Fatalf("exit code %d\n%s", code, out)
		}
		log := slurp(t, filepath.Join(dir, "log"))
		for k := range 3 {
			if !strings.Contains(log, fmt.Sprintf("hash run the job --stdin --device cuda:%d\n", k)) {
				t.Errorf("nothing ran on GPU %d\n%s", k, log)
			}
		}
		if n := len(strings.Fields(slurp(t, filepath.Join(dir, "shards")))); n != 40 {
			t.Errorf("%d shards were handed out, want 40", n)
		}
	})
}

// The example for Spark on a Spark of this machine, with a shard that is set aside.
func TestSpark(t *testing.T) {
	needORT(t)
	if testing.Short() {
		t.Skip("starts Spark")
	}
	python := os.Getenv("PYSPARK_PYTHON")
	if python == "" {
		python = "python3"
	}
	if out, err := exec.Command(python, "-c", "import pyspark").CombinedOutput(); err != nil {
		t.Skipf("%s has no pyspark: %v\n%s; PYSPARK_PYTHON names another", python, err, out)
	}
	env := []string{"PYSPARK_SUBMIT_ARGS=--master local[2] --conf spark.ui.enabled=false pyspark-shell", "SPARK_LOCAL_IP=127.0.0.1", "PYSPARK_PYTHON=" + python}
	dir := filepath.Join(t.TempDir(), "job")
	stdoutOf(t, planOf(job20(dir))...)
	deadTries(t, dir, 1)
	if code, out := example(t, env, python, "examples/spark_pipe.py", dir, "4"); code != exitSomeFailed || !strings.Contains(out, "95 items, 0 failed") {
		t.Errorf("exit code %d, want 3\n%s", code, out)
	}
	stdoutOf(t, "hash", "run", dir, "--retry")
	stdoutOf(t, "hash", "finish", dir)
	sameTree(t, dir, whole(t, job20))
}

// manifest is what the example for Kubernetes uses of a batch/v1 Job, and no more.
type manifest struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		CompletionMode       string `json:"completionMode"`
		Completions          int    `json:"completions"`
		Parallelism          int    `json:"parallelism"`
		BackoffLimitPerIndex int    `json:"backoffLimitPerIndex"`
		MaxFailedIndexes     int    `json:"maxFailedIndexes"`
		PodFailurePolicy     struct {
			Rules []manifestRule `json:"rules"`
		} `json:"podFailurePolicy"`
		Template struct {
			Spec manifestPod `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
}

type manifestRule struct {
	Action          string `json:"action"`
	OnPodConditions []struct {
		Type string `json:"type"`
	} `json:"onPodConditions,omitempty"`
	OnExitCodes *struct {
		ContainerName string `json:"containerName"`
		Operator      string `json:"operator"`
		Values        []int  `json:"values"`
	} `json:"onExitCodes,omitempty"`
}

type manifestPod struct {
	RestartPolicy                 string `json:"restartPolicy"`
	TerminationGracePeriodSeconds int    `json:"terminationGracePeriodSeconds"`
	Containers                    []struct {
		Name      string   `json:"name"`
		Image     string   `json:"image"`
		Command   []string `json:"command"`
		Resources struct {
			Limits map[string]any `json:"limits"`
		} `json:"resources"`
		VolumeMounts []struct {
			Name      string `json:"name"`
			MountPath string `json:"mountPath"`
		} `json:"volumeMounts"`
	} `json:"containers"`
	Volumes []struct {
		Name                  string `json:"name"`
		PersistentVolumeClaim struct {
			ClaimName string `json:"claimName"`
		} `json:"persistentVolumeClaim"`
	} `json:"volumes"`
}

// The example for Kubernetes is a Job whose parts agree, with no field that is
// unknown, and its command does the slice of its index.
func TestKubernetes(t *testing.T) {
	want := encoded(t, blockYAML(t, slurp(t, "examples/kubernetes-job.yaml")))
	var m manifest
	d := json.NewDecoder(strings.NewReader(want))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	var again any // the decoder takes fields whose case is wrong
	if err := json.Unmarshal([]byte(encoded(t, m)), &again); err != nil {
		t.Fatal(err)
	}
	if got := encoded(t, again); got != want {
		t.Errorf("as a Job it is\n%s\nand was\n%s", got, want)
	}
	s, pod := m.Spec, m.Spec.Template.Spec
	if m.APIVersion != "batch/v1" || m.Kind != "Job" || m.Metadata.Name == "" || s.CompletionMode != "Indexed" || pod.RestartPolicy != "Never" {
		t.Errorf("%+v is no Indexed Job", m)
	}
	if s.BackoffLimitPerIndex < 1 || s.MaxFailedIndexes != s.Completions || s.Parallelism > s.Completions {
		t.Errorf("completions %d, of them %d at once and up to %d failed after %d more tries", s.Completions, s.Parallelism, s.MaxFailedIndexes, s.BackoffLimitPerIndex)
	}
	if len(pod.Containers) != 1 || len(s.PodFailurePolicy.Rules) != 2 {
		t.Fatalf("%d containers and %d rules, want 1 and 2", len(pod.Containers), len(s.PodFailurePolicy.Rules))
	}
	c := pod.Containers[0]
	if r := s.PodFailurePolicy.Rules[0]; r.Action != "Ignore" || len(r.OnPodConditions) != 1 || r.OnPodConditions[0].Type != "DisruptionTarget" {
		t.Errorf("a disruption is to be ignored: %+v", r)
	}
	if r := s.PodFailurePolicy.Rules[1]; r.Action != "FailIndex" || r.OnExitCodes == nil || r.OnExitCodes.ContainerName != c.Name ||
		r.OnExitCodes.Operator != "In" || !slices.Equal(r.OnExitCodes.Values, []int{exitUsage, exitSomeFailed}) {
		t.Errorf("exit codes %d and %d are to fail the index: %+v", exitUsage, exitSomeFailed, r)
	}
	if len(c.VolumeMounts) != 1 || len(pod.Volumes) != 1 || c.VolumeMounts[0].Name != pod.Volumes[0].Name ||
		!strings.HasPrefix(c.Command[3], c.VolumeMounts[0].MountPath+"/") {
		t.Errorf("the volume %v is mounted as %v, and the job is in %q", pod.Volumes, c.VolumeMounts, c.Command)
	}
	if want := fmt.Sprint("auto/", s.Completions); !slices.Contains(c.Command, want) || !slices.Contains(jobs.IndexVariables, "JOB_COMPLETION_INDEX") {
		t.Errorf("%q does not take its index of %d from JOB_COMPLETION_INDEX", c.Command, s.Completions)
	}

	needORT(t)
	dir := filepath.Join(t.TempDir(), "job")
	stdoutOf(t, planOf(job20(dir))...)
	args := slices.Clone(c.Command[1:])
	args[2], args[len(args)-1] = dir, "cpu"
	t.Setenv("JOB_COMPLETION_INDEX", "5")
	stdoutOf(t, args...)
	if done, _ := filepath.Glob(filepath.Join(dir, "*_stats.json")); len(done) != 1 || filepath.Base(done[0]) != "00005_stats.json" {
		t.Errorf("index 5 made %q", done)
	}
	t.Setenv("JOB_COMPLETION_INDEX", fmt.Sprint(s.Completions))
	if r := do(args...); r.code != exitUsage {
		t.Errorf("an index that is too large: exit code %d, want %d\n%s", r.code, exitUsage, r.messages)
	}
}

func encoded(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// blockYAML reads the part of YAML that the example is written in: blocks, lists in
// brackets, plain and quoted scalars.
func blockYAML(t testing.TB, text string) any {
	t.Helper()
	var y yamlLines
	for line := range strings.SplitSeq(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimRight(line, " ")
		if s := strings.TrimLeft(line, " "); s != "" {
			y = append(y, yamlLine{len(line) - len(s), s})
		}
	}
	v, err := y.block()
	if err != nil || len(y) > 0 {
		t.Fatalf("reading the YAML: %v; left %v", err, y)
	}
	return v
}

type yamlLine struct {
	indent int
	text   string
}

type yamlLines []yamlLine

// block takes the lines of one value, which is as far in as its first line.
func (y *yamlLines) block() (any, error) {
	indent := (*y)[0].indent
	var items []any
	fields := map[string]any{}
	for len(*y) > 0 && (*y)[0].indent == indent {
		line := &(*y)[0]
		if rest, ok := strings.CutPrefix(line.text, "- "); ok {
			*line = yamlLine{indent + 2, rest}
			v, err := y.block()
			if err != nil {
				return nil, err
			}
			items = append(items, v)
			continue
		}
		name, value, ok := strings.Cut(line.text, ":")
		if _, twice := fields[name]; !ok || twice || value != "" && value[0] != ' ' || strings.ContainsAny(name, ` "'{[`) {
			return nil, fmt.Errorf("%q is no field, or one that was there already", line.text)
		}
		*y = (*y)[1:]
		switch value = strings.TrimSpace(value); {
		case value != "":
			fields[name] = yamlScalar(value)
		case len(*y) == 0 || (*y)[0].indent <= indent:
			return nil, fmt.Errorf("%s has no value", name)
		default:
			v, err := y.block()
			if err != nil {
				return nil, err
			}
			fields[name] = v
		}
	}
	if len(*y) > 0 && (*y)[0].indent > indent || items != nil && len(fields) > 0 {
		return nil, fmt.Errorf("the lines before %v are not of one block", *y)
	}
	if items != nil {
		return items, nil
	}
	return fields, nil
}

func yamlScalar(s string) any {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		list := []any{}
		for v := range strings.SplitSeq(strings.TrimSuffix(inner, "]"), ",") {
			list = append(list, yamlScalar(strings.TrimSpace(v)))
		}
		return list
	}
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	return strings.Trim(s, `"`)
}
