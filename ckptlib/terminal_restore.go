package ckptlib

import (
	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/kobj"
	"github.com/gompirun/gompirun/ckptlib/proc"
)

var _ kobj.Terminals = capturer{}

// Terminals lists the pod's terminals whose master this process holds.
func (p *Pod) Terminals() []*Terminal {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*Terminal(nil), p.terminals...)
}

// Terminal finds the master of a terminal for kobj. Nothing else uses it
// meanwhile, as descriptions has seen to.
func (c capturer) Terminal(index int) (master int, ok bool) {
	for _, t := range c.p.Terminals() {
		if t.index == index {
			// Not Fd, which would make it blocking.
			raw, err := t.master.SyscallConn()
			if err == nil {
				err = raw.Control(func(fd uintptr) { master = int(fd) })
			}
			return master, err == nil
		}
	}
	return -1, false
}

// holdTerminals keeps everybody from the masters until release is called, and
// notes whose they are.
func (c *Checkpoint) holdTerminals() (release func()) {
	list := c.p.Terminals()
	for _, t := range list {
		t.mu.Lock()
		c.im.Terminals = append(c.im.Terminals, image.Terminal{Index: t.index, Stream: t.stream})
	}
	return func() {
		for _, t := range list {
			t.mu.Unlock()
		}
	}
}

// restoreTerminals makes the pseudoterminals. They are there before the
// processes: a child has a controlling terminal only if it is born when its
// session has one.
func (r *Restart) restoreTerminals() error {
	for i := range r.im.Files {
		f := &r.im.Files[i]
		if f.PTY == nil {
			continue
		}
		fd, err := kobj.Restore(r.maker, f)
		if err != nil {
			return err
		}
		r.files[f.ID] = fd
	}
	return nil
}

// lead gives the leader of a session, which has no children of that session
// yet, its controlling terminal.
func (r *Restart) lead(s *proc.Stub) error {
	// The tree, in which the maker looks for processes, is not complete.
	m := &kobj.Maker{Syscall: func(_ int, nr uintptr, args ...any) (uint64, error) {
		return remoteCall(s.Remote, nr, args...)
	}}
	for i := range r.im.Files {
		f := &r.im.Files[i]
		if f.PTY == nil || f.PTY.Session != s.Image.PID {
			continue
		}
		if err := kobj.SetControllingTerminal(m, f); err != nil {
			return err
		}
	}
	return nil
}

// takeTerminals makes Terminals of the masters that no process of the pod holds.
func (r *Restart) takeTerminals() ([]*Terminal, error) {
	var out []*Terminal
	for _, im := range r.im.Terminals {
		fd, ok := r.maker.Take(kobj.MasterName(im.Index))
		if !ok {
			continue // no process had it open
		}
		t, err := newTerminal(fd)
		if err != nil {
			return nil, err
		}
		t.stream = im.Stream
		out = append(out, t)
	}
	return out, nil
}
