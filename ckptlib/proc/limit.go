package proc

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/internal/linux"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// eintr are the calls that answer EINTR to a tracer's stop alone, where a
// signal that is not delivered would not have been noticed (signal(7), "never
// restarted"), and where each has its time limit. They are made again.
var eintr = map[uint64]limitReader{
	unix.SYS_EPOLL_WAIT: milliseconds, unix.SYS_EPOLL_PWAIT: milliseconds,
	unix.SYS_EPOLL_PWAIT2:    timespec(func(r *tracer.Regs) uint64 { return r.R10 }),
	unix.SYS_SEMTIMEDOP:      timespec(func(r *tracer.Regs) uint64 { return r.R10 }),
	unix.SYS_RT_SIGTIMEDWAIT: timespec(func(r *tracer.Regs) uint64 { return r.Rdx }),
	unix.SYS_IO_GETEVENTS:    timespec(func(r *tracer.Regs) uint64 { return r.R8 }),
	// Of sockets only, and nothing has been moved yet.
	unix.SYS_RECVFROM: received, unix.SYS_RECVMSG: received, unix.SYS_RECVMMSG: received, unix.SYS_READ: received, unix.SYS_READV: received,
	unix.SYS_ACCEPT: received, unix.SYS_ACCEPT4: received,
	unix.SYS_SENDTO: sent, unix.SYS_SENDMSG: sent, unix.SYS_WRITE: sent, unix.SYS_WRITEV: sent,
	// Without a limit, or the kernel keeps the time itself.
	unix.SYS_SEMOP: unlimited, unix.SYS_MSGRCV: unlimited, unix.SYS_MSGSND: unlimited,
	unix.SYS_FUTEX: unlimited, unix.SYS_SELECT: unlimited, unix.SYS_PSELECT6: unlimited, unix.SYS_POLL: unlimited, unix.SYS_PPOLL: unlimited,
}

// A limitReader tells the time limit of a call, 0 if it has none. A limit that
// cannot be read is none: the kernel sees to it.
type limitReader func(tid int, r *tracer.Regs) time.Duration

func unlimited(int, *tracer.Regs) time.Duration { return 0 }

func milliseconds(_ int, r *tracer.Regs) time.Duration {
	return time.Duration(max(int32(r.R10), 0)) * time.Millisecond
}

func timespec(at func(*tracer.Regs) uint64) limitReader {
	return func(tid int, r *tracer.Regs) time.Duration {
		var b [16]byte
		if at(r) == 0 || tracer.ReadMemory(tid, tracer.Addr(at(r)), b[:]) != nil {
			return 0
		}
		return duration(int64(binary.LittleEndian.Uint64(b[:])), int64(binary.LittleEndian.Uint64(b[8:])))
	}
}

func duration(sec, nsec int64) time.Duration {
	if sec < 0 || sec > 1<<32 {
		return 0 // more than a century
	}
	return time.Duration(sec)*time.Second + time.Duration(nsec)
}

func received(tid int, r *tracer.Regs) time.Duration {
	return socketLimit(tid, int(r.Rdi), unix.SO_RCVTIMEO)
}

func sent(tid int, r *tracer.Regs) time.Duration {
	return socketLimit(tid, int(r.Rdi), unix.SO_SNDTIMEO)
}

func socketLimit(tid, num, option int) time.Duration {
	fd, err := linux.GetFD(tid, num)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	tv, err := unix.GetsockoptTimeval(fd, unix.SOL_SOCKET, option)
	if err != nil {
		return 0
	}
	return duration(tv.Sec, tv.Usec*1000)
}

// A limited is a wait with a time limit that is made again: the kernel begins its
// time anew, and with checkpoints that come more often than that it would never
// end. So its time is kept here.
//
// By the registers it looks like the next wait of a program that waits in a loop.
// What tells them apart is a mark in the upper half of rax. The kernel reads the
// lower half only (since Linux 5.14), but keeps all of it in orig_rax; to the
// program the register is dead until the call writes its answer there.
type limited struct {
	mark  uint64
	since time.Time // the first interruption: before it the kernel kept the time
	limit time.Duration
}

// callOf is the number of the call that a thread is in.
func callOf(r *tracer.Regs) uint64 { return uint64(uint32(r.Orig_rax)) }

// maxMark keeps orig_rax positive, which is how a thread is told that is in no
// call.
const maxMark = 1<<31 - 1

// limit returns the mark with which a call is to be made again, 0 for one without
// a limit, and whether its time is over instead.
func (w *Waits) limit(tid int, r *tracer.Regs) (mark uint64, over bool) {
	if l, ok := w.limits[tid]; ok && l.mark == r.Orig_rax>>32 {
		return l.mark, time.Since(l.since) >= l.limit
	}
	delete(w.limits, tid)
	limit := eintr[callOf(r)](tid, r)
	if limit == 0 {
		return 0, false
	}
	w.marks = w.marks%maxMark + 1
	if w.limits == nil {
		w.limits = map[int]limited{}
	}
	w.limits[tid] = limited{w.marks, time.Now(), limit}
	return w.marks, false
}

// timedOut is what a call answers whose time is over.
func timedOut(call uint64) uint64 {
	switch call {
	case unix.SYS_EPOLL_WAIT, unix.SYS_EPOLL_PWAIT, unix.SYS_EPOLL_PWAIT2, unix.SYS_IO_GETEVENTS:
		return 0
	}
	again := -int64(unix.EAGAIN)
	return uint64(again)
}

// forget drops what is known of threads that are not there any more.
func (w *Waits) forget(there map[int]bool) {
	for tid := range w.calls {
		if !there[tid] {
			delete(w.calls, tid)
		}
	}
	for tid := range w.limits {
		if !there[tid] {
			delete(w.limits, tid)
		}
	}
}
