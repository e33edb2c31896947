package kobj

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
)

// openMaster makes a terminal with a given number. The kernel gives the lowest
// free one, so those below are held until the wanted one has come.
func openMaster(m *Maker, index int) (int, error) {
	return openMasterWhere(m, func(n int) (bool, error) {
		if n > index {
			return false, fmt.Errorf("the pod's terminal %d is in use by another process", index)
		}
		return n == index, nil
	})
}

func openMasterWhere(m *Maker, wanted func(index int) (bool, error)) (int, error) {
	var between []int
	defer func() {
		for _, fd := range between {
			_ = unix.Close(fd) // a terminal that nobody has used
		}
	}()
	for {
		fd, err := openPTMX(m)
		if err != nil {
			return -1, err
		}
		n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
		if err != nil {
			return -1, errors.Join(fmt.Errorf("get the number of a terminal: %w", err), unix.Close(fd))
		}
		ok, err := wanted(n)
		if err != nil {
			return -1, errors.Join(err, unix.Close(fd))
		}
		if ok {
			return fd, nil
		}
		between = append(between, fd)
	}
}

// openPTMX opens the multiplexer of the pod's devpts: /dev/ptmx finds the one
// next to it, and where that is missing there is one inside.
func openPTMX(m *Maker) (int, error) {
	const flags = unix.O_RDWR | unix.O_NOCTTY
	fd, err := m.openRoot("/dev/ptmx", flags)
	if err == nil {
		return fd, nil
	}
	fd, err2 := m.openRoot("/dev/pts/ptmx", flags)
	if err2 != nil {
		return -1, errors.Join(err, err2)
	}
	return fd, nil
}

// openPeer opens the slave of a master, wherever its devpts is mounted.
func openPeer(master, flags int) (int, error) {
	// Without O_CLOEXEC: of this ioctl F_GETFL would report it ever after.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, uintptr(openFlags(flags)|unix.O_NOCTTY))
	if e != 0 {
		return -1, fmt.Errorf("open the slave: %w", e)
	}
	unix.CloseOnExec(int(fd))
	return int(fd), nil
}

// hungUp returns a slave whose master has been closed, of a number that no
// other terminal of the image has.
func hungUp(m *Maker, flags int) (int, error) {
	used := map[int]bool{}
	if m.Pod != nil {
		for i := range m.Pod.Files {
			if p := m.Pod.Files[i].PTY; p != nil && !p.HungUp {
				used[p.Index] = true
			}
		}
	}
	master, err := openMasterWhere(m, func(n int) (bool, error) { return !used[n], nil })
	if err != nil {
		return -1, err
	}
	err = unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0)
	fd := -1
	if err == nil {
		fd, err = openPeer(master, flags)
	}
	return fd, errors.Join(err, unix.Close(master))
}

// slaveHolder finds a process that has the slave of a terminal of source's pod
// open.
func slaveHolder(c Capturer, index int, source *Source) (Holder, bool) {
	var want unix.Stat_t
	if unix.Stat(source.inPod(slavePath(index)), &want) != nil {
		return Holder{}, false
	}
	return c.Find(func(st *unix.Stat_t, h Holder) bool {
		if st.Rdev == want.Rdev && st.Dev == want.Dev && st.Ino == want.Ino {
			return true
		}
		if st.Rdev != unix.Mkdev(5, 0) {
			return false
		}
		// What was opened as /dev/tty has the number of that.
		p, err := procfs.ReadStat(procDir(h.PID))
		return err == nil && controllingTTY(&p) == want.Rdev
	})
}

// openSlave returns a description of a slave for reading and writing: a new
// one, or one of the pod's where exclusive use (TIOCEXCL) keeps it to those.
func openSlave(c Capturer, master, index int, source *Source) (int, error) {
	fd, err := openPeer(master, unix.O_RDWR|unix.O_NONBLOCK)
	if !errors.Is(err, unix.EBUSY) {
		return fd, err
	}
	h, ok := slaveHolder(c, index, source)
	if !ok {
		return -1, err
	}
	s, err2 := ReadSource(h.PID, h.Num, h.PID)
	if err2 != nil {
		return -1, err2
	}
	if s.Flags&unix.O_ACCMODE != unix.O_RDWR {
		return -1, errors.Join(err, unix.Close(s.FD))
	}
	return s.FD, nil
}
