package conn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// A flow is one socket's part in a pump.
type flow interface {
	socket() int
	// step moves what can be moved now. Want is what it waits for (EPOLLIN,
	// EPOLLOUT), 0 when it is done.
	step() (moved int, want uint32, err error)
	// stalled is the error of a flow on which nothing has moved for a time.
	stalled(time.Duration) error
}

// tick is how often every flow is stepped without having been woken: a send
// buffer that the kernel has let grow wakes nobody.
const tick = 50 * time.Millisecond

// pump runs flows until all are done, in one loop and without a thread for each
// of what may be thousands. A flow that does not move for the time of stall, and
// a flow with an error, end all.
func pump(ctx context.Context, flows []flow, stall time.Duration) error {
	if len(flows) == 0 {
		return nil
	}
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("make an epoll set: %w", err)
	}
	defer unix.Close(ep)

	start := time.Now()
	last := make([]time.Time, len(flows))
	wants := make([]uint32, len(flows)) // as the epoll set has it; 0 is not in it
	done := make([]bool, len(flows))
	left := len(flows)
	step := func(i int) error {
		moved, want, err := flows[i].step()
		if err != nil {
			return err
		}
		if moved > 0 {
			last[i] = time.Now()
		}
		if want == 0 {
			done[i] = true
			left--
		}
		op := unix.EPOLL_CTL_MOD
		switch {
		case want == wants[i]:
			return nil
		case want == 0:
			op = unix.EPOLL_CTL_DEL
		case wants[i] == 0:
			op = unix.EPOLL_CTL_ADD
		}
		wants[i] = want
		ev := unix.EpollEvent{Events: want, Fd: int32(i)}
		if err := unix.EpollCtl(ep, op, flows[i].socket(), &ev); err != nil {
			return fmt.Errorf("watch socket %d: %w", flows[i].socket(), err)
		}
		return nil
	}
	all := func(do func(i int) error) error {
		for i := range flows {
			if !done[i] {
				if err := do(i); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := all(func(i int) error { last[i] = start; return step(i) }); err != nil {
		return err
	}

	events := make([]unix.EpollEvent, min(len(flows), 256))
	next := start.Add(tick)
	for left > 0 {
		if ctx.Err() != nil {
			i := slices.Index(done, false)
			return fmt.Errorf("%w: %w", flows[i].stalled(time.Since(last[i])), context.Cause(ctx))
		}
		n, err := unix.EpollWait(ep, events, int(tick/time.Millisecond))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for sockets: %w", err)
		}
		for _, ev := range events[:max(n, 0)] {
			if i := int(ev.Fd); !done[i] {
				if err := step(i); err != nil {
					return err
				}
			}
		}
		now := time.Now()
		if now.Before(next) {
			continue
		}
		next = now.Add(tick)
		err = all(func(i int) error {
			if err := step(i); err != nil || done[i] || now.Sub(last[i]) < stall {
				return err
			}
			return flows[i].stalled(now.Sub(last[i]))
		})
		if err != nil {
			return err
		}
	}
	return nil
}
