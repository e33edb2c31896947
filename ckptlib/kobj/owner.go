package kobj

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
)

// Constants of fcntl(2) that x/sys does not have.
const (
	fSetSig   = 10
	fGetSig   = 11
	fSetOwnEx = 15
	fGetOwnEx = 16

	ownerTID  = 0
	ownerPID  = 1
	ownerPGRP = 2
)

// ownerEx is struct f_owner_ex.
type ownerEx struct {
	Type, ID int32
}

// captureOwner records who gets the signals of a description. Most have none.
func captureOwner(c Capturer, s *Source, f *image.File) error {
	if s.Flags&unix.O_PATH != 0 {
		return nil // has no owner: fcntl(2) says EBADF
	}
	var o ownerEx
	if _, _, e := unix.Syscall(unix.SYS_FCNTL, uintptr(s.FD), fGetOwnEx, uintptr(unsafe.Pointer(&o))); e != 0 {
		return fmt.Errorf("get the owner of %s: %w", s, e)
	}
	if o.ID == 0 {
		return nil
	}
	sig, err := unix.FcntlInt(uintptr(s.FD), fGetSig, 0)
	if err != nil {
		return fmt.Errorf("get the signal of %s: %w", s, err)
	}
	id := podOwner(c, s, o)
	if id == 0 {
		// The kernel would send the signal to nobody.
		return nil
	}
	f.Owner = &image.Owner{Type: int(o.Type), ID: id, Signal: sig}
	return nil
}

// podOwner translates an owner's id to the pod's, 0 if it has ended.
func podOwner(c Capturer, s *Source, o ownerEx) int {
	switch o.Type {
	case ownerTID:
		// A thread that is not a leader is no process of the pod, but has a
		// status file all the same.
		return podIDs(int(o.ID)).PodPID
	case ownerPGRP:
		// The group may have outlived its leader; its members know its number.
		for _, h := range append(c.Holders(s), Holder{PID: s.PID}) {
			if st, err := procfs.ReadStat(procDir(h.PID)); err == nil && st.PGID == int(o.ID) {
				return podIDs(h.PID).PodPGID
			}
		}
	}
	return c.PodPID(int(o.ID))
}

// podIDs tells the ids of a process or thread in its pod; all are 0 if it has
// ended.
func podIDs(id int) procfs.Status {
	st, err := procfs.ReadStatus(procDir(id))
	if err != nil {
		return procfs.Status{}
	}
	return st
}

func procDir(id int) string { return fmt.Sprintf("/proc/%d", id) }

// restoreOwner sets owner, signal and O_ASYNC. Where a process holds the
// description it is done there: ids need no translation then, and the kernel
// remembers the number that fcntl was given, for si_fd.
func restoreOwner(m *Maker, f *image.File) error {
	if f.Owner == nil && f.Flags&unix.O_ASYNC == 0 {
		return nil
	}
	call, err := m.fcntl(f)
	if err != nil {
		return err
	}
	if o := f.Owner; o != nil {
		own := ownerEx{Type: int32(o.Type), ID: int32(o.ID)}
		if err := call(fSetOwnEx, own); err != nil {
			return fmt.Errorf("set the owner of file %d to %d: %w", f.ID, o.ID, err)
		}
		if err := call(fSetSig, o.Signal); err != nil {
			return fmt.Errorf("set the signal of file %d to %d: %w", f.ID, o.Signal, err)
		}
	}
	if f.Flags&unix.O_ASYNC != 0 {
		if err := call(unix.F_SETFL, f.Flags&settable|unix.O_ASYNC); err != nil {
			return fmt.Errorf("set O_ASYNC of file %d: %w", f.ID, err)
		}
	}
	return nil
}

// fcntl returns fcntl(2) of a description: of a process that holds it, or of
// this one if none does.
func (m *Maker) fcntl(f *image.File) (func(cmd int, arg any) error, error) {
	if pid, num, ok := m.holder(f.ID); ok && m.Syscall != nil {
		return func(cmd int, arg any) error {
			if o, ok := arg.(ownerEx); ok {
				arg = unsafe.Slice((*byte)(unsafe.Pointer(&o)), unsafe.Sizeof(o))
			}
			_, err := m.Syscall(pid, unix.SYS_FCNTL, num, cmd, arg)
			return err
		}, nil
	}
	fd, err := m.File(f.ID)
	if err != nil {
		return nil, err
	}
	return func(cmd int, arg any) error {
		o, ok := arg.(ownerEx)
		if !ok {
			_, err := unix.FcntlInt(uintptr(fd), cmd, arg.(int))
			return err
		}
		if o.Type != ownerTID && m.PIDOf != nil {
			id, err := m.PIDOf(int(o.ID))
			if err != nil {
				return err
			}
			o.ID = int32(id)
		}
		_, _, e := unix.Syscall(unix.SYS_FCNTL, uintptr(fd), uintptr(cmd), uintptr(unsafe.Pointer(&o)))
		if e != 0 {
			return e
		}
		return nil
	}, nil
}

// holder returns a process or thread (its id in the pod) and number that hold a
// description.
func (m *Maker) holder(id image.FileID) (pid, num int, ok bool) {
	if m.Pod == nil {
		return 0, 0, false
	}
	for owner, fds := range m.Pod.Tables() {
		for _, fd := range fds {
			if fd.File == id {
				return owner, fd.Num, true
			}
		}
	}
	return 0, 0, false
}
