package names

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// A task is a thread that has made calls.
type task struct {
	current *visit // the call being served, nil if none
	last    result
}

// A loop receives calls. The goroutine that received one serves it as well: a
// hand-over would take longer (some 60 µs, measured) than most calls do. Only
// when it is about to wait for something it has another goroutine go on
// receiving.
type loop struct {
	*Notifier
	ctx   context.Context
	wake  *wake
	ended chan error
}

func (l *loop) start() {
	l.wg.Add(1)
	go func() {
		defer l.wg.Done()
		l.run()
	}()
}

// run receives and serves until a call makes it hand over.
func (l *loop) run() {
	fds := []unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}, {Fd: int32(l.wake.fd), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(fds, -1); errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil {
			l.ended <- fmt.Errorf("wait for calls of the pod: %w", err)
			return
		}
		switch {
		case fds[1].Revents != 0:
			l.ended <- nil
			return
		case fds[0].Revents&unix.POLLIN == 0: // POLLHUP: no process is left
			l.ended <- nil
			return
		}
		req, err := receive(l.fd)
		if errors.Is(err, unix.ENOENT) {
			continue // interrupted before it was seen; it comes again
		}
		if err != nil {
			l.ended <- fmt.Errorf("receive a call of the pod: %w", err)
			return
		}
		if v := l.visit(req); v.handedOver {
			return
		}
	}
}

// visit serves a call. A second call of a thread means that its first was
// interrupted; what came of that must be known first.
func (l *loop) visit(req notification) *visit {
	v := &visit{loop: l, req: req, tid: int(req.PID), ctx: l.ctx}
	l.mu.Lock()
	t := l.tasks[v.tid]
	if t == nil {
		l.prune()
		t = &task{}
		l.tasks[v.tid] = t
	}
	before := t.current
	t.current, v.task = v, t
	l.mu.Unlock()
	if before != nil {
		v.handOver()
		before.cancel()
		<-before.done
	}
	v.serve()
	return v
}

// handOver has another goroutine receive calls from here on, because this one
// may have to wait.
func (v *visit) handOver() {
	if v.handedOver {
		return
	}
	v.handedOver = true
	v.done = make(chan struct{})
	v.ctx, v.cancel = context.WithCancel(v.loop.ctx)
	v.start() // which is what lets others see the fields
}

// change begins the change of a socket, which a checkpoint must not see half
// done; the caller calls v.act.RUnlock at the end. It is false if the call is
// not waited for any more, as is that of a thread which is stopped.
func (v *visit) change() bool {
	if !v.act.TryRLock() {
		v.handOver()
		v.act.RLock()
	}
	if stillValid(v.fd, v.req.ID) {
		return true
	}
	v.act.RUnlock()
	return false
}
