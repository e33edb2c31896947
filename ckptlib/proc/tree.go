package proc

import (
	"cmp"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/pod"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// A Stub is a process on its way to become what its image says. It is stopped
// and entered.
type Stub struct {
	Image  *image.Process
	PID    int // as this process sees it
	Remote *tracer.Remote
	// TIDs are the threads as this process sees them, in the image's order: not a
	// leader that is to end, or has ended.
	TIDs    []int
	threads []*tracer.Remote

	memory *Stub // whose memory it has
	users  int   // of its memory, that are not finished
}

// Tree is the process tree of a pod being restored.
type Tree struct {
	Stubs []*Stub // in the image's order

	tr      tracer.Tracing
	lead    func(*Stub) error
	vdso    tracer.Addr
	init    *tracer.Remote
	byPID   map[int]*Stub
	byPPID  map[int][]*image.Process
	foreign []*image.Process // to be adopted
	later   []*image.Process // to be born of another process than their parent
	unnamed int              // next pid for a helper
}

// Build makes every process of a pod, with its pid, parent, session and group,
// as a stopped copy of the pod's init.
//
// A process inherits its session when it is born, so a child is made before its
// parent becomes the leader of a new session, or after, as the image says. One
// that was never its parent's (an orphan) is adopted.
//
// lead is called for each leader of a session before it has children in it.
func Build(tr tracer.Tracing, init *tracer.Remote, vdso tracer.Addr, p *image.Pod, lead func(*Stub) error) (*Tree, error) {
	t := &Tree{tr: tr, lead: lead, vdso: vdso, init: init, byPID: map[int]*Stub{}, byPPID: map[int][]*image.Process{}}
	for i := range p.Processes {
		q := &p.Processes[i]
		t.byPPID[q.PPID] = append(t.byPPID[q.PPID], q)
		t.unnamed = max(t.unnamed, q.PID, q.SID, q.PGID)
		for _, th := range q.Threads {
			t.unnamed = max(t.unnamed, th.TID)
		}
	}
	t.unnamed++
	for _, q := range t.byPPID[initPID] {
		if q.BornOf != 0 {
			t.later = append(t.later, q)
			continue
		}
		if q.SID != q.PID && q.SID != initPID {
			t.foreign = append(t.foreign, q)
			continue
		}
		if err := t.make(q, init, initPID); err != nil {
			return t, err
		}
	}
	if err := t.adopt(); err != nil {
		return t, err
	}
	for i := range p.Processes {
		s, ok := t.byPID[p.Processes[i].PID]
		if !ok {
			return t, fmt.Errorf("process %d of the image has no way to be born: its parent %d is not there", p.Processes[i].PID, p.Processes[i].PPID)
		}
		t.Stubs = append(t.Stubs, s)
	}
	return t, t.groups()
}

// initPID is the init's pid, session and group in its pod.
const initPID = 1

// make makes a process and all below it. The one that it is born of is in the
// session birth.
func (t *Tree) make(p *image.Process, parent *tracer.Remote, birth int) error {
	a := cloneArgs(p)
	of := t.byPID[cmp.Or(p.BornOf, p.PPID)]
	if a.Flags != 0 && (of == nil || of.Remote != parent) {
		return fmt.Errorf("make process %d: it cannot be born of process %d, with which it shares", p.PID, cmp.Or(p.BornOf, p.PPID))
	}
	s, err := t.clone(parent, a)
	if err != nil {
		return err
	}
	s.Image = p
	if p.SharesMemory {
		s.share(of)
	}
	t.byPID[p.PID] = s
	var after []*image.Process
	for _, c := range t.byPPID[p.PID] {
		if c.BornOf != 0 {
			t.later = append(t.later, c)
			continue
		}
		switch from := t.bornIn(c); {
		case from == birth:
			if err := t.make(c, s.Remote, birth); err != nil {
				return err
			}
		case c.SID == c.PID || from == p.SID:
			after = append(after, c)
		default:
			t.foreign = append(t.foreign, c)
		}
	}
	if p.SID == p.PID {
		if _, err := s.Remote.Syscall(unix.SYS_SETSID); err != nil {
			return fmt.Errorf("make process %d a session leader: %w", p.PID, err)
		}
		if err := t.lead(s); err != nil {
			return err
		}
	}
	for _, c := range after {
		if err := t.make(c, s.Remote, p.SID); err != nil {
			return err
		}
	}
	return nil
}

// bornIn is the session in which a process has to be born, 0 if any will do:
// the leader of a session may have children of the session that it left.
func (t *Tree) bornIn(p *image.Process) int {
	if p.SID != p.PID {
		return p.SID
	}
	for _, c := range t.byPPID[p.PID] {
		if from := t.bornIn(c); from != 0 && from != p.PID {
			return from
		}
	}
	return 0
}

// clone makes a process and enters it.
func (t *Tree) clone(parent *tracer.Remote, a pod.CloneArgs) (*Stub, error) {
	child, err := pod.Clone(t.tr, parent, a)
	if err != nil {
		return nil, err
	}
	if err := t.tr.SetOptions(child, tracer.Stub); err != nil {
		return nil, err
	}
	r, err := t.tr.EnterBare(child, t.vdso)
	if err != nil {
		return nil, err
	}
	r.UseScratch(parent.Scratch())
	s := &Stub{PID: child, Remote: r, users: 1}
	s.memory = s
	return s, nil
}

func (t *Tree) nextPID() int {
	t.unnamed++
	return t.unnamed - 1
}
