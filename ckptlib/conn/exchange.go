package conn

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// A Stream is one end of a connection whose queues are put back.
type Stream struct {
	ID ID
	// FD is the connected socket. It stays the caller's.
	FD int
	// Queue is all that had arrived at this end and not been read by its
	// program. The socket itself has an empty receive queue.
	Queue []byte
	// Peer is what the other end had as its Queue. Exchange sets it, and Refill
	// writes it to the socket.
	Peer []byte
}

// exchangeStall and refillStall are how long nothing may move on a connection.
// Every agent enters Exchange at about the same time; what does not fit is
// known only by waiting, for longer than any retransmission that succeeds.
const (
	exchangeStall = 60 * time.Second
	refillStall   = 10 * time.Second
)

// Stall is how long Exchange and then Refill may wait in all while nothing moves.
const Stall = exchangeStall + refillStall

// The head of what an end sends: a magic, and the length in bytes of its queue,
// big endian. The queue follows, and then, once the other end's head is there,
// padding.
const (
	headMagic = "gmpi-q1\n"
	headSize  = len(headMagic) + 8
	// maxQueue is far above the sum of any two socket buffers.
	maxQueue = 1 << 31
)

// Exchange gives the Queue of each stream to the agent of the other end, over
// the connection itself, and receives that end's as Peer. It makes room in the
// receive buffers for the Refill that follows. Both ends may be among the
// streams. All connections are served at once and in both directions at once,
// so that no order of them can deadlock; when it returns nil nothing is left
// unread of what the other agent sent, though that one may not be done yet.
//
// An error leaves the connections unusable: StallError when an end is silent for
// a minute, or ctx ends.
func Exchange(ctx context.Context, streams []*Stream) error {
	flows := make([]flow, 0, len(streams))
	for _, s := range streams {
		undo, err := makeRoom(s.FD, len(s.Queue))
		if err != nil {
			return fmt.Errorf("exchange the queues of connection %s: %w", s.ID, err)
		}
		defer undo()
		head := append(make([]byte, 0, headSize), headMagic...)
		head = binary.BigEndian.AppendUint64(head, uint64(len(s.Queue)))
		flows = append(flows, &exchange{Stream: s, out: [][]byte{head, s.Queue}, in: make([]byte, headSize)})
	}
	return pump(ctx, flows, exchangeStall)
}

// exchange is a stream while its queues are exchanged.
type exchange struct {
	*Stream
	out [][]byte // still to be sent
	in  []byte   // being received: the head, then Peer, then padding
	got int      // bytes of in
	at  int      // which of the three
	pad int      // bytes of padding still to come
}

func (x *exchange) socket() int { return x.FD }

func (x *exchange) step() (moved int, want uint32, err error) {
	for {
		n, errOut := x.write()
		m, errIn := x.read()
		if err := errors.Join(errOut, errIn); err != nil {
			return 0, 0, fmt.Errorf("exchange the queues of connection %s: %w", x.ID, err)
		}
		moved += n + m
		if n+m == 0 {
			break
		}
	}
	if len(x.out) > 0 {
		want |= unix.EPOLLOUT
	}
	if x.at < 3 {
		want |= unix.EPOLLIN
	}
	return moved, want, nil
}

func (x *exchange) write() (int, error) {
	total := 0
	for len(x.out) > 0 {
		if len(x.out[0]) == 0 {
			x.out = x.out[1:]
			continue
		}
		n, err := send(x.FD, x.out[0])
		if errors.Is(err, unix.EAGAIN) {
			break
		}
		if err != nil {
			return total, fmt.Errorf("send: %w", err)
		}
		total += n
		x.out[0] = x.out[0][n:]
	}
	return total, nil
}

func (x *exchange) read() (int, error) {
	total := 0
	for x.at < 3 {
		if x.got == len(x.in) {
			if err := x.turn(); err != nil {
				return total, err
			}
			continue
		}
		n, err := recv(x.FD, x.in[x.got:], 0)
		if errors.Is(err, unix.EAGAIN) {
			break
		}
		if err == nil && n == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return total, fmt.Errorf("receive: %w", err)
		}
		total += n
		x.got += n
	}
	return total, nil
}

// turn goes on to the next part of what is received.
func (x *exchange) turn() error {
	switch x.at {
	case 0:
		size := binary.BigEndian.Uint64(x.in[len(headMagic):])
		if string(x.in[:len(headMagic)]) != headMagic || size > maxQueue {
			return fmt.Errorf("the other end sent %q where the length of its queue should be", x.in)
		}
		x.Peer = make([]byte, size)
		x.in, x.got, x.at = x.Peer, 0, 1
		x.pad = padding(len(x.Queue), len(x.Peer))
		x.out = append(x.out, make([]byte, padding(len(x.Peer), len(x.Queue))))
	case 1:
		x.at = 2
		fallthrough
	case 2:
		if x.pad == 0 {
			x.at = 3
			return nil
		}
		x.in, x.got = make([]byte, min(x.pad, 1<<18)), 0
		x.pad -= len(x.in)
	}
	return nil
}

// padding returns how many throw-away bytes follow an end's own queue: its agent
// will write back the refill bytes in the same direction, and the congestion
// window, which sets the size of the send buffer, must have seen as many before.
func padding(refill, own int) int {
	if refill < warmFrom {
		return 0
	}
	return max(refill-own, 0)
}

func (x *exchange) stalled(t time.Duration) error {
	left := len(x.in) - x.got
	for _, b := range x.out {
		left += len(b)
	}
	return &StallError{ID: x.ID, Doing: "exchange the queues of", For: t.Round(time.Millisecond), Left: left}
}
