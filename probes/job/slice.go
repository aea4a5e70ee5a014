package job

import (
	"fmt"
	"strconv"
	"strings"
)

// IndexVariables are where schedulers tell a process its index, from 0: Slurm's job
// arrays, Kubernetes' Indexed Jobs, AWS Batch's array jobs, Cloud Run's jobs and
// Google Cloud Batch.
var IndexVariables = []string{"SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "AWS_BATCH_JOB_ARRAY_INDEX", "CLOUD_RUN_TASK_INDEX", "BATCH_TASK_INDEX"}

// ParseSlice reads i/n or auto/n, which takes i from the first of IndexVariables
// that is set. n is always said: a scheduler that runs some of the tasks again may
// give their number as that of all.
func ParseSlice(s string, getenv func(string) string) (i, n int, err error) {
	index, count, ok := strings.Cut(s, "/")
	if n, err = strconv.Atoi(count); !ok || err != nil || n < 1 {
		return 0, 0, fmt.Errorf("slice %q: write i/n, for example 0/8, or auto/8", s)
	}
	from := ""
	if index == "auto" {
		for _, v := range IndexVariables {
			if index = getenv(v); index != "" {
				from = " from " + v
				break
			}
		}
		if index == "" {
			return 0, 0, fmt.Errorf("slice %q: none of %s is set; give the index by its number", s, strings.Join(IndexVariables, ", "))
		}
	}
	if i, err = strconv.Atoi(index); err != nil {
		return 0, 0, fmt.Errorf("slice %q: the index %q%s is not a number", s, index, from)
	}
	if i < 0 || i >= n {
		return 0, 0, fmt.Errorf("slice %q: the index %d%s is not within 0 to %d; "+
			"indices count from 0, as in an array of jobs 0-%d", s, i, from, n-1, n-1)
	}
	return i, n, nil
}
