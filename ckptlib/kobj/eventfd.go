package kobj

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

var eventFDKind = Kind{
	Name:    "eventfd",
	Match:   func(s *Source) bool { return s.Link == "anon_inode:[eventfd]" },
	Capture: captureEventFD,
	Has:     func(f *image.File) bool { return f.EventFD != nil },
	Restore: restoreEventFD,
}

// captureEventFD reads the counter from fdinfo, which has it in hex without a
// prefix: a read of the descriptor would reset it.
func captureEventFD(_ Capturer, s *Source, f *image.File) error {
	count, err := s.Info.Uint("eventfd-count", 16)
	if err != nil {
		return err
	}
	e := image.EventFD{Count: count}
	if v, ok := s.Info.Value("eventfd-semaphore"); ok {
		e.Semaphore = v != "0"
	} else if e.Semaphore, err = probeSemaphore(s.FD, count); err != nil {
		return err
	}
	f.EventFD = &e
	return nil
}

// probeSemaphore finds out about EFD_SEMAPHORE where the kernel (before 6.5)
// does not tell: a read takes 1 from a semaphore and everything from a counter.
// The count is made at least 2 for it, so that the two differ, and put back
// right away. The processes are stopped and see the same count before and
// after; all they can notice is one more edge of an EPOLLET registration.
func probeSemaphore(fd int, count uint64) (bool, error) {
	var added uint64
	if count < 2 {
		added = 2
		if err := eventWrite(fd, added); err != nil {
			return false, err
		}
	}
	got, err := eventRead(fd)
	if err != nil {
		return false, errors.Join(err, takeEvents(fd, added))
	}
	semaphore := got == 1
	if want, left := count, count+added-got; left < want {
		err = eventWrite(fd, want-left)
	} else if left > want {
		err = takeEvents(fd, left-want) // only a semaphore has anything left
	}
	return semaphore, err
}

func takeEvents(fd int, n uint64) error {
	for ; n > 0; n-- {
		if _, err := eventRead(fd); err != nil {
			return err
		}
	}
	return nil
}

func eventRead(fd int) (uint64, error) {
	var b [8]byte
	if _, err := unix.Read(fd, b[:]); err != nil {
		return 0, fmt.Errorf("read eventfd: %w", err)
	}
	return binary.NativeEndian.Uint64(b[:]), nil
}

func eventWrite(fd int, n uint64) error {
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], n)
	if _, err := unix.Write(fd, b[:]); err != nil {
		return fmt.Errorf("write %d to eventfd: %w", n, err)
	}
	return nil
}

// restoreEventFD makes the eventfd empty and writes the counter to it: the
// initial value of eventfd2(2) has 32 bits, the counter 64.
func restoreEventFD(_ *Maker, f *image.File) (int, error) {
	if f.EventFD.Count == math.MaxUint64 {
		return -1, errors.New("the counter has overflowed (2^64-1), which no write can bring about")
	}
	flags := unix.EFD_CLOEXEC | unix.EFD_NONBLOCK
	if f.EventFD.Semaphore {
		flags |= unix.EFD_SEMAPHORE
	}
	fd, err := unix.Eventfd(0, flags)
	if err != nil {
		return -1, fmt.Errorf("eventfd: %w", err)
	}
	if f.EventFD.Count > 0 {
		if err := eventWrite(fd, f.EventFD.Count); err != nil {
			return -1, errors.Join(err, unix.Close(fd))
		}
	}
	return withStatus(fd, nil, f.Flags)
}
