package ckptlib_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
)

// visible is what /proc shows of the processes of a pod, by pid in the pod and
// file, without what may differ: times, counters and the numbers of inodes.
type visible map[string][]string

// invisible fails the test with what has changed. Threads that have just been
// released may still be on their way back into their calls, with other masks.
func (j *job) invisible(what string, before visible) {
	j.t.Helper()
	for end := time.Now().Add(3 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		now := j.visible()
		d := cmp.Diff(before.without(now), now.without(before))
		if d == "" {
			return
		}
		if time.Now().After(end) {
			j.t.Errorf("%s can be seen (-before +after):\n%s", what, d)
			return
		}
	}
}

// without are the lines that other has not.
func (v visible) without(other visible) visible {
	out := visible{}
	for k, lines := range v {
		if _, ok := other[k]; !ok {
			out[k] = lines
		}
		for _, l := range lines {
			if !slices.Contains(other[k], l) {
				out[k] = append(out[k], l)
			}
		}
	}
	return out
}

// settled is what can be seen once no thread is on its way out of
// pthread_create or into its end: the C library blocks every signal there, even
// the two of its own that no program can block.
func (j *job) settled() visible {
	j.t.Helper()
	const all = "SigBlk: fffffffffffbfeff"
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		now := j.visible()
		on := ""
		for what, lines := range now {
			if slices.Contains(lines, all) {
				on = what
			}
		}
		if on == "" {
			return now
		}
		if time.Now().After(end) {
			j.t.Fatalf("%s does not get out of the C library", on)
		}
	}
}

func (j *job) visible() visible {
	j.t.Helper()
	list, err := j.pod.Processes()
	if err != nil {
		j.t.Fatal(err)
	}
	if len(list) == 0 {
		j.t.Fatal("no process is left in the pod")
	}
	l := &looker{t: j.t, out: visible{}, inodes: map[string]string{}}
	st := l.stat(fmt.Sprintf("/proc/%d", list[0].HostPID))
	for l.podPID(st.PPID) != 1 {
		st = l.stat(fmt.Sprintf("/proc/%d", st.PPID))
	}
	l.children(st.PPID)
	return l.out
}

type looker struct {
	t      *testing.T
	out    visible
	inodes map[string]string
}

func (l *looker) fatal(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *looker) read(format string, args ...any) string {
	l.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf(format, args...))
	l.fatal(err)
	return string(b)
}

func (l *looker) stat(dir string) procfs.Stat {
	l.t.Helper()
	s, err := procfs.ReadStat(dir)
	l.fatal(err)
	return s
}

func (l *looker) podPID(pid int) int {
	l.t.Helper()
	s, err := procfs.ReadStatus(fmt.Sprintf("/proc/%d", pid))
	l.fatal(err)
	return s.PodPID
}

func (l *looker) children(pid int) {
	l.t.Helper()
	list, err := procfs.Children(pid)
	l.fatal(err)
	for _, c := range list {
		l.process(c)
		l.children(c)
	}
}

// process looks at one process.
func (l *looker) process(pid int) {
	l.t.Helper()
	dir := fmt.Sprintf("/proc/%d", pid)
	name := fmt.Sprintf("process %d ", l.podPID(pid))
	st := l.stat(dir)
	l.out[name+"parent"] = []string{fmt.Sprint(l.podPID(st.PPID))}
	tids, err := procfs.Tasks(pid)
	l.fatal(err)
	if st.State == 'Z' && len(tids) == 1 {
		l.out[name+"zombie"] = []string{st.Comm, fmt.Sprintf("%#x", st.ExitCode)}
		l.out[name+"status"] = l.status(dir, "Name", "NSpid", "NSpgid", "NSsid")
		return
	}
	if st.State == 'Z' {
		l.out[name+"leader"] = append(l.status(dir, "Name", "State", "NSpid", "NSpgid", "NSsid", "Uid", "Gid", "Groups", "Threads", "ShdPnd", "SigIgn", "SigCgt",
			"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs"), fmt.Sprintf("%#x", l.stat(fmt.Sprintf("%s/task/%d", dir, pid)).ExitCode))
		tids = slices.DeleteFunc(tids, func(tid int) bool { return tid == pid })
		pid, dir = tids[0], fmt.Sprintf("/proc/%d", tids[0]) // a thread that has outlived it
	}
	for _, tid := range tids {
		task := fmt.Sprintf("%s/task/%d", dir, tid)
		s, err := procfs.ReadStatus(task)
		l.fatal(err)
		l.out[fmt.Sprintf("%sthread %d", name, s.PodPID)] = append(l.status(task, "Name", "Umask", "State", "NStgid", "NSpid", "NSpgid",
			"NSsid", "Uid", "Gid", "Groups", "Threads", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff",
			"CapBnd", "CapAmb", "NoNewPrivs", "THP_enabled", "Cpus_allowed", "TracerPid"), l.sched(task))
	}
	l.out[name+"maps"] = l.maps(pid)
	for _, f := range []string{"limits", "cmdline", "environ", "auxv", "oom_score_adj", "personality", "coredump_filter"} {
		l.out[name+f] = strings.Split(l.read("%s/%s", dir, f), "\n")
	}
	for _, f := range []string{"exe", "cwd", "root"} {
		to, err := os.Readlink(dir + "/" + f)
		l.fatal(err)
		l.out[name+f] = []string{to}
	}
	for line := range strings.Lines(l.read("%s/timers", dir)) {
		if strings.HasPrefix(line, "ID") || strings.HasPrefix(line, "ClockID") {
			l.out[name+"timers"] = append(l.out[name+"timers"], line)
		}
	}
	l.descriptors(pid, name)
}

