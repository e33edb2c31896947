package tracer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Addr is an address in another process.
type Addr uint64

// ScratchSize is the size in bytes of a Remote's scratch memory. MapScratch maps
// RoomSize: behind it is room for the calls of a Batch.
const (
	ScratchSize = 64 << 10
	RoomSize    = ScratchSize + batchSize
)

// A Remote makes system calls in one stopped thread. It exists between Enter
// and Leave, inside of Do.
type Remote struct {
	tr      Tracing
	TID     int
	saved   Regs
	mask    uint64
	gadget  uint64
	scratch uint64
	child   int
	stops   int  // at the ends of the call under way, of two
	batch   bool // the scratch memory can be executed, and SIGTRAP harms nothing
}

// Enter prepares a stopped thread for system calls: its registers and signal
// mask are kept, all signals are blocked, and scratch memory is mapped in its
// process. Leave puts all of it back.
//
// Preconditions: the thread is in a ptrace stop; vdso is where its process has
// the vdso.
func (tr Tracing) Enter(tid int, vdso Addr) (*Remote, error) {
	r, err := tr.EnterBare(tid, vdso)
	if err != nil {
		return nil, err
	}
	if err := r.MapScratch(0); err != nil {
		return nil, errors.Join(err, r.restore())
	}
	return r, nil
}

// MapScratch maps scratch memory of the Remote's own, at an address where nothing
// is, or anywhere if that is 0.
func (r *Remote) MapScratch(at Addr) error {
	flags := uint64(unix.MAP_PRIVATE | unix.MAP_ANONYMOUS)
	if at != 0 {
		flags |= unix.MAP_FIXED_NOREPLACE
	}
	// A program or a host may forbid memory that is writable and executable.
	var err error
	for _, prot := range []uint64{unix.PROT_READ | unix.PROT_WRITE | unix.PROT_EXEC, unix.PROT_READ | unix.PROT_WRITE} {
		var addr uint64
		if addr, err = r.Syscall(unix.SYS_MMAP, uint64(at), RoomSize, prot, flags, ^uint64(0), 0); err == nil {
			r.scratch, r.batch = addr, prot&unix.PROT_EXEC != 0 && !r.tr.needsSIGTRAP(r.TID)
			return nil
		}
	}
	return fmt.Errorf("map scratch memory in thread %d: %w", r.TID, err)
}

// EnterBare is Enter without scratch memory: only calls that take no pointers
// can be made until UseScratch. Preconditions: as of Enter.
func (tr Tracing) EnterBare(tid int, vdso Addr) (*Remote, error) {
	off, err := gadgetOffset()
	if err != nil {
		return nil, err
	}
	r := &Remote{tr: tr, TID: tid, gadget: uint64(vdso) + off}
	if r.saved, err = tr.Regs(tid); err != nil {
		return nil, err
	}
	if r.mask, err = tr.SigMask(tid); err != nil {
		return nil, err
	}
	return r, tr.SetSigMask(tid, ^uint64(0))
}

// UseScratch gives the Remote memory that is already mapped, ScratchSize
// bytes, readable and writable. Leave does not unmap it.
func (r *Remote) UseScratch(a Addr) { r.scratch = uint64(a) }

// Join has the Remote go on in the memory of another one, whose process or thread
// has the same: it was made before that was rebuilt. LeaveBare leaves it there.
//
// Preconditions: both are stubs, with the dispositions that they were born with.
func (r *Remote) Join(of *Remote) { r.gadget, r.scratch, r.batch = of.gadget, of.scratch, of.batch }

// ShareScratch gives the Remote the scratch memory of another thread of its
// process, which was entered with it. LeaveBare leaves it there.
func (r *Remote) ShareScratch(of *Remote) {
	r.scratch, r.batch = of.scratch, of.batch && !r.tr.needsSIGTRAP(r.TID)
}

// Scratch is the address of the scratch memory.
func (r *Remote) Scratch() Addr { return Addr(r.scratch) }

// MoveGadget tells the Remote that the vdso has moved.
func (r *Remote) MoveGadget(vdso Addr) error {
	off, err := gadgetOffset()
	r.gadget = uint64(vdso) + off
	return err
}

// Saved are the registers that Leave will put back; a caller may change them.
func (r *Remote) Saved() *Regs { return &r.saved }

// SetMask changes the signal mask that Leave will set.
func (r *Remote) SetMask(m uint64) { r.mask = m }

// Leave unmaps the scratch memory that Enter mapped and puts registers and
// signal mask back. The thread stays stopped.
func (r *Remote) Leave() error {
	var err error
	if r.scratch != 0 {
		_, err = r.Syscall(unix.SYS_MUNMAP, r.scratch, RoomSize)
	}
	return errors.Join(err, r.restore())
}

// LeaveBare is Leave for a Remote whose scratch memory is somebody else's.
func (r *Remote) LeaveBare() error { return r.restore() }

// LeaveToExit makes the thread ready to end itself, as exit(2) does, when it is
// let go. The other threads of its process run on.
func (r *Remote) LeaveToExit(status int) error {
	regs := r.call(unix.SYS_EXIT, []uint64{uint64(status)})
	return r.tr.SetRegs(r.TID, &regs)
}

func (r *Remote) restore() error {
	return errors.Join(r.tr.SetRegs(r.TID, &r.saved), r.tr.SetSigMask(r.TID, r.mask))
}

