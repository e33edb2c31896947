package proc

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/pod"
)

// adopt makes the processes whose parent is not of the session that they were
// born in. Their first parents have ended, and the init or a subreaper
// (PR_SET_CHILD_SUBREAPER) has become their parent; so it is done again, with a
// helper as the parent that ends.
//
// Those that are born of a child of the same parent come here as well: it may be
// one of these.
func (t *Tree) adopt() error {
	for len(t.foreign)+len(t.later) > 0 {
		i, ok := t.adoptable()
		if !ok {
			if err := t.makeLater(); err != nil {
				return err
			}
			continue
		}
		p := t.foreign[i]
		t.foreign = append(t.foreign[:i:i], t.foreign[i+1:]...)
		if err := t.adoptOne(p); err != nil {
			return fmt.Errorf("make process %d of session %d: %w", p.PID, p.SID, err)
		}
	}
	return nil
}

// makeLater makes one process that is born of another than its parent.
func (t *Tree) makeLater() error {
	for i, p := range t.later {
		if of := t.byPID[p.BornOf]; of != nil {
			t.later = append(t.later[:i:i], t.later[i+1:]...)
			return t.make(p, of.Remote, of.Image.SID)
		}
	}
	p := append(t.foreign, t.later...)[0]
	return fmt.Errorf("process %d of the image has no way to be born into session %d", p.PID, p.SID)
}

// adoptable finds a process whose turn it is: those of subreapers come before
// those of the init, which may be made of any member of a session, and sessions
// whose leader is in the image begin with it.
func (t *Tree) adoptable() (found int, ok bool) {
	leaders := map[int]bool{}
	for _, list := range t.byPPID {
		for _, p := range list {
			leaders[p.PID] = p.SID == p.PID
		}
	}
	for i, p := range t.foreign {
		if t.byPID[p.SID] == nil && leaders[p.SID] || p.PPID != initPID && t.byPID[p.PPID] == nil {
			continue
		}
		if !ok || p.PPID != initPID {
			found, ok = i, true
		}
	}
	return found, ok
}

// member finds a process that is in a session, below an ancestor if that is not
// the init.
func (t *Tree) member(sid, ancestor int) *Stub {
	if s := t.byPID[sid]; s != nil && t.below(s, ancestor) {
		return s
	}
	for _, s := range t.byPID {
		if s.Image.SID == sid && t.below(s, ancestor) {
			return s
		}
	}
	return nil
}

func (t *Tree) below(s *Stub, ancestor int) bool {
	for ; s != nil; s = t.byPID[s.Image.PPID] {
		if s.Image.PID == ancestor || s.Image.PPID == ancestor {
			return true
		}
	}
	return ancestor == initPID
}

func (t *Tree) adoptOne(p *image.Process) (err error) {
	parent := t.init
	if s := t.byPID[p.PPID]; s != nil {
		parent = s.Remote
		if err := setSubreaper(s, true); err != nil {
			return err
		}
		defer func() {
			if e := setSubreaper(s, false); err == nil {
				err = e
			}
		}()
	}
	var helper *Stub
	if m := t.member(p.SID, p.PPID); m != nil {
		parent = m.Remote
		helper, err = t.clone(parent, pod.CloneArgs{PID: t.nextPID()})
	} else if helper, err = t.clone(parent, pod.CloneArgs{PID: p.SID}); err == nil {
		// The leader has ended: the helper stands in for it. The kernel gives its
		// pid to nobody as long as the session has members.
		_, err = helper.Remote.Syscall(unix.SYS_SETSID)
	}
	if err != nil {
		return err
	}
	if err := t.make(p, helper.Remote, p.SID); err != nil {
		return err
	}
	return t.end(helper, parent)
}

func setSubreaper(s *Stub, on bool) error {
	var v uint64
	if on {
		v = 1
	}
	_, err := s.Remote.Syscall(unix.SYS_PRCTL, unix.PR_SET_CHILD_SUBREAPER, v)
	return err
}
