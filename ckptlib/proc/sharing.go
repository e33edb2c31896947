package proc

import (
	"fmt"
	"slices"
	"sort"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/linux"
	"github.com/gompirun/gompirun/ckptlib/pod"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// shareable are the things that processes can have in common without being
// threads. Who has them in common was born so, by clone(2) with the flag, and a
// restart can only do the same: in the process that it was born of, the parent, or
// in a child of the same parent (CLONE_PARENT).
var shareable = []struct {
	flag uint64
	what linux.Shareable
	name string
	in   func(*image.Process) *bool
}{
	{unix.CLONE_VM, linux.Memory, "memory", func(p *image.Process) *bool { return &p.SharesMemory }},
	{unix.CLONE_SIGHAND, linux.Actions, "signal actions", func(p *image.Process) *bool { return &p.SharesActions }},
	{unix.CLONE_FILES, linux.Files, "descriptors", func(p *image.Process) *bool { return &p.SharesFiles }},
	{unix.CLONE_FS, linux.FS, "working directory", func(p *image.Process) *bool { return &p.SharesFS }},
	{unix.CLONE_SYSVSEM, linux.Undo, "list of SEM_UNDO", func(p *image.Process) *bool { return &p.SharesUndo }},
}

// sharing finds out who shares what with whom.
func (ts *Tasks) sharing() error {
	first := map[uint64]map[*Task]*Task{} // by flag, of those that share it with others
	for _, k := range shareable {
		var err error
		if first[k.flag], err = ts.firstOf(k.what); err != nil {
			return err
		}
		for t, f := range first[k.flag] {
			if t != f {
				t.shares |= k.flag
			}
		}
	}
	for i, t := range ts.List {
		if t.shares == 0 {
			continue
		}
		if t.shares&unix.CLONE_VM != 0 {
			t.memory = first[unix.CLONE_VM][t]
		}
		has := func(b *Task) bool { // all that t shares
			for _, k := range shareable {
				if t.shares&k.flag != 0 && first[k.flag][b] != first[k.flag][t] {
					return false
				}
			}
			return true
		}
		if slices.ContainsFunc(ts.List[:i], func(b *Task) bool { return b.PID == t.Stat.PPID && has(b) }) {
			continue
		}
		b := slices.IndexFunc(ts.List[:i], func(b *Task) bool { return sibling(b, t) && has(b) })
		if b < 0 {
			return t.unshareable(func(flag uint64) *Task { return first[flag][t] })
		}
		t.bornOf = ts.List[b]
	}
	return ts.ownThreads()
}

// sibling tells whether b can make t by CLONE_PARENT: t gets b's parent, exit
// signal and session.
func sibling(b, t *Task) bool {
	return b.Stat.PPID == t.Stat.PPID && b.Stat.ExitSignal == t.Stat.ExitSignal &&
		(b.Status.PodSID == t.Status.PodSID || t.Status.PodSID == t.PodPID)
}

// unshareable says what a process shares and with whom it cannot be made again.
func (t *Task) unshareable(with func(flag uint64) *Task) error {
	for _, k := range shareable {
		if t.shares&k.flag != 0 {
			return fmt.Errorf("process %d (%s) shares its %s with process %d, of which a restart cannot make it (that is neither its parent nor another child of its parent, or they are of two sessions): end one of them",
				t.PodPID, t.Status.Name, k.name, with(k.flag).PodPID)
		}
	}
	return nil
}

// firstOf maps the processes that have something in common with others to the
// first of these. kcmp(2) orders them, so that not every pair has to be compared.
func (ts *Tasks) firstOf(what linux.Shareable) (first map[*Task]*Task, err error) {
	var list []*Task
	compare := func(a, b int) int {
		n, e := linux.Compare(a, b, what)
		if err == nil {
			err = e
		}
		return n
	}
	for _, t := range ts.List {
		// What has not been made the init has not, either.
		if !t.Zombie && (what != linux.Undo || compare(ts.Init, t.Lead) != 0) {
			list = append(list, t)
		}
	}
	sort.SliceStable(list, func(i, j int) bool { return compare(list[i].Lead, list[j].Lead) < 0 })
	first = map[*Task]*Task{}
	for i, t := range list {
		if i == 0 || compare(list[i-1].Lead, t.Lead) != 0 {
			continue
		}
		if first[list[i-1]] == nil {
			first[list[i-1]] = list[i-1]
		}
		first[t] = first[list[i-1]]
	}
	return first, err
}

// OwnsMemory is false for a process whose memory is that of an earlier one in the
// list (CLONE_VM): it is dealt with there.
func (t *Task) OwnsMemory() bool { return t.memory == nil }

// memoryOf is the process that owns its memory, which may be itself.
func (t *Task) memoryOf() *Task {
	if t.memory != nil {
		return t.memory
	}
	return t
}

// OwnsUndo is the same of the list of SEM_UNDO.
func (t *Task) OwnsUndo() bool { return t.shares&unix.CLONE_SYSVSEM == 0 }

// Sharers are the processes that have the memory of t, which owns it.
func (ts *Tasks) Sharers(t *Task) (list []*Task) {
	for _, o := range ts.List {
		if o == t || o.memory == t {
			list = append(list, o)
		}
	}
	return list
}

// captureSharing notes how a process was born.
func captureSharing(t *Task, p *image.Process) {
	for _, k := range shareable {
		*k.in(p) = t.shares&k.flag != 0
	}
	if t.bornOf != nil {
		p.BornOf = t.bornOf.PodPID
	}
	switch t.Stat.ExitSignal {
	case int(unix.SIGCHLD):
	case 0:
		p.ExitSignal = image.NoSignal
	default:
		p.ExitSignal = t.Stat.ExitSignal
	}
}

// cloneArgs are how a process is made.
func cloneArgs(p *image.Process) pod.CloneArgs {
	a := pod.CloneArgs{PID: p.PID, ExitSignal: unix.SIGCHLD}
	for _, k := range shareable {
		if *k.in(p) {
			a.Flags |= k.flag
		}
	}
	switch {
	case p.BornOf != 0:
		a.Flags, a.ExitSignal = a.Flags|unix.CLONE_PARENT, 0 // clone3(2) takes none: it is the maker's
	case p.ExitSignal == image.NoSignal:
		a.ExitSignal = 0
	case p.ExitSignal != 0:
		a.ExitSignal = unix.Signal(p.ExitSignal)
	}
	return a
}

// share notes the process whose memory a stub has got from the one that it was
// born of.
func (s *Stub) share(of *Stub) {
	s.memory = of.memory
	s.memory.users++
}

// Join has a stub go on in memory that has been rebuilt since it was born.
func (s *Stub) Join() { s.Remote.Join(s.memory.Remote) }

// unmap takes the scratch memory away, if nobody needs it any more.
func (s *Stub) unmap() error {
	if s.memory.users--; s.memory.users > 0 {
		return nil
	}
	if _, err := s.Remote.Syscall(unix.SYS_MUNMAP, uint64(s.Remote.Scratch()), tracer.RoomSize); err != nil {
		return fmt.Errorf("unmap the scratch memory: %w", err)
	}
	return nil
}
