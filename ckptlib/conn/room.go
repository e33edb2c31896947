package conn

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// warmFrom is the size in bytes of a queue from which on the connection is
// warmed up by as many bytes in the direction in which it will be refilled.
const warmFrom = 1 << 20

// roomFrom is what every receive buffer holds anyway, in bytes.
const roomFrom = 1 << 16

// Reserve has a connected socket's receive buffer grow to hold n bytes that
// nobody reads, as far as the limits of the host allow.
func Reserve(fd, n int) error {
	undo, err := makeRoom(fd, n)
	if err == nil {
		undo()
	}
	return err
}

// makeRoom has a fresh connection's receive buffer grow to hold n bytes that
// nobody reads. It starts at net.ipv4.tcp_rmem[1], 128 KiB, and grows by itself only while its
// program reads. SO_RCVBUF is of no use to an ordinary user: it is capped at
// net.core.rmem_max, 208 KiB, and ends all later growth. SO_RCVLOWAT has neither
// fault: a kernel that promises to wake a reader only at n bytes makes the
// buffer large enough for them (Linux 4.18), up to tcp_rmem[2], 6 MiB, which is
// what a buffer can have grown to. Set back to 1 it leaves the buffer as it is.
//
// What does not fit there stays in the sender's buffer, which grows with the
// congestion window up to tcp_wmem[2], 4 MiB: over a real network it needs
// megabytes to have gone through before. Exchange sends them; see Stream.pad.
//
// Measured on Linux 6.18 with 6 MiB and 4 MiB as above, in bytes that one direction
// holds: fresh 0.8 M (veth), 4.2 M (loopback); with SO_RCVLOWAT 8.0 M and 10.4 M;
// with warming up besides 10.2 M and 10.3 M; warming up alone 10.2 M and 5.4 M,
// for on loopback the reader is too fast for the buffer to grow.
//
// The kernel counts the memory of the packets, up to three times the bytes in
// them, so that twice as much is asked for. Since Linux 6.6 it measures that
// overhead, and SO_RCVLOWAT makes a smaller buffer (down to half) once large
// packets have come in: for the largest queues it is to be set when the
// connection is made.
func makeRoom(fd, n int) (undo func(), err error) {
	if n = min(2*n, math.MaxInt32); n < roomFrom {
		n = 1
	}
	was, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT)
	if err != nil {
		return nil, fmt.Errorf("read SO_RCVLOWAT: %w", err)
	}
	for _, v := range []int{n, 1} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT, v); err != nil {
			return nil, fmt.Errorf("set SO_RCVLOWAT to %d: %w", v, err)
		}
	}
	return func() {
		if was > 1 {
			// It held before, so the only error is a socket that is closed.
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT, was)
		}
	}, nil
}
