package conn

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Unsent returns how many bytes a TCP socket's program has written that the
// other end's kernel has not acknowledged. It does not block.
func Unsent(fd int) (int, error) {
	n, _, err := unsent(fd)
	return n, err
}

func unsent(fd int) (int, *unix.TCPInfo, error) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0, nil, fmt.Errorf("read TCP_INFO of socket %d: %w", fd, err)
	}
	switch info.State {
	case StateClose, StateListen:
		// After a reset the kernel has dropped the send queue, but SIOCOUTQ still
		// gives the difference of the sequence numbers.
		return 0, info, nil
	}
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	if err != nil {
		return 0, nil, fmt.Errorf("read SIOCOUTQ of socket %d: %w", fd, err)
	}
	switch info.State {
	case StateFinWait1, StateClosing, StateLastAck:
		// The FIN takes a sequence number, too. Where the window is closed it
		// waits after the last byte is acknowledged.
		n = max(n-1, 0)
	}
	return n, info, nil
}

// Peek returns a copy of a TCP socket's whole receive queue and consumes none of
// it. It does not block.
func Peek(fd int) ([]byte, error) {
	// A program may have set SO_PEEK_OFF (TCP has it since Linux 6.9): peeking
	// would begin there and move it.
	if off, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEEK_OFF); err == nil && off >= 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEEK_OFF, -1); err == nil {
			defer unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEEK_OFF, off) //nolint:errcheck // it was valid a moment ago
		}
	}
	size, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
	if err != nil {
		return nil, fmt.Errorf("read SIOCINQ of socket %d: %w", fd, err)
	}
	if size == 0 {
		// Asking an empty queue would take a reset from the program.
		return nil, nil
	}
	// One byte more than is needed tells a queue that has grown meanwhile, and
	// one that SIOCINQ understates, from one that was read whole.
	for size++; ; size *= 2 {
		b := make([]byte, size)
		n, err := recv(fd, b, unix.MSG_PEEK)
		switch {
		case errors.Is(err, unix.EAGAIN), err == nil && n == 0:
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("peek at socket %d: %w", fd, err)
		case n < size:
			return b[:n:n], nil
		}
	}
}

// take reads all that a socket has received, appending it to b. End of file is
// no error and, being a state of the socket, stays to be seen again; a reset is
// no error either: reading it would take it from the program, so it is not read
// (preconditions: the caller has seen that bytes are there).
func take(fd int, b []byte) ([]byte, error) {
	for {
		size, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
		if err != nil {
			return b, fmt.Errorf("read SIOCINQ of socket %d: %w", fd, err)
		}
		if size <= 0 {
			return b, nil
		}
		b = grow(b, size)
		n, err := recv(fd, b[len(b):len(b)+size], 0)
		if errors.Is(err, unix.EAGAIN) || err == nil && n == 0 {
			return b, nil
		}
		if err != nil {
			return b, fmt.Errorf("read from socket %d: %w", fd, err)
		}
		b = b[:len(b)+n]
	}
}

func grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	return append(make([]byte, 0, 2*len(b)+n), b...)
}

func recv(fd int, b []byte, flags int) (int, error) {
	for {
		n, _, err := unix.Recvfrom(fd, b, flags|unix.MSG_DONTWAIT)
		if err != unix.EINTR {
			return n, err
		}
	}
}

func send(fd int, b []byte) (int, error) {
	for {
		n, err := unix.SendmsgN(fd, b, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if err != unix.EINTR {
			return n, err
		}
	}
}
