package procfs

import (
	"bytes"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
)

// Status is what /proc/PID/status tells.
type Status struct {
	Name                   string
	State                  byte // 'R', 'S', 'D', 'T', 't', 'Z', 'X'
	TGID                   int  // the process of a thread, as the reader sees it
	TracerPID              int
	PodPID                 int // in the innermost pid namespace
	PodPGID, PodSID        int // likewise
	Umask                  int
	UIDs                   [4]int
	GIDs                   [4]int
	Groups                 []int
	CapInh                 uint64
	CapPrm                 uint64
	CapEff                 uint64
	CapBnd                 uint64
	CapAmb                 uint64
	NoNewPrivs             bool
	Seccomp                int // mode
	SeccompFilters         int // Linux 5.9
	SigBlk, SigIgn, SigCgt uint64
	Locked                 bool   // it has locked memory (VmLck)
	Anon                   uint64 // bytes of private memory of its own that are present (RssAnon)
}

// ReadStatus reads the status of a process or, with the path of a task
// directory, of a thread. dir is such as "/proc/12" or "/proc/12/task/13".
func ReadStatus(dir string) (s Status, err error) {
	b, err := os.ReadFile(dir + "/status")
	if err != nil {
		return s, err
	}
	for line := range strings.Lines(string(b)) {
		key, val, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		val = strings.TrimSpace(val)
		switch key {
		case "Name":
			s.Name = val
		case "State":
			s.State = val[0]
		case "Tgid":
			s.TGID, _ = strconv.Atoi(val)
		case "TracerPid":
			s.TracerPID, _ = strconv.Atoi(val)
		case "NSpid":
			s.PodPID = last(ints(val))
		case "NSpgid":
			s.PodPGID = last(ints(val))
		case "NSsid":
			s.PodSID = last(ints(val))
		case "Umask":
			u, _ := strconv.ParseUint(val, 8, 32)
			s.Umask = int(u)
		case "Uid":
			copy(s.UIDs[:], ints(val))
		case "Gid":
			copy(s.GIDs[:], ints(val))
		case "Groups":
			s.Groups = ints(val)
		case "CapInh":
			s.CapInh = hex(val)
		case "CapPrm":
			s.CapPrm = hex(val)
		case "CapEff":
			s.CapEff = hex(val)
		case "CapBnd":
			s.CapBnd = hex(val)
		case "CapAmb":
			s.CapAmb = hex(val)
		case "NoNewPrivs":
			s.NoNewPrivs = val == "1"
		case "Seccomp":
			s.Seccomp, _ = strconv.Atoi(val)
		case "Seccomp_filters":
			s.SeccompFilters, _ = strconv.Atoi(val)
		case "VmLck":
			s.Locked = val != "0 kB"
		case "RssAnon":
			kib, _ := strconv.ParseUint(strings.TrimSuffix(val, " kB"), 10, 64)
			s.Anon = kib << 10
		case "SigBlk":
			s.SigBlk = hex(val)
		case "SigIgn":
			s.SigIgn = hex(val)
		case "SigCgt":
			s.SigCgt = hex(val)
		}
	}
	return s, nil
}

func ints(s string) (out []int) {
	for _, w := range strings.Fields(s) {
		n, _ := strconv.Atoi(w)
		out = append(out, n)
	}
	return out
}

func last(l []int) int {
	if len(l) == 0 {
		return 0
	}
	return l[len(l)-1]
}

func hex(s string) uint64 {
	v, _ := strconv.ParseUint(s, 16, 64)
	return v
}

// Stat is what of /proc/PID/stat a checkpoint needs; PIDs are those of the
// namespace that the /proc belongs to.
type Stat struct {
	Comm                               string
	State                              byte
	PPID, PGID, SID                    int
	TTYNr, TPGID                       int
	Nice                               int
	StartCode, EndCode, StartStack     uint64
	StartData, EndData, StartBrk       uint64
	ArgStart, ArgEnd, EnvStart, EnvEnd uint64
	ExitSignal                         int // by which its parent learns of its end, 0 is none
	ExitCode                           int
}

// ReadStat reads the stat file of a process or, see ReadStatus, of a thread.
func ReadStat(dir string) (s Stat, err error) {
	b, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return s, err
	}
	// The name is in parentheses and may hold anything.
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < 0 {
		return s, fmt.Errorf("parse %s/stat: no name in %q", dir, b)
	}
	s.Comm = string(b[open+1 : end])
	f := strings.Fields(string(b[end+1:]))
	if len(f) < 50 {
		return s, fmt.Errorf("parse %s/stat: %d fields, want 50", dir, len(f))
	}
	// Field numbers are those of proc(5), which counts from 1; the first after the
	// name is 3.
	num := func(n int) int { v, _ := strconv.Atoi(f[n-3]); return v }
	adr := func(n int) uint64 { v, _ := strconv.ParseUint(f[n-3], 10, 64); return v }
	s.State = f[0][0]
	s.PPID, s.PGID, s.SID, s.TTYNr, s.TPGID, s.Nice = num(4), num(5), num(6), num(7), num(8), num(19)
	s.StartCode, s.EndCode, s.StartStack = adr(26), adr(27), adr(28)
	s.StartData, s.EndData, s.StartBrk = adr(45), adr(46), adr(47)
	s.ArgStart, s.ArgEnd, s.EnvStart, s.EnvEnd = adr(48), adr(49), adr(50), adr(51)
	s.ExitSignal, s.ExitCode = num(38), num(52)
	return s, nil
}

// Tasks lists the thread ids of a process, ascending.
func Tasks(pid int) ([]int, error) { return numbers(fmt.Sprintf("/proc/%d/task", pid)) }

// FDs lists the descriptors of a process, ascending.
func FDs(pid int) ([]int, error) { return numbers(fmt.Sprintf("/proc/%d/fd", pid)) }

func numbers(dir string) ([]int, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	out := make([]int, 0, len(names))
	for _, n := range names {
		if v, err := strconv.Atoi(n); err == nil {
			out = append(out, v)
		}
	}
	sort.Ints(out)
	return out, nil
}

// Children lists the children of all threads of a process. It is complete
// only while these are stopped (proc(5)).
func Children(pid int) ([]int, error) {
	tasks, err := Tasks(pid)
	if err != nil {
		return nil, err
	}
	var out []int
	for _, t := range tasks {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, t))
		if err != nil {
			continue // the thread has ended, its children are another's now
		}
		out = append(out, ints(string(b))...)
	}
	return out, nil
}
