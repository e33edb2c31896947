package tracer

import (
	"encoding/binary"
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
