package proc

import (
	"fmt"
	"os"
	"sort"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/linux"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// sharing finds the processes that share their descriptors or directories
// (CLONE_FILES, CLONE_FS), which a restart can repeat where one is the other's
// parent.
func (ts *Tasks) sharing() error {
	for _, kind := range []struct {
		what   linux.Shareable
		name   string
		shares func(*Task) *bool
	}{
		{linux.Files, "descriptors", func(t *Task) *bool { return &t.sharesFiles }},
		{linux.FS, "working directory", func(t *Task) *bool { return &t.sharesFS }},
	} {
		groups, err := ts.groupsOf(kind.what)
		if err != nil {
			return err
		}
		for _, g := range groups {
			for _, t := range g[1:] {
				if *kind.shares(t) = ofParent(t, g); !*kind.shares(t) {
					return fmt.Errorf("process %d (%s) shares its %s with process %d, which is not its parent: such a process cannot be checkpointed",
						t.PodPID, t.Status.Name, kind.name, g[0].PodPID)
				}
			}
		}
	}
	return nil
}

func ofParent(t *Task, group []*Task) bool {
	for _, o := range group {
		if o.PID == t.Stat.PPID {
			return true
		}
	}
	return false
}

// groupsOf returns the processes that share something, parents first. kcmp(2)
// orders them, so that not every pair has to be compared.
func (ts *Tasks) groupsOf(what linux.Shareable) (out [][]*Task, err error) {
	var list []*Task
	for _, t := range ts.List {
		if !t.Zombie {
			list = append(list, t)
		}
	}
	compare := func(a, b *Task) int {
		n, e := linux.Compare(a.Lead, b.Lead, what)
		if err == nil {
			err = e
		}
		return n
	}
	sort.SliceStable(list, func(i, j int) bool { return compare(list[i], list[j]) < 0 })
	for len(list) > 0 {
		n := 1
		for n < len(list) && compare(list[0], list[n]) == 0 {
			n++
		}
		if n > 1 {
			out = append(out, list[:n:n])
		}
		list = list[n:]
	}
	return out, err
}

// captureOwnFS notes the directory and mask of a thread that has its own
// (unshare(2) with CLONE_FS). Descriptors of its own cannot be restored.
func captureOwnFS(t *Task, tid int, th *image.Thread) error {
	if n, err := linux.Compare(t.Lead, tid, linux.Files); err != nil {
		return err
	} else if n != 0 {
		return fmt.Errorf("thread %d has descriptors of its own (CLONE_FILES), which cannot be checkpointed", th.TID)
	}
	n, err := linux.Compare(t.Lead, tid, linux.FS)
	if err != nil || n == 0 {
		return err
	}
	dir := fmt.Sprintf("/proc/%d/task/%d", t.PID, tid)
	st, err := procfs.ReadStatus(dir)
	if err != nil {
		return err
	}
	th.FS = &image.FS{Umask: st.Umask}
	th.FS.Cwd, err = os.Readlink(dir + "/cwd")
	return err
}

// restoreOwnFS gives a thread its own again.
func restoreOwnFS(r *tracer.Remote, t *image.Thread) error {
	if t.FS == nil {
		return nil
	}
	if _, err := r.Syscall(unix.SYS_UNSHARE, unix.CLONE_FS); err != nil {
		return fmt.Errorf("give thread %d a directory of its own: %w", t.TID, err)
	}
	return restoreFS(r, t.FS)
}

// cloneFlags are what a process shares with its parent.
func cloneFlags(p *image.Process) (flags uint64) {
	if p.SharesFiles {
		flags |= unix.CLONE_FILES
	}
	if p.SharesFS {
		flags |= unix.CLONE_FS
	}
	return flags
}
