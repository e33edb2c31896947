package conn

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/internal/linux"
)

// buffers are the options that set a socket's buffers, with their bits of SO_BUF_LOCK.
var buffers = [2]struct{ option, bit int }{{unix.SO_SNDBUF, linux.SndBufLock}, {unix.SO_RCVBUF, linux.RcvBufLock}}

// wide is more than any host allows: the kernel cuts it to net.core.wmem_max and rmem_max.
const wide = 1 << 29

// widen makes buffers larger that their program has set, until narrow. Where a receive
// buffer is smaller than two segments of a sender (64 KiB on loopback) the sender waits for its
// persist timer, 200 ms, before each windowful. And after a restart, or if it was set while
// it was in use, a buffer may hold more than fits into it a second time.
func (e *drain) widen(id ID) error {
	if e.narrowed != [2]int{} {
		return nil
	}
	lock, err := unix.GetsockoptInt(e.fd, unix.SOL_SOCKET, linux.SOBufLock)
	if err != nil {
		return nil // the kernel does not tell
	}
	for i, b := range buffers {
		if lock&b.bit == 0 {
			continue
		}
		was, err := unix.GetsockoptInt(e.fd, unix.SOL_SOCKET, b.option)
		if err == nil {
			err = unix.SetsockoptInt(e.fd, unix.SOL_SOCKET, b.option, wide)
		}
		if err != nil {
			return fmt.Errorf("connection %s: widen its buffers: %w", id, err)
		}
		e.narrowed[i] = was
	}
	return nil
}

// Narrow gives buffers the sizes that their programs have set. Read and Settle
// leave them larger, for Exchange and Refill; it is to be called before the options of
// the sockets are looked at, and before the job runs on.
func (d *Drainer) Narrow() error {
	for id, e := range d.ends {
		for i, was := range e.narrowed {
			if was == 0 {
				continue
			}
			// The kernel doubles what is set.
			if err := unix.SetsockoptInt(e.fd, unix.SOL_SOCKET, buffers[i].option, was/2); err != nil {
				return fmt.Errorf("connection %s: set its buffers back to %v bytes: %w", id, e.narrowed, err)
			}
			e.narrowed[i] = 0
		}
	}
	return nil
}
