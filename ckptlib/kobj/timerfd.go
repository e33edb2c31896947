package kobj

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

var timerFDKind = Kind{
	Name:    "timerfd",
	Match:   func(s *Source) bool { return s.Link == "anon_inode:[timerfd]" },
	Capture: captureTimerFD,
	Has:     func(f *image.File) bool { return f.TimerFD != nil },
	Restore: restoreTimerFD,
	Settle:  settleTimerFD,
}

// tfdSetTicks is TFD_IOC_SET_TICKS, _IOW('T', 0, u64).
const tfdSetTicks = 0x40085400

// timerLooks is how often a timer that is found expired is asked again.
const timerLooks = 10

// captureTimerFD reads everything from fdinfo. The time left is told there
// relative to now, whatever the clock and however the timer was set, so that
// no offset of a time namespace comes into it.
func captureTimerFD(_ Capturer, s *Source, f *image.File) error {
	t, err := parseTimerFD(s.Info)
	if err != nil {
		return err
	}
	for try := 0; t.Interval > 0 && t.Value == 0 && try < timerLooks; try++ {
		// A periodic timer that has expired stands still until somebody looks:
		// then the kernel counts the ticks that it missed and lets it run on. With a
		// short interval it may have expired again before it is asked.
		var now unix.ItimerSpec
		if err := unix.TimerfdGettime(s.FD, &now); err != nil {
			return fmt.Errorf("timerfd_gettime: %w", err)
		}
		if err := s.refresh(); err != nil {
			return err
		}
		if t, err = parseTimerFD(s.Info); err != nil {
			return err
		}
	}
	if t.Interval > 0 && t.Value == 0 {
		t.Value = t.Interval // its last time is in the ticks; 0 would disarm it
	}
	if t.Value > 0 && t.Flags&unix.TFD_TIMER_ABSTIME != 0 && wallClock(t.Clock) {
		t.Expires = time.Now().UnixNano() + t.Value
	}
	f.TimerFD = &t
	return nil
}

func parseTimerFD(i FDInfo) (image.TimerFD, error) {
	var t image.TimerFD
	clock, err1 := i.Uint("clockid", 10)
	ticks, err2 := i.Uint("ticks", 10)
	flags, err3 := i.Uint("settime flags", 8)
	value, err4 := pairOf(i, "it_value")
	interval, err5 := pairOf(i, "it_interval")
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return t, err
	}
	return image.TimerFD{Clock: int(clock), Ticks: ticks, Flags: int(flags), Value: value, Interval: interval}, nil
}

// pairOf parses "(seconds, nanoseconds)".
func pairOf(i FDInfo, key string) (int64, error) {
	v, ok := i.Value(key)
	if !ok {
		return 0, fmt.Errorf("fdinfo has no line %q", key)
	}
	var sec, nsec int64
	if _, err := fmt.Sscanf(strings.ReplaceAll(v, " ", ""), "(%d,%d)", &sec, &nsec); err != nil {
		return 0, fmt.Errorf("parse %q of fdinfo: %w", key, err)
	}
	return sec*int64(time.Second) + nsec, nil
}

// wallClock tells the clocks whose absolute times mean the same after a restart
// however much later that is. The others go on in the pod from where they were.
func wallClock(clock int) bool {
	return clock == unix.CLOCK_REALTIME || clock == unix.CLOCK_REALTIME_ALARM
}

// restoreTimerFD makes the timer but does not arm it: that is Settle's, because
// no time passes for the job before it runs.
func restoreTimerFD(_ *Maker, f *image.File) (int, error) {
	fd, err := unix.TimerfdCreate(f.TimerFD.Clock, unix.TFD_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("timerfd_create of clock %d: %w", f.TimerFD.Clock, err)
	}
	return withStatus(fd, nil, f.Flags)
}

func settleTimerFD(m *Maker, f *image.File) error {
	fd, err := m.File(f.ID)
	if err != nil {
		return err
	}
	t := f.TimerFD
	spec := unix.ItimerSpec{Interval: unix.NsecToTimespec(t.Interval), Value: unix.NsecToTimespec(t.Value)}
	flags := t.Flags & (unix.TFD_TIMER_ABSTIME | unix.TFD_TIMER_CANCEL_ON_SET)
	switch {
	case t.Value == 0:
		// Disarmed, or a one-shot timer that has expired: only the ticks are left.
		flags = 0
	case flags&unix.TFD_TIMER_ABSTIME != 0 && t.Expires != 0:
		spec.Value = unix.NsecToTimespec(t.Expires)
	case flags&unix.TFD_TIMER_ABSTIME != 0:
		// Absolute in the clock of this process: the kernel converts from the
		// caller's time namespace, which is not the pod's.
		var now unix.Timespec
		if err := unix.ClockGettime(int32(t.Clock), &now); err != nil {
			return fmt.Errorf("read clock %d: %w", t.Clock, err)
		}
		spec.Value = unix.NsecToTimespec(now.Nano() + t.Value)
	}
	if t.Value != 0 {
		if err := unix.TimerfdSettime(fd, flags, &spec, nil); err != nil {
			return fmt.Errorf("timerfd_settime: %w", err)
		}
	}
	if t.Ticks == 0 {
		return nil
	}
	ticks := t.Ticks
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), tfdSetTicks, uintptr(unsafe.Pointer(&ticks))); e != 0 {
		m.Warn("a timer had expired %d times unread, which this kernel does not let us tell it (CONFIG_CHECKPOINT_RESTORE): %v", ticks, e)
	}
	return nil
}
