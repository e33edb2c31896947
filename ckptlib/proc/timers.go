package proc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// prTimerCreateRestoreIDs makes timer_create(2) take the id it is given (Linux
// 6.15).
const prTimerCreateRestoreIDs = 77

// maxTimerTries bounds the search for a POSIX timer's id on older kernels, on
// which ids only go up.
const maxTimerTries = 1 << 16

// captureTimers reads interval timers and POSIX timers.
func captureTimers(b *tracer.Batch, t *Task, p *image.Process) error {
	for i := range p.Timers.Interval {
		if err := b.Ask(32, func(_ uint64, out []byte, err error) error {
			if err != nil {
				return fmt.Errorf("getitimer %d: %w", i, err)
			}
			w := words(out) // struct itimerval: interval and value, seconds and microseconds
			it := image.IntervalTimer{Interval: w[0]*1e9 + w[1]*1e3, Value: w[2]*1e9 + w[3]*1e3}
			if it.Value == 0 {
				// It has expired and its SIGALRM is pending: the kernel would arm it again
				// when the signal is taken.
				it.Value = it.Interval
			}
			p.Timers.Interval[i] = it
			return nil
		}, unix.SYS_GETITIMER, uint64(i), tracer.Out); err != nil {
			return err
		}
	}
	var err error
	if p.Timers.POSIX, err = posixTimers(t.PID); err != nil {
		return err
	}
	for i := range p.Timers.POSIX {
		pt := &p.Timers.POSIX[i]
		if pt.Notify&^sigevThreadID == 0 && pt.Notify&sigevThreadID != 0 {
			pt.TID = podTID(t, pt.TID)
		}
		if err := errors.Join(
			b.Ask(32, func(_ uint64, out []byte, err error) error {
				if err != nil {
					return fmt.Errorf("timer_gettime of timer %d: %w", pt.ID, err)
				}
				w := words(out) // struct itimerspec: nanoseconds
				pt.Interval, pt.Value = w[0]*1e9+w[1], w[2]*1e9+w[3]
				return nil
			}, unix.SYS_TIMER_GETTIME, uint64(pt.ID), tracer.Out),
			b.Ask(0, func(ret uint64, _ []byte, err error) error {
				if err != nil {
					return fmt.Errorf("timer_getoverrun of timer %d: %w", pt.ID, err)
				}
				pt.Overrun = int(ret)
				return nil
			}, unix.SYS_TIMER_GETOVERRUN, uint64(pt.ID)),
		); err != nil {
			return err
		}
	}
	return nil
}

func words(b []byte) []int64 {
	w := make([]int64, len(b)/8)
	for i := range w {
		w[i] = int64(binary.LittleEndian.Uint64(b[8*i:]))
	}
	return w
}

// sigevThreadID is SIGEV_THREAD_ID.
const sigevThreadID = 4

// posixTimers parses /proc/PID/timers, which proc(5) describes.
func posixTimers(pid int) (out []image.PosixTimer, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/timers", pid))
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(b) {
		key, val, _ := strings.Cut(strings.TrimSpace(string(line)), ": ")
		if key == "ID" {
			out = append(out, image.PosixTimer{})
		}
		if len(out) == 0 {
			continue
		}
		t := &out[len(out)-1]
		switch key {
		case "ID":
			t.ID, err = strconv.Atoi(val)
		case "signal":
			sig, value, _ := strings.Cut(val, "/")
			t.Signal, _ = strconv.Atoi(sig)
			t.SigValue, err = strconv.ParseUint(value, 16, 64)
		case "notify":
			// "signal/pid.12", "none/pid.12", "signal/tid.13"
			how, who, _ := strings.Cut(val, "/")
			kind, id, _ := strings.Cut(who, ".")
			t.Notify = map[string]int{"signal": 0, "none": 1, "thread": 2}[how]
			if kind == "tid" {
				t.Notify |= sigevThreadID
				t.TID, err = strconv.Atoi(id)
			}
		case "ClockID":
			t.Clock, err = strconv.Atoi(val)
		}
		if err != nil {
			return nil, fmt.Errorf("parse /proc/%d/timers: line %q: %w", pid, line, err)
		}
	}
	return out, nil
}