// sched are fields of the stat file that the status file has not, numbered as
// in proc(5).
func (l *looker) sched(task string) string {
	l.t.Helper()
	s := l.read("%s/stat", task)
	f := strings.Fields(s[strings.LastIndexByte(s, ')'):])
	var out []string
	for _, n := range []int{7, 8, 18, 19, 20, 26, 27, 28, 38, 40, 41, 45, 46, 47, 48, 49, 50, 51, 52} {
		out = append(out, fmt.Sprintf("%d:%s", n, f[n-2]))
	}
	tid := task[strings.LastIndexByte(task, '/')+1:]
	return strings.Join(out, " ") + " slack:" + strings.TrimSpace(l.read("/proc/%s/timerslack_ns", tid))
}

func (l *looker) status(dir string, keys ...string) (out []string) {
	l.t.Helper()
	for line := range strings.Lines(l.read("%s/status", dir)) {
		key, val, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		if !slices.Contains(keys, key) {
			continue
		}
		f := strings.Fields(val)
		switch {
		case strings.HasPrefix(key, "NS"):
			f = f[len(f)-1:] // as the pod sees it
		case key == "State":
			f = f[:1]
			if strings.Contains("RSD", f[0]) {
				f[0] = "runs"
			}
		}
		out = append(out, key+": "+strings.Join(f, " "))
	}
	return out
}

// maps lists the mappings. Neighbours that the kernel may merge or not count as
// one, and some flags are left out: what is accounted for (ac) and what may be
// written later (mw, sh) are the history of a mapping, and so are sd and gu in the kernel's
// books; uw says that its pages are tracked.
func (l *looker) maps(pid int) (out []string) {
	l.t.Helper()
	vmas, err := procfs.Maps(pid, true)
	l.fatal(err)
	var last procfs.VMA
	what := func(v *procfs.VMA) string {
		flags := slices.DeleteFunc(slices.Clone(v.Flags), func(f string) bool { return slices.Contains([]string{"ac", "mw", "sd", "sh", "gu", "uw"}, f) })
		name := v.Name
		if name == "/memfd:anonymous" || name == "/anon_hugepage" && v.Shared {
			name = "/dev/zero" // shared anonymous memory, reborn
		}
		return fmt.Sprintf("%s %v %v", name, v.Deleted, flags)
	}
	for i := range vmas {
		v := &vmas[i]
		if i > 0 && last.End == v.Start && what(&last) == what(v) && (v.Inode == 0 || last.Offset+last.End-last.Start == v.Offset) {
			last.End = v.End
			out[len(out)-1] = fmt.Sprintf("%x-%x %x %s", last.Start, last.End, last.Offset, what(v))
			continue
		}
		last = *v
		out = append(out, fmt.Sprintf("%x-%x %x %s", v.Start, v.End, v.Offset, what(v)))
	}
	return out
}

var inodeNumber = regexp.MustCompile(`\[\d+\]`)

// descriptors lists what a process has open: pipes and sockets, whose numbers
// change, by order of their first appearance.
func (l *looker) descriptors(pid int, name string) {
	l.t.Helper()
	fds, err := procfs.FDs(pid)
	l.fatal(err)
	for _, fd := range fds {
		to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
		l.fatal(err)
		to = inodeNumber.ReplaceAllStringFunc(to, func(s string) string {
			if l.inodes[s] == "" {
				l.inodes[s] = fmt.Sprintf("[#%d]", len(l.inodes))
			}
			return l.inodes[s]
		})
		info := strings.SplitN(l.read("/proc/%d/fdinfo/%d", pid, fd), "\n", 3)
		l.out[name+"descriptors"] = append(l.out[name+"descriptors"], fmt.Sprintf("%d %s %s %s", fd, to, info[0], info[1]))
	}
}
