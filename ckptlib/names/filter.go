package names

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data (linux/seccomp.h).
const (
	dataNr      = 0
	dataArch    = 4
	dataArg1Low = 24
	dataArg1Hi  = 28
)

// Filter returns the program that Install installs: the calls that name an
// internet address, connect, bind, getsockname, getpeername, and accept and
// accept4 if they ask for the peer's name, go to the listener, with memory also
// those of MemoryCalls; every other call is allowed. So are all calls of other
// architectures: i386 programs are not translated. The numbers of x32 calls have
// bit 30 set and equal none of these.
func Filter(memory bool) []unix.SockFilter {
	const (
		load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		ret   = unix.BPF_RET | unix.BPF_K
	)
	plain := []uint32{unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_GETSOCKNAME, unix.SYS_GETPEERNAME}
	if memory {
		plain = append(plain, MemoryCalls...)
	}
	first := 3 // index of the first test of a number
	var (
		accept  = first + len(plain)
		pointer = accept + 2 // index of the test for an address pointer that is not NULL
		allow   = pointer + 4
		notify  = allow + 1
	)
	jump := func(at int, k uint32, yes, no int) unix.SockFilter {
		return unix.SockFilter{Code: equal, Jt: uint8(yes - at - 1), Jf: uint8(no - at - 1), K: k}
	}
	out := []unix.SockFilter{
		{Code: load, K: dataArch},
		jump(1, unix.AUDIT_ARCH_X86_64, 2, allow),
		{Code: load, K: dataNr},
	}
	for i, nr := range plain {
		out = append(out, jump(first+i, nr, notify, first+i+1))
	}
	return append(out,
		jump(accept, unix.SYS_ACCEPT, pointer, accept+1),
		jump(accept+1, unix.SYS_ACCEPT4, pointer, allow),
		unix.SockFilter{Code: load, K: dataArg1Low},
		jump(pointer+1, 0, pointer+2, notify),
		unix.SockFilter{Code: load, K: dataArg1Hi},
		jump(pointer+3, 0, allow, notify),
		unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_USER_NOTIF},
	)
}

// Install puts the filter on the calling thread and returns its listener, which
// is close-on-exec and belongs to the caller. Threads and processes that this
// thread makes from now on inherit the filter; it cannot be taken off again. With
// memory set it is as of a pod whose memory is read lazily.
//
// A thread without CAP_SYS_ADMIN in its user namespace gives up gaining
// privileges by exec (no_new_privs) for the filter's sake; the init of a pod has
// the capability.
//
// SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (Linux 5.19) is left out on purpose.
// Measured with it: a thread whose call is being served cannot be stopped by
// PTRACE_INTERRUPT until the call is answered, which for accept may be never, so
// a checkpoint could not suspend it, and no signal interrupts the call. Without
// it the thread stops at once with ERESTARTSYS in its registers and repeats the
// call when it goes on.
func Install(memory bool) (listenerFD int, err error) {
	listenerFD, err = install(memory, 0)
	if errors.Is(err, unix.EACCES) {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return -1, os.NewSyscallError("prctl(PR_SET_NO_NEW_PRIVS)", err)
		}
		listenerFD, err = install(memory, 0)
	}
	switch {
	case errors.Is(err, unix.EBUSY):
		return -1, fmt.Errorf("%w: a filter with a listener is already there and Linux allows one; "+
			"restart outside the container or pod that set it", err)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS):
		return -1, fmt.Errorf("%w: seccomp user notification needs Linux 5.14 with CONFIG_SECCOMP_FILTER", err)
	}
	return listenerFD, err
}

func install(memory bool, flags uintptr) (int, error) {
	f := Filter(memory)
	prog := unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|flags, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return -1, os.NewSyscallError("seccomp(SECCOMP_SET_MODE_FILTER)", errno)
	}
	return int(fd), nil
}
