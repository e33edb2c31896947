package conn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Refill writes the Peer bytes of each stream to its socket, so that they lie in
// the receive queue of the other end as they did at the checkpoint. Precondition:
// Exchange has returned nil for them, and nobody reads from the connections until
// every agent has refilled its own. Where the bytes do not fit into the buffers
// of the two kernels it returns a RoomError, after ten seconds in which no more
// were taken or when ctx ends.
func Refill(ctx context.Context, streams []*Stream) error {
	return refill(ctx, streams, refillStall)
}

func refill(ctx context.Context, streams []*Stream, stall time.Duration) error {
	flows := make([]flow, 0, len(streams))
	for _, s := range streams {
		flows = append(flows, &refilling{Stream: s, left: s.Peer})
	}
	return pump(ctx, flows, stall)
}

type refilling struct {
	*Stream
	left []byte
}

func (r *refilling) socket() int { return r.FD }

func (r *refilling) step() (moved int, want uint32, err error) {
	for len(r.left) > 0 {
		n, err := send(r.FD, r.left)
		if errors.Is(err, unix.EAGAIN) {
			return moved, unix.EPOLLOUT, nil
		}
		if err != nil {
			return moved, 0, fmt.Errorf("refill connection %s: %w", r.ID, err)
		}
		moved += n
		r.left = r.left[n:]
	}
	return moved, 0, nil
}

func (r *refilling) stalled(time.Duration) error {
	// For the message only: 0 if the socket does not tell.
	snd, _ := unix.GetsockoptInt(r.FD, unix.SOL_SOCKET, unix.SO_SNDBUF)
	rcv, _ := unix.GetsockoptInt(r.FD, unix.SOL_SOCKET, unix.SO_RCVBUF)
	return &RoomError{ID: r.ID, Bytes: len(r.Peer), Written: len(r.Peer) - len(r.left), SendBuffer: snd, RecvBuffer: rcv}
}
