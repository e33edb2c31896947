package kobj

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// Kinds of locks in an image.
const (
	lockFlock = "flock"
	lockPosix = "posix"
	lockOFD   = "ofd"
	lockLease = "lease" // fcntl(2) F_SETLEASE
)

// captureLocks records the file locks that fdinfo tells. A POSIX lock belongs
// to a process and is told only in its own fdinfo, so each holder is asked.
func captureLocks(c Capturer, s *Source, f *image.File) error {
	if s.Stat.Mode&unix.S_IFMT != unix.S_IFREG && s.Stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil
	}
	seen := map[image.Lock]bool{}
	holders := c.Holders(s)
	if len(holders) == 0 {
		holders = []Holder{{PID: s.PID, PodPID: s.PodPID, Num: s.Num}}
	}
	for _, h := range holders {
		info, err := ReadFDInfo(h.PID, h.Num)
		if err != nil {
			continue // nobody's descriptor any more, such as one in a socket's queue
		}
		for _, line := range info.Lines {
			rest, ok := strings.CutPrefix(line, "lock:")
			if !ok {
				continue
			}
			l, err := parseLock(rest)
			if errors.Is(err, errBreaking) {
				return &RetryError{
					Source: s.String(), Reason: "has a lease that somebody waits for",
					Hint: "the program gives it up, or the kernel takes it after a while (fs.lease-break-time)",
				}
			}
			if err != nil {
				return fmt.Errorf("parse line %q of fdinfo of %s: %w", line, s, err)
			}
			if l.Kind == lockPosix {
				l.PID = h.PodPID
			}
			if seen[l] {
				continue
			}
			seen[l] = true
			if l.Kind == lockLease {
				l.PID = h.PodPID // any holder: it is the description's
			}
			f.Locks = append(f.Locks, l)
		}
	}
	return nil
}

// Leased tells whether somebody has a lease on the file by this description.
func (s *Source) Leased() bool {
	for _, line := range s.Info.Lines {
		if strings.HasPrefix(line, "lock:") && slices.Contains(strings.Fields(line), "LEASE") {
			return true
		}
	}
	return false
}

// errBreaking says that a lease is about to be given up.
var errBreaking = errors.New("the lease is being broken")

// parseLock parses "1: POSIX  ADVISORY  WRITE 359 00:13:11691 0 EOF" and "1:
// LEASE  ACTIVE    READ 359 00:13:11691 0 EOF".
func parseLock(text string) (image.Lock, error) {
	var l image.Lock
	w := strings.Fields(text)
	if len(w) != 8 {
		return l, errors.New("it has not 8 words")
	}
	switch w[1] {
	case "FLOCK":
		l.Kind = lockFlock
	case "POSIX":
		l.Kind = lockPosix
	case "OFDLCK":
		l.Kind = lockOFD
	case "LEASE":
		if w[2] != "ACTIVE" {
			return l, errBreaking
		}
		l.Kind = lockLease
	default:
		return l, errors.New("a kind of lock that this version does not know")
	}
	l.Write = w[3] == "WRITE"
	var err error
	if l.Start, err = strconv.ParseInt(w[6], 10, 64); err != nil {
		return l, err
	}
	if w[7] != "EOF" {
		end, err := strconv.ParseInt(w[7], 10, 64)
		if err != nil {
			return l, err
		}
		l.Len = end - l.Start + 1
	}
	return l, nil
}

// restoreLocks takes the locks again. A lock of a description can be taken by
// any holder, and is by this process; that of a process it must take itself.
func restoreLocks(m *Maker, f *image.File) error {
	for _, l := range f.Locks {
		if err := restoreLock(m, f, l); err != nil {
			return fmt.Errorf("take the %s lock at %d of file %d again: %w", l.Kind, l.Start, f.ID, err)
		}
	}
	return nil
}

func restoreLock(m *Maker, f *image.File, l image.Lock) error {
	lk := unix.Flock_t{Type: unix.F_RDLCK, Start: l.Start, Len: l.Len}
	how := unix.LOCK_SH
	if l.Write {
		lk.Type, how = unix.F_WRLCK, unix.LOCK_EX
	}
	if l.Kind == lockPosix || l.Kind == lockLease {
		num, ok := m.numberIn(l.PID, f.ID)
		if !ok {
			return fmt.Errorf("process %d does not have the file", l.PID)
		}
		if l.Kind == lockLease {
			_, err := m.Syscall(l.PID, unix.SYS_FCNTL, num, unix.F_SETLEASE, int(lk.Type))
			return err
		}
		arg := append([]byte(nil), unsafe.Slice((*byte)(unsafe.Pointer(&lk)), unsafe.Sizeof(lk))...)
		_, err := m.Syscall(l.PID, unix.SYS_FCNTL, num, unix.F_SETLK, arg)
		return err
	}
	fd, err := m.File(f.ID)
	if err != nil {
		return err
	}
	switch l.Kind {
	case lockFlock:
		return unix.Flock(fd, how|unix.LOCK_NB)
	case lockOFD:
		return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &lk)
	}
	return errors.New("a kind of lock that this version does not know")
}

// numberIn returns the number that a process of the pod has for a description.
func (m *Maker) numberIn(pid int, id image.FileID) (int, bool) {
	if m.Pod == nil {
		return 0, false
	}
	for owner, fds := range m.Pod.Tables() {
		for _, fd := range fds {
			if owner == pid && fd.File == id {
				return fd.Num, true
			}
		}
	}
	return 0, false
}
