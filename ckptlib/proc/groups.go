package proc

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/pod"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// groups sets process groups: leaders first, then the members; a leader that
// has ended is stood in for until the members have joined.
func (t *Tree) groups() error {
	join := func(s *Stub, pgid int) error {
		if _, err := s.Remote.Syscall(unix.SYS_SETPGID, 0, uint64(pgid)); err != nil {
			return fmt.Errorf("put process %d into group %d: %w", s.Image.PID, pgid, err)
		}
		return nil
	}
	members := map[int][]*Stub{}
	for _, s := range t.Stubs {
		p := s.Image
		switch {
		case p.SID == p.PID: // setsid made it its group's leader, for good
		case p.PGID == p.SID: // it was born in it
		case p.PGID == p.PID:
			if err := join(s, 0); err != nil {
				return err
			}
		default:
			members[p.PGID] = append(members[p.PGID], s)
		}
	}
	for pgid, list := range members {
		var helper *Stub
		if _, ok := t.byPID[pgid]; !ok {
			var err error
			if helper, err = t.clone(list[0].Remote, pod.CloneArgs{PID: pgid}); err != nil {
				return err
			}
			if _, err := helper.Remote.Syscall(unix.SYS_SETPGID, 0, 0); err != nil {
				return err
			}
		}
		for _, s := range list {
			if err := join(s, pgid); err != nil {
				return err
			}
		}
		if helper != nil {
			if err := t.end(helper, list[0].Remote); err != nil {
				return err
			}
		}
	}
	return nil
}

// end ends a helper. Its parent takes note, so that the process that it will be
// never hears of it.
func (t *Tree) end(helper *Stub, parent *tracer.Remote) error {
	if err := t.tr.Kill(helper.PID); err != nil {
		return err
	}
	_, err := parent.Syscall(unix.SYS_WAIT4, ^uint64(0), 0, unix.WALL, 0)
	return err
}
