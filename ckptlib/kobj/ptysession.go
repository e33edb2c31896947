package kobj

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
)

// controllingTTY is the controlling terminal that /proc/PID/stat tells, as
// st_rdev, 0 for none.
func controllingTTY(st *procfs.Stat) uint64 {
	n := uint32(st.TTYNr)
	if n == 0 {
		return 0
	}
	return unix.Mkdev(n>>8&0xfff, n&0xff|n>>12&0xfff00)
}

// masterSession asks the master for the session that the terminal controls; a
// slave would tell only members of the session.
func masterSession(c Capturer, s *Source, p *image.PTY) {
	sid, err := unix.IoctlGetInt(s.FD, unix.TIOCGSID)
	if err != nil || sid <= 0 {
		return // it controls none
	}
	p.Session = c.PodPID(sid)
	if pgid, err := unix.IoctlGetInt(s.FD, unix.TIOCGPGRP); err == nil && pgid > 0 {
		p.Foreground = c.PodPID(pgid)
	}
}

// slaveSession asks the holders of a slave whether it controls them.
func slaveSession(c Capturer, s *Source, p *image.PTY) {
	for _, h := range c.Holders(s) {
		st, err := procfs.ReadStat(procDir(h.PID))
		if err != nil || controllingTTY(&st) != unix.Mkdev(ptySlaveMajor, uint32(p.Index)) {
			continue
		}
		ids := podIDs(h.PID)
		p.Session = ids.PodSID
		if st.PGID == st.TPGID {
			p.Foreground = ids.PodPGID
		} else if st.TPGID > 0 {
			p.Foreground = c.PodPID(st.TPGID)
		}
		if p.Foreground != 0 {
			return
		}
	}
}

// SetControllingTerminal gives the terminal, which has been restored, to the
// leader of its session, and does nothing for one that controls no session.
// A child has its parent's controlling terminal only if it is made after this,
// so a restart calls it for every pseudoterminal when the leader has called
// setsid(2) and has no children yet. Settle calls it again, which is harmless.
func SetControllingTerminal(m *Maker, f *image.File) error {
	if f.PTY == nil || f.PTY.HungUp || f.PTY.Session == 0 {
		return nil
	}
	return inLeader(m, f.PTY, func(num int) error {
		_, err := m.Syscall(f.PTY.Session, unix.SYS_IOCTL, num, unix.TIOCSCTTY, 0)
		return err
	})
}

// inLeader lets the session's leader open the terminal, and do something with it.
func inLeader(m *Maker, p *image.PTY, do func(num int) error) error {
	path := append([]byte(slavePath(p.Index)), 0)
	at := unix.AT_FDCWD
	num, err := m.Syscall(p.Session, unix.SYS_OPENAT, at, path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s in process %d: %w", slavePath(p.Index), p.Session, err)
	}
	err = do(int(num))
	if err != nil {
		err = fmt.Errorf("make %s the terminal of session %d: %w", slavePath(p.Index), p.Session, err)
	}
	_, err2 := m.Syscall(p.Session, unix.SYS_CLOSE, int(num))
	return errors.Join(err, err2)
}

// settleSession sets the controlling terminal and the foreground group, once
// for all descriptions of a terminal.
func settleSession(m *Maker, p *image.PTY) error {
	if p.Session == 0 || !alive(m, p.Session) || !m.once(MasterName(p.Index)+":session") {
		return nil
	}
	return inLeader(m, p, func(num int) error {
		if _, err := m.Syscall(p.Session, unix.SYS_IOCTL, num, unix.TIOCSCTTY, 0); err != nil {
			return err
		}
		if p.Foreground == 0 {
			return nil
		}
		// The leader is in the foreground now, so that it may do this without a
		// SIGTTOU. A group that is there no more stays out of the foreground.
		pgid := binary.NativeEndian.AppendUint32(nil, uint32(p.Foreground))
		_, err := m.Syscall(p.Session, unix.SYS_IOCTL, num, unix.TIOCSPGRP, pgid)
		if errors.Is(err, unix.ESRCH) {
			return nil
		}
		return err
	})
}

// alive tells whether a process is in the image and has not ended: a session
// may have lost its leader.
func alive(m *Maker, pid int) bool {
	if m.Pod == nil || m.Syscall == nil {
		return false
	}
	for i := range m.Pod.Processes {
		if p := &m.Pod.Processes[i]; p.PID == pid {
			return p.Zombie == nil
		}
	}
	return false
}
