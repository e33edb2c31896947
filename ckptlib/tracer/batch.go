package tracer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// batchSize is the memory behind the scratch memory in which a batch lies: its
// calls, and after them the code.
const (
	batchSize  = 8 << 10
	batchCalls = (batchSize - 128) / callSize
	callSize   = 64 // number, six arguments, result
)

// batchCode makes the calls of a table at rbx, ebp of them. The kernel leaves all
// registers alone but rax, rcx and r11.
//
//	loop: mov rax, [rbx]; mov rdi, [rbx+8]; mov rsi, [rbx+16]; mov rdx, [rbx+24]
//	      mov r10, [rbx+32]; mov r8, [rbx+40]; mov r9, [rbx+48]
//	      syscall
//	      mov [rbx+56], rax
//	      add rbx, 64
//	      dec ebp
//	      jnz loop
//	      int3
var batchCode = []byte{
	0x48, 0x8b, 0x03, 0x48, 0x8b, 0x7b, 0x08, 0x48, 0x8b, 0x73, 0x10, 0x48, 0x8b, 0x53, 0x18,
	0x4c, 0x8b, 0x53, 0x20, 0x4c, 0x8b, 0x43, 0x28, 0x4c, 0x8b, 0x4b, 0x30,
	0x0f, 0x05,
	0x48, 0x89, 0x43, 0x38,
	0x48, 0x83, 0xc3, 0x40,
	0xff, 0xcd,
	0x75, 0xd7,
	0xcc,
}

// Out stands in a Batch's arguments for the address of the call's answer.
const Out = ^uint64(0) - 0x07

// A Batch is system calls that a thread makes without stopping in between: a
// call by itself takes two stops, for each of which the thread must get a
// processor. No Syscall or Put may come between Ask and Run.
type Batch struct {
	r     *Remote
	calls []ask
	used  int // of the scratch memory
}

type ask struct {
	nr   uint64
	args [6]uint64
	at   int // of the answer in the scratch memory
	size int
	then func(ret uint64, out []byte, err error) error
}

// Batch begins a batch. Preconditions: the Remote has scratch memory.
func (r *Remote) Batch() *Batch { return &Batch{r: r} }

// Ask adds a call. then, if not nil, is called by Run with its result and size
// bytes of answer, which the call was told to put at Out. A batch that is full is
// run first.
//
// Preconditions: size is at most ScratchSize.
func (b *Batch) Ask(size int, then func(ret uint64, out []byte, err error) error, nr uint64, args ...uint64) error {
	size = (size + 7) &^ 7
	if len(b.calls) == batchCalls || b.used+size > ScratchSize {
		if err := b.Run(); err != nil {
			return err
		}
	}
	a := ask{nr: nr, at: b.used, size: size, then: then}
	copy(a.args[:], args)
	for i := range a.args {
		if a.args[i] == Out {
			a.args[i] = b.r.scratch + uint64(a.at)
		}
	}
	b.used += size
	b.calls = append(b.calls, a)
	return nil
}

// Run makes the calls and hands on what they have returned, in order. The first
// error of the thread or of a then ends it.
func (b *Batch) Run() error {
	calls, used := b.calls, b.used
	b.calls, b.used = nil, 0
	if len(calls) == 0 {
		return nil
	}
	results, err := b.r.make(calls)
	if err != nil {
		return err
	}
	out := make([]byte, used)
	if err := b.r.Get(0, out); err != nil {
		return err
	}
	for i, a := range calls {
		if a.then == nil {
			continue
		}
		var failed error
		if e := -int64(results[i]); e > 0 && e < 4096 {
			failed = unix.Errno(e)
		}
		if err := a.then(results[i], out[a.at:a.at+a.size], failed); err != nil {
			return err
		}
	}
	return nil
}

// make makes calls, one by one if it has to.
func (r *Remote) make(calls []ask) ([]uint64, error) {
	results := make([]uint64, len(calls))
	if r.batch {
		return results, r.run(calls, results)
	}
	for i, a := range calls {
		ret, err := r.Syscall(a.nr, a.args[:]...)
		var errno unix.Errno
		if err != nil && !errors.As(err, &errno) {
			return nil, err
		}
		results[i] = ret
	}
	return results, nil
}

// run has the code make all of them.
func (r *Remote) run(calls []ask, results []uint64) error {
	le := binary.LittleEndian
	b := make([]byte, 0, batchSize)
	for _, a := range calls {
		b = le.AppendUint64(b, a.nr)
		for _, arg := range a.args {
			b = le.AppendUint64(b, arg)
		}
		b = le.AppendUint64(b, 0)
	}
	table := r.scratch + ScratchSize
	code := table + uint64(len(b))
	if err := WriteMemory(r.TID, Addr(table), append(b, batchCode...)); err != nil {
		return err
	}
	regs := r.saved
	regs.Rip, regs.Rbx, regs.Rbp = code, table, uint64(len(calls))
	regs.Orig_rax = ^uint64(0) // as in call
	if err := r.tr.SetRegs(r.TID, &regs); err != nil {
		return err
	}
	// The breakpoint's SIGTRAP loses its handler where it is blocked.
	if err := r.tr.SetSigMask(r.TID, ^sigtrap); err != nil {
		return err
	}
	if err := r.untilTrap(); err != nil {
		return fmt.Errorf("make %d system calls: %w", len(calls), err)
	}
	if err := r.tr.SetSigMask(r.TID, ^uint64(0)); err != nil {
		return err
	}
	done := b[:len(calls)*callSize]
	if err := ReadMemory(r.TID, Addr(table), done); err != nil {
		return err
	}
	for i := range results {
		results[i] = le.Uint64(done[i*callSize+callSize-8:])
	}
	return nil
}

// untilTrap lets the thread run up to the breakpoint.
func (r *Remote) untilTrap() error {
	for deadline := time.Now().Add(syscallTimeout); ; {
		if err := r.tr.Cont(r.TID, 0); err != nil {
			return err
		}
		ws, err := r.tr.wait(r.TID, deadline)
		if err != nil {
			return err
		}
		switch {
		case !ws.Stopped():
			return &ThreadError{"PTRACE_CONT", r.TID, unix.ESRCH}
		case int(ws)>>16 == 0 && ws.StopSignal() == unix.SIGTRAP:
			return nil
		case int(ws)>>16 == 0 && ws.StopSignal() != unix.SIGSTOP:
			return &ThreadError{"PTRACE_CONT", r.TID, fmt.Errorf("stopped by %v", ws.StopSignal())}
		}
	}
}

// sigtrap is SIGTRAP in a set of signals.
const sigtrap = uint64(1) << (unix.SIGTRAP - 1)

// needsSIGTRAP tells whether a thread's SIGTRAP must be left alone: it is pending,
// and would take the breakpoint's place, or ignored, which a breakpoint ends
// (kernel/signal.c, force_sig_info_to_task).
func (tr Tracing) needsSIGTRAP(tid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
	if err != nil {
		return true
	}
	for line := range strings.Lines(string(b)) {
		key, val, _ := strings.Cut(line, ":")
		switch key {
		case "SigPnd", "ShdPnd", "SigIgn":
			set, err := strconv.ParseUint(strings.TrimSpace(val), 16, 64)
			if err != nil || set&sigtrap != 0 {
				return true
			}
		}
	}
	return false
}
