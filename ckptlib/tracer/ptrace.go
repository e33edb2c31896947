package tracer

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Requests and register sets that x/sys has no name for, from
// include/uapi/linux/ptrace.h and elf.h.
const (
	ptraceGetSigMask   = 0x420a
	ptraceSetSigMask   = 0x420b
	ptraceGetRseq      = 0x420f
	ptracePeekSiginfo  = 0x4209
	peekSiginfoShared  = 1
	ntPRStatus         = 1
	ntX86XState        = 0x202
	ptraceEventStopVal = 128
)

// SiginfoSize is the size of siginfo_t in bytes.
const SiginfoSize = 128

// request makes a ptrace request. What data points to must not move while the
// kernel has its address, as a goroutine's stack does.
//
//go:uintptrescapes
func (tr Tracing) request(op string, req, tid int, addr, data uintptr) error {
	tr.check()
	_, _, e := unix.RawSyscall6(unix.SYS_PTRACE, uintptr(req), uintptr(tid), addr, data, 0, 0)
	if e != 0 {
		return &ThreadError{op, tid, e}
	}
	return nil
}

// Regs are the general registers of a thread.
type Regs = unix.PtraceRegs

// Regs reads the general registers. Preconditions: the thread is stopped.
func (tr Tracing) Regs(tid int) (r Regs, err error) {
	err = tr.request("PTRACE_GETREGS", unix.PTRACE_GETREGS, tid, 0, uintptr(unsafe.Pointer(&r)))
	return r, err
}

// SetRegs sets the general registers. Preconditions: the thread is stopped.
func (tr Tracing) SetRegs(tid int, r *Regs) error {
	return tr.request("PTRACE_SETREGS", unix.PTRACE_SETREGS, tid, 0, uintptr(unsafe.Pointer(r)))
}

// RegsBytes is the NT_PRSTATUS register set as the kernel lays it out.
func RegsBytes(r *Regs) []byte {
	return append([]byte(nil), unsafe.Slice((*byte)(unsafe.Pointer(r)), unsafe.Sizeof(*r))...)
}

// RegsFrom is the inverse of RegsBytes; ok is false if b has another size.
func RegsFrom(b []byte) (r Regs, ok bool) {
	if len(b) != int(unsafe.Sizeof(r)) {
		return r, false
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&r)), unsafe.Sizeof(r)), b)
	return r, true
}

// XState reads the extended state (x87, SSE, AVX, AMX, PKRU...) in the
// non-compacted format of XSAVE. Preconditions: the thread is stopped.
func (tr Tracing) XState(tid int) ([]byte, error) {
	buf := make([]byte, 1<<15) // AMX makes it 11 KiB today
	iov := unix.Iovec{Base: &buf[0]}
	iov.SetLen(len(buf))
	err := tr.request("PTRACE_GETREGSET NT_X86_XSTATE", unix.PTRACE_GETREGSET, tid, ntX86XState, uintptr(unsafe.Pointer(&iov)))
	return buf[:iov.Len], err
}

// SetXState sets the extended state. Preconditions: the thread is stopped.
func (tr Tracing) SetXState(tid int, b []byte) error {
	if len(b) == 0 {
		return &ThreadError{"PTRACE_SETREGSET NT_X86_XSTATE", tid, unix.EINVAL}
	}
	iov := unix.Iovec{Base: &b[0]}
	iov.SetLen(len(b))
	return tr.request("PTRACE_SETREGSET NT_X86_XSTATE", unix.PTRACE_SETREGSET, tid, ntX86XState, uintptr(unsafe.Pointer(&iov)))
}

// SigMask reads the signal mask. Preconditions: the thread is stopped.
func (tr Tracing) SigMask(tid int) (m uint64, err error) {
	err = tr.request("PTRACE_GETSIGMASK", ptraceGetSigMask, tid, 8, uintptr(unsafe.Pointer(&m)))
	return m, err
}

// SetSigMask sets the signal mask. Preconditions: the thread is stopped.
func (tr Tracing) SetSigMask(tid int, m uint64) error {
	return tr.request("PTRACE_SETSIGMASK", ptraceSetSigMask, tid, 8, uintptr(unsafe.Pointer(&m)))
}

// Pending lists the siginfo_t of the signals pending for the thread or, with
// shared, for its process, without taking them.
func (tr Tracing) Pending(tid int, shared bool) ([][]byte, error) {
	tr.check()
	var out [][]byte
	for {
		args := struct {
			off   uint64
			flags uint32
			nr    int32
		}{off: uint64(len(out)), nr: 16}
		if shared {
			args.flags = peekSiginfoShared
		}
		var buf [16 * SiginfoSize]byte
		n, _, e := unix.RawSyscall6(unix.SYS_PTRACE, ptracePeekSiginfo, uintptr(tid),
			uintptr(unsafe.Pointer(&args)), uintptr(unsafe.Pointer(&buf)), 0, 0)
		if e != 0 {
			return nil, &ThreadError{"PTRACE_PEEKSIGINFO", tid, e}
		}
		for i := range int(n) {
			out = append(out, append([]byte(nil), buf[i*SiginfoSize:(i+1)*SiginfoSize]...))
		}
		if n < 16 {
			return out, nil
		}
	}
}

// RseqConfig is struct ptrace_rseq_configuration.
type RseqConfig struct {
	Address   uint64
	Size      uint32
	Signature uint32
	Flags     uint32
	_         uint32
}

// Rseq reads the thread's registration of rseq(2) (Linux 5.13).
func (tr Tracing) Rseq(tid int) (c RseqConfig, err error) {
	err = tr.request("PTRACE_GET_RSEQ_CONFIGURATION", ptraceGetRseq, tid, unsafe.Sizeof(c), uintptr(unsafe.Pointer(&c)))
	return c, err
}

// RobustList reads the head and length of a thread's list of robust futexes
// by get_robust_list(2), which needs no stop.
func RobustList(tid int) (head, length uint64, err error) {
	_, _, e := unix.RawSyscall(unix.SYS_GET_ROBUST_LIST, uintptr(tid), uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(&length)))
	if e != 0 {
		return 0, 0, &ThreadError{"get_robust_list", tid, e}
	}
	return head, length, nil
}

// eventMsg is the message of a ptrace event: of a clone, the new thread as the
// tracer's pid namespace names it.
func (tr Tracing) eventMsg(tid int) (int, error) {
	var msg uint64
	err := tr.request("PTRACE_GETEVENTMSG", unix.PTRACE_GETEVENTMSG, tid, 0, uintptr(unsafe.Pointer(&msg)))
	return int(msg), err
}