// Child is the thread or process that the last Syscall made, as the tracer sees
// it; 0 if none. It is traced with its parent's options and about to stop.
func (r *Remote) Child() int { return r.child }

// syscallTimeout bounds one injected call. None of them waits for anything but
// memory and disks.
const syscallTimeout = 60 * time.Second

// Syscall makes one system call in the thread and returns its result, or an
// unix.Errno. It must not be one that blocks.
func (r *Remote) Syscall(nr uint64, args ...uint64) (uint64, error) {
	regs := r.call(nr, args)
	if err := r.tr.SetRegs(r.TID, &regs); err != nil {
		return 0, err
	}
	r.child = 0
	if err := r.step(); err != nil {
		return 0, fmt.Errorf("system call %d: %w", nr, err)
	}
	return r.result()
}

// call is the registers with which a thread makes a system call.
func (r *Remote) call(nr uint64, args []uint64) Regs {
	var a [6]uint64
	copy(a[:], args)
	regs := r.saved
	regs.Rip = r.gadget
	regs.Rax = nr
	// Else the kernel would take the thread for one inside a system call to be
	// restarted and move rip back.
	regs.Orig_rax = ^uint64(0)
	regs.Rdi, regs.Rsi, regs.Rdx, regs.R10, regs.R8, regs.R9 = a[0], a[1], a[2], a[3], a[4], a[5]
	return regs
}

// result is what the call that was stepped over has returned.
func (r *Remote) result() (uint64, error) {
	out, err := r.tr.Regs(r.TID)
	if err != nil {
		return 0, err
	}
	if e := -int64(out.Rax); e > 0 && e < 4096 {
		return out.Rax, unix.Errno(e)
	}
	return out.Rax, nil
}

// step runs one instruction, a system call, to its end. The kernel stops the
// thread before and after the call. To single-step it would be one stop only, but
// end in SIGTRAP, which as it is blocked would lose its handler; and when a
// tracer dies the kernel would go on stepping what it had stepped.
func (r *Remote) step() error {
	r.stops = 0
	if err := r.goOn(); err != nil {
		return err
	}
	return r.finishStep(2, time.Now().Add(syscallTimeout))
}

func (r *Remote) goOn() error {
	return r.tr.request("PTRACE_SYSCALL", unix.PTRACE_SYSCALL, r.TID, 0, 0)
}

// finishStep waits for the first or second of a call's stops.
func (r *Remote) finishStep(stops int, deadline time.Time) error {
	for {
		ws, err := r.tr.wait(r.TID, deadline)
		if err != nil {
			return err
		}
		if !ws.Stopped() {
			return &ThreadError{"PTRACE_SYSCALL", r.TID, unix.ESRCH}
		}
		switch event := int(ws) >> 16; {
		case event == 0 && ws.StopSignal() == unix.SIGTRAP:
			if r.stops++; r.stops == stops {
				return nil
			}
		case event == unix.PTRACE_EVENT_CLONE, event == unix.PTRACE_EVENT_FORK, event == unix.PTRACE_EVENT_VFORK:
			// The stop inside of clone.
			child, err := r.tr.eventMsg(r.TID)
			if err != nil {
				return err
			}
			r.child = child
		case event == ptraceEventStopVal:
			// A group stop or a second interrupt: on.
		default:
			// All signals are blocked: this is SIGSTOP, or a fault of the
			// kernel's making, which ends the attempt.
			if ws.StopSignal() != unix.SIGSTOP {
				return &ThreadError{"PTRACE_SYSCALL", r.TID, fmt.Errorf("stopped by %v", ws.StopSignal())}
			}
		}
		if err := r.goOn(); err != nil {
			return err
		}
	}
}

// Put copies b to offset off of the scratch memory and returns its address
// there. Preconditions: off+len(b) <= ScratchSize.
func (r *Remote) Put(off int, b []byte) (uint64, error) {
	if off+len(b) > ScratchSize {
		return 0, fmt.Errorf("put %d bytes at %d: the scratch memory has %d", len(b), off, ScratchSize)
	}
	return r.scratch + uint64(off), WriteMemory(r.TID, Addr(r.scratch+uint64(off)), b)
}

// PutWords is Put of 64-bit words.
func (r *Remote) PutWords(off int, w ...uint64) (uint64, error) { return r.Put(off, Words(w...)) }

// Words are 64-bit words as they lie in memory.
func Words(w ...uint64) []byte {
	b := make([]byte, 0, 8*len(w))
	for _, v := range w {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

// Get copies len(b) bytes at offset off of the scratch memory.
func (r *Remote) Get(off int, b []byte) error {
	return ReadMemory(r.TID, Addr(r.scratch+uint64(off)), b)
}

// gadgetOffset finds a syscall instruction in the vdso of this process; all
// processes of a kernel have the same one.
var gadgetOffset = sync.OnceValues(func() (uint64, error) {
	vdso, err := ownVDSO()
	if err != nil {
		return 0, err
	}
	if i := bytes.Index(vdso, []byte{0x0f, 0x05}); i >= 0 {
		return uint64(i), nil
	}
	return 0, errors.New("the kernel's vdso has no syscall instruction")
})

// SetThreadMask sets only the signal mask that Leave would set, for a thread
// whose registers are no longer those of Enter because it has executed a
// program.
func (r *Remote) SetThreadMask() error { return r.tr.SetSigMask(r.TID, r.mask) }

// Mask is the signal mask that the thread had at Enter.
func (r *Remote) Mask() uint64 { return r.mask }
