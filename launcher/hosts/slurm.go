package hosts

import (
	"fmt"
	"strings"
)

// readSlurm joins the node list with the tasks of each node. Where no tasks
// were asked for, sbatch leaves SLURM_TASKS_PER_NODE out and the processors of
// each node stand in.
func readSlurm(getenv func(string) string) ([]Host, error) {
	const source = "SLURM_JOB_NODELIST"
	nodes := first(getenv, source, "SLURM_NODELIST")
	words, err := split(source, nodes)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, w := range words {
		list, reason := expandName(w)
		if reason != "" {
			return nil, &ParseError{Source: source, Word: w, Reason: reason}
		}
		if names = append(names, list...); len(names) > MaxHosts {
			return nil, &ParseError{Source: source, Word: w, Reason: "too many hosts in one list"}
		}
	}
	for _, variable := range []string{"SLURM_TASKS_PER_NODE", "SLURM_JOB_CPUS_PER_NODE"} {
		value := getenv(variable)
		if value == "" {
			continue
		}
		counts, reason := slurmCounts(value, len(names))
		if reason != "" {
			return nil, &ParseError{Source: variable, Word: value, Reason: reason}
		}
		return zip(source, names, counts)
	}
	return nil, fmt.Errorf("%s is set, but neither SLURM_TASKS_PER_NODE nor SLURM_JOB_CPUS_PER_NODE", source)
}

// slurmCounts reads "2(x3),1": three nodes with two, one node with one.
func slurmCounts(s string, nodes int) (counts []int, reason string) {
	for _, part := range strings.Split(s, ",") {
		number, times, repeated := strings.Cut(part, "(x")
		k := 1
		if repeated {
			digits, closed := strings.CutSuffix(times, ")")
			if !closed {
				return nil, fmt.Sprintf("%q has no closing parenthesis", part)
			}
			if k, reason = parseNumber(digits, "the number of nodes in parentheses", MaxHosts); reason != "" {
				return nil, reason
			}
		}
		n, reason := parseSlots(number)
		if reason != "" {
			return nil, reason
		}
		if len(counts)+k > nodes {
			return nil, fmt.Sprintf("it counts more nodes than the %d of the list", nodes)
		}
		for range k {
			counts = append(counts, n)
		}
	}
	if len(counts) < nodes {
		return nil, fmt.Sprintf("it counts %d nodes, the list has %d", len(counts), nodes)
	}
	return counts, ""
}

func zip(source string, names []string, counts []int) ([]Host, error) {
	all := make([]mention, len(names))
	for i, n := range names {
		all[i] = mention{Host: Host{Name: n, Slots: counts[i], SlotsGiven: true}, source: source, word: n}
	}
	return merge(all)
}
