package conn

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// soBufLock is SO_BUF_LOCK (Linux 5.14), and rcvBufLock its bit for a receive buffer
// whose size the program has set.
const (
	soBufLock  = 72
	rcvBufLock = 2
)

// wide is more than any host allows: the kernel cuts it to net.core.rmem_max.
const wide = 1 << 29

// widen makes a receive buffer larger that its program has set and that therefore does not
// grow, until narrow. Where it is smaller than two segments of a sender (64 KiB on
// loopback) the sender waits for its persist timer, 200 ms, before each windowful. And after
// a restart it may hold more than fits into it a second time.
func (e *drain) widen(id ID) error {
	if e.narrowed > 0 {
		return nil
	}
	lock, err := unix.GetsockoptInt(e.fd, unix.SOL_SOCKET, soBufLock)
	if err != nil || lock&rcvBufLock == 0 {
		return nil // it grows, or the kernel does not tell
	}
	was, err := unix.GetsockoptInt(e.fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err == nil {
		err = unix.SetsockoptInt(e.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, wide)
	}
	if err != nil {
		return fmt.Errorf("connection %s: widen its receive buffer: %w", id, err)
	}
	e.narrowed = was
	return nil
}

// Narrow gives buffers the sizes that their programs have set. Read and Settle
// leave them larger, for Exchange and Refill; it is to be called before the options of
// the sockets are looked at, and before the job runs on.
func (d *Drainer) Narrow() error {
	for id, e := range d.ends {
		if e.narrowed == 0 {
			continue
		}
		// The kernel doubles what is set.
		if err := unix.SetsockoptInt(e.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, e.narrowed/2); err != nil {
			return fmt.Errorf("connection %s: set its receive buffer back to %d bytes: %w", id, e.narrowed, err)
		}
		e.narrowed = 0
	}
	return nil
}
