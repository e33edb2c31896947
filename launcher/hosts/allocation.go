package hosts

import (
	"fmt"
	"os"
	"strings"
)

// An Allocation is what a resource manager has given to the job script this
// program runs in.
type Allocation struct {
	// Manager is "slurm", "lsf", "sge" or "pbs".
	Manager string
	// JobID is the manager's name for the job, empty if it told none.
	JobID string
	// Hosts are the hosts given, with their slots, in the manager's order.
	Hosts []Host
}

// managers are tried in this order; the first whose variables are all set
// wins. The order is Hydra's.
var managers = []struct {
	name  string
	needs [][]string // of each row, one variable must be set
	jobID []string
	read  func(env func(string) string) ([]Host, error)
}{
	{"slurm", [][]string{{"SLURM_JOB_NODELIST", "SLURM_NODELIST"}, {"SLURM_JOB_ID", "SLURM_JOBID"}}, []string{"SLURM_JOB_ID", "SLURM_JOBID"}, readSlurm},
	{"lsf", [][]string{{"LSB_MCPU_HOSTS"}, {"LSB_JOBID"}}, []string{"LSB_JOBID"}, readLSF},
	{"sge", [][]string{{"PE_HOSTFILE"}, {"JOB_ID"}}, []string{"JOB_ID"}, readSGE},
	{"pbs", [][]string{{"PBS_NODEFILE"}, {"PBS_JOBID"}}, []string{"PBS_JOBID"}, readPBS},
}

// Detect looks for an allocation of Slurm, LSF, SGE or PBS in the environment.
// It returns nil without an error where there is none, and an error where
// there is one that cannot be read: running on this machine alone instead
// would waste the others.
func Detect(getenv func(string) string) (*Allocation, error) {
	for _, m := range managers {
		complete := true
		for _, row := range m.needs {
			complete = complete && first(getenv, row...) != ""
		}
		if !complete {
			continue
		}
		list, err := m.read(getenv)
		if err != nil {
			return nil, fmt.Errorf("reading the allocation of %s: %w", m.name, err)
		}
		if len(list) == 0 {
			return nil, fmt.Errorf("reading the allocation of %s: it names no host", m.name)
		}
		return &Allocation{Manager: m.name, JobID: first(getenv, m.jobID...), Hosts: list}, nil
	}
	return nil, nil
}

func first(getenv func(string) string, names ...string) string {
	for _, n := range names {
		if v := getenv(n); v != "" {
			return v
		}
	}
	return ""
}

// readLSF reads "hostA 4 hostB 2".
func readLSF(getenv func(string) string) ([]Host, error) {
	const source = "LSB_MCPU_HOSTS"
	words := strings.Fields(getenv(source))
	if len(words)%2 != 0 {
		return nil, &ParseError{Source: source, Word: getenv(source), Reason: "hosts and numbers of slots take turns in it, and one is missing"}
	}
	var all []mention
	for i := 0; i < len(words); i += 2 {
		m, err := counted(source, 0, words[i], words[i+1])
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return merge(all)
}

// readSGE reads lines of host, slots, queue and processor range.
func readSGE(getenv func(string) string) ([]Host, error) {
	path := getenv("PE_HOSTFILE")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []mention
	for i, line := range strings.Split(string(text), "\n") {
		words := strings.Fields(line)
		switch len(words) {
		case 0:
			continue
		case 1:
			return nil, &ParseError{Source: path, Line: i + 1, Word: words[0], Reason: "the number of slots is missing"}
		}
		m, err := counted(path, i+1, words[0], words[1])
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return merge(all)
}

// readPBS reads one line per slot.
func readPBS(getenv func(string) string) ([]Host, error) {
	path := getenv("PBS_NODEFILE")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	list, err := ParseFile(path, string(text))
	// The file has exactly one line for each slot, so the count is as good
	// as written.
	for i := range list {
		list[i].SlotsGiven = true
	}
	return list, err
}

func counted(source string, line int, name, count string) (mention, error) {
	if reason := checkName(name); reason != "" {
		return mention{}, &ParseError{Source: source, Line: line, Word: name, Reason: reason}
	}
	n, reason := parseSlots(count)
	if reason != "" {
		return mention{}, &ParseError{Source: source, Line: line, Word: count, Reason: reason}
	}
	return mention{Host: Host{Name: name, Slots: n, SlotsGiven: true}, source: source, line: line, word: name}, nil
}
