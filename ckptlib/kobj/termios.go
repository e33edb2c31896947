package kobj

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// termios2 is struct termios2: unlike struct termios it has any line speed.
type termios2 struct {
	Iflag, Oflag, Cflag, Lflag uint32
	Line                       uint8
	CC                         [19]uint8
	Ispeed, Ospeed             uint32
}

func (t termios2) bytes() []byte {
	return append([]byte(nil), unsafe.Slice((*byte)(unsafe.Pointer(&t)), unsafe.Sizeof(t))...)
}

func termiosOf(b []byte) (termios2, error) {
	var t termios2
	if len(b) != int(unsafe.Sizeof(t)) {
		return t, fmt.Errorf("the settings of a terminal have %d bytes, not %d: the image is damaged", len(b), unsafe.Sizeof(t))
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&t)), unsafe.Sizeof(t)), b)
	return t, nil
}

func getTermios(fd int) (termios2, error) {
	var t termios2
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TCGETS2, uintptr(unsafe.Pointer(&t))); e != 0 {
		return t, e
	}
	return t, nil
}

// setTermios sets at once (TCSETS2), without waiting for output that nobody
// reads while all are stopped.
func setTermios(fd int, t termios2) error {
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TCSETS2, uintptr(unsafe.Pointer(&t))); e != 0 {
		return e
	}
	return nil
}

// ttyFlag gets one of a terminal's yes-or-no settings.
func ttyFlag(fd int, request uint) (bool, error) {
	n, err := unix.IoctlGetInt(fd, request)
	if err != nil {
		return false, fmt.Errorf("ioctl %#x of a terminal: %w", request, err)
	}
	return n != 0, nil
}

// polled returns which of events is there, after at most so many milliseconds.
func polled(fd int, events int16, ms int) int16 {
	p := []unix.PollFd{{Fd: int32(fd), Events: events}}
	for {
		n, err := unix.Poll(p, ms)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return 0
		}
		return p[0].Revents
	}
}
