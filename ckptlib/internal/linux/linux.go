// Package linux holds thin wrappers of system calls that several packages need
// and x/sys does not have.
package linux

import (
	"os"

	"golang.org/x/sys/unix"
)

// GetFD duplicates descriptor num of a process that the caller may ptrace: the
// same open file description under a number of this process, which the caller
// closes (pidfd_getfd(2), Linux 5.6).
func GetFD(pid, num int) (int, error) {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return -1, os.NewSyscallError("pidfd_open", err)
	}
	fd, err := unix.PidfdGetfd(pidfd, num, 0)
	_ = unix.Close(pidfd) // nothing was written to it
	if err != nil {
		return -1, os.NewSyscallError("pidfd_getfd", err)
	}
	return fd, nil
}

// Types of kcmp(2).
const kcmpFile, kcmpVM = 0, 1

// SameFile tells whether two descriptors of this process refer to one open file
// description, by kcmp(2) (CONFIG_KCMP).
func SameFile(a, b int) (bool, error) {
	pid := uintptr(os.Getpid())
	r, _, e := unix.Syscall6(unix.SYS_KCMP, pid, pid, kcmpFile, uintptr(a), uintptr(b), 0)
	if e != 0 {
		return false, os.NewSyscallError("kcmp", e)
	}
	return r == 0, nil
}

// SameMemory tells whether two processes share their address space, by kcmp(2).
func SameMemory(a, b int) (bool, error) {
	r, _, e := unix.Syscall6(unix.SYS_KCMP, uintptr(a), uintptr(b), kcmpVM, 0, 0, 0)
	if e != 0 {
		return false, os.NewSyscallError("kcmp", e)
	}
	return r == 0, nil
}