// podTID translates a thread id that /proc gives to the pod's.
func podTID(t *Task, tid int) int {
	for _, host := range t.TIDs {
		if host == tid {
			if st, err := readStatus(t.PID, tid); err == nil {
				return st.PodPID
			}
		}
	}
	return tid
}

// makeTimers creates the POSIX timers with their ids, not armed. All threads
// of the process exist.
func makeTimers(r *tracer.Remote, p *image.Process) error {
	if len(p.Timers.POSIX) == 0 {
		return nil
	}
	_, err := r.Syscall(unix.SYS_PRCTL, prTimerCreateRestoreIDs, 1)
	exact := err == nil
	// Without that ids only go up, and the kernel lists the newest timer first.
	timers := slices.SortedFunc(slices.Values(p.Timers.POSIX), func(a, b image.PosixTimer) int { return a.ID - b.ID })
	for _, t := range timers {
		if err := makeTimer(r, t, exact); err != nil {
			return err
		}
	}
	if exact {
		_, err = r.Syscall(unix.SYS_PRCTL, prTimerCreateRestoreIDs, 0)
		return err
	}
	return nil
}

func makeTimer(r *tracer.Remote, t image.PosixTimer, exact bool) error {
	// struct sigevent: value, signal, notify, thread id; 64 bytes. The id follows.
	const idOffset = 64
	ev := make([]byte, idOffset, idOffset+4)
	le := binary.LittleEndian
	le.PutUint64(ev, t.SigValue)
	le.PutUint32(ev[8:], uint32(t.Signal))
	le.PutUint32(ev[12:], uint32(t.Notify))
	le.PutUint32(ev[16:], uint32(t.TID))
	for range maxTimerTries {
		addr, err := r.Put(0, le.AppendUint32(ev, uint32(t.ID)))
		if err != nil {
			return err
		}
		if _, err := r.Syscall(unix.SYS_TIMER_CREATE, uint64(t.Clock), addr, addr+idOffset); err != nil {
			return fmt.Errorf("make POSIX timer %d: %w", t.ID, err)
		}
		var id [4]byte
		if err := r.Get(idOffset, id[:]); err != nil {
			return err
		}
		got := int(int32(le.Uint32(id[:])))
		if got == t.ID {
			return nil
		}
		if _, err := r.Syscall(unix.SYS_TIMER_DELETE, uint64(got)); err != nil {
			return err
		}
		if exact || got > t.ID {
			break
		}
	}
	return fmt.Errorf("make POSIX timer %d: the kernel does not give it this id", t.ID)
}

// armTimers starts the timers. It is the last thing before a process runs: the
// times are relative.
func armTimers(r *tracer.Remote, p *image.Process) error {
	for i, t := range p.Timers.Interval {
		if t == (image.IntervalTimer{}) {
			continue
		}
		addr, err := r.PutWords(0, uint64(t.Interval/1e9), uint64(t.Interval%1e9/1e3), uint64(t.Value/1e9), uint64(t.Value%1e9/1e3))
		if err != nil {
			return err
		}
		if _, err := r.Syscall(unix.SYS_SETITIMER, uint64(i), addr, 0); err != nil {
			return fmt.Errorf("arm interval timer %d: %w", i, err)
		}
	}
	for _, t := range p.Timers.POSIX {
		if t.Value == 0 {
			continue
		}
		addr, err := r.PutWords(0, uint64(t.Interval/1e9), uint64(t.Interval%1e9), uint64(t.Value/1e9), uint64(t.Value%1e9))
		if err != nil {
			return err
		}
		if _, err := r.Syscall(unix.SYS_TIMER_SETTIME, uint64(t.ID), 0, addr, 0); err != nil {
			return fmt.Errorf("arm POSIX timer %d: %w", t.ID, err)
		}
	}
	return nil
}
