// Package linux holds thin wrappers of system calls that several packages need
// and x/sys does not have.
package linux

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
)

// ThreadPIDFDs tells whether this kernel has descriptors of threads (PIDFD_THREAD
// of pidfd_open(2), Linux 6.9).
var ThreadPIDFDs = sync.OnceValue(func() bool {
	fd, err := unix.PidfdOpen(os.Getpid(), unix.PIDFD_THREAD)
	if err == nil {
		_ = unix.Close(fd)
	}
	return !errors.Is(err, unix.EINVAL)
})

// GetFD duplicates descriptor num of a process that the caller may ptrace: the
// same open file description under a number of this process, which the caller
// closes (pidfd_getfd(2), Linux 5.6). tid is any thread that lives of the process;
// where the kernel has no ThreadPIDFDs, the first must live, too.
func GetFD(tid, num int) (int, error) {
	flags := unix.PIDFD_THREAD
	if !ThreadPIDFDs() {
		st, err := procfs.ReadStatus(fmt.Sprintf("/proc/%d", tid))
		if err != nil {
			return -1, err
		}
		tid, flags = st.TGID, 0
	}
	pidfd, err := unix.PidfdOpen(tid, flags)
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

// Shareable is what processes and threads may have in common: a type of kcmp(2).
type Shareable int

// Types of kcmp(2).
const (
	kcmpFile           = 0
	Memory   Shareable = 1 // the address space (CLONE_VM)
	Files    Shareable = 2 // the table of descriptors (CLONE_FILES)
	FS       Shareable = 3 // directories and the file mode mask (CLONE_FS)
	Actions  Shareable = 4 // what is done on signals (CLONE_SIGHAND)
	Undo     Shareable = 6 // the list of SEM_UNDO (CLONE_SYSVSEM); all that have none share it
)

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
	n, err := Compare(a, b, Memory)
	return n == 0 && err == nil, err
}

// Compare orders two processes or threads by what they have of a kind; 0 is that
// they share it.
func Compare(a, b int, what Shareable) (int, error) {
	r, _, e := unix.Syscall6(unix.SYS_KCMP, uintptr(a), uintptr(b), uintptr(what), 0, 0, 0)
	if e != 0 {
		return 0, os.NewSyscallError("kcmp", e)
	}
	// 1 is less, 2 is greater, 3 is unequal without an order.
	return [...]int{0, -1, 1, 1}[r&3], nil
}
