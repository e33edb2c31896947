package names

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// slack is how long an accept that should not wait may take.
const slack = 5 * time.Millisecond

// tick is how often a wait looks whether its thread is still there, in ms.
const tick = 100

// accept accepts a connection for the thread and hands it over with the virtual
// name of its other end.
func (v *visit) accept() {
	flags := uint64(0)
	if v.req.Nr == unix.SYS_ACCEPT4 {
		flags = v.req.Args[3]
	}
	listening, err := unix.GetsockoptInt(v.sock, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	room, ok := v.room()
	status, e := unix.FcntlInt(uintptr(v.sock), unix.F_GETFL, 0)
	if err != nil || e != nil || !ok || listening == 0 || flags&^(unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC) != 0 {
		v.goOn() // the kernel knows which error that is
		return
	}
	blocking := status&unix.O_NONBLOCK == 0
	until := v.deadline()
	for {
		conn, err := v.take(blocking)
		switch {
		case err == nil:
			v.deliver(conn, flags, room)
			return
		case v.ctx.Err() != nil || errors.Is(err, errGone):
			return
		case !errors.Is(err, unix.EAGAIN) || !blocking || !until.IsZero() && !time.Now().Before(until):
			v.answer(errnoOf(err))
			return
		}
		if !v.wait(until) {
			return
		}
	}
}

// deadline is when the listener's SO_RCVTIMEO ends the call, zero for never.
func (v *visit) deadline() time.Time {
	tv, err := unix.GetsockoptTimeval(v.sock, unix.SOL_SOCKET, unix.SO_RCVTIMEO)
	if err != nil || tv.Nano() == 0 {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(tv.Nano()))
}

// errGone means that the thread was interrupted or is dead.
var errGone = errors.New("the call is no longer waited for")

// take gets a connection from the listener, which counts as in hand from then
// on, or EAGAIN.
func (v *visit) take(blocking bool) (int, error) {
	if !v.change() {
		return -1, errGone
	}
	defer v.act.RUnlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	b := v.backlogs[v.id.cookie]
	if b != nil && len(b.held) > 0 {
		conn := b.held[0].fd
		b.held = b.held[1:]
		v.inHand++
		v.tidy(b)
		return conn, nil
	}
	if blocking && (b != nil && b.stuck || !readable(v.sock)) {
		return -1, unix.EAGAIN
	}
	conn, err := v.acceptSoon(blocking)
	if err == nil {
		v.inHand++
	}
	return conn, err
}

// acceptSoon accepts without waiting. On a blocking listener there is no such
// call: another process may take the connection that made it readable, and then
// the accept of ours, in a goroutine, is left to wait for the next one. The
// caller holds n.mu.
func (v *visit) acceptSoon(blocking bool) (int, error) {
	if !blocking {
		conn, _, err := unix.Accept4(v.sock, unix.SOCK_CLOEXEC)
		return conn, err
	}
	own, err := unix.FcntlInt(uintptr(v.sock), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	type accepted struct {
		fd  int
		err error
	}
	result := make(chan accepted, 1)
	go func() {
		conn, _, err := unix.Accept4(own, unix.SOCK_CLOEXEC)
		_ = unix.Close(own) // a duplicate
		result <- accepted{conn, err}
	}()
	late := time.NewTimer(slack)
	defer late.Stop()
	select {
	case r := <-result:
		return r.fd, r.err
	case <-late.C:
	}
	v.backlog().stuck = true
	go func() {
		r := <-result
		v.mu.Lock()
		defer v.mu.Unlock()
		b := v.backlog()
		b.stuck = false
		if r.err == nil {
			b.held = append(b.held, held{r.fd, v.tid})
		}
		v.tidy(b)
	}()
	return -1, unix.EAGAIN
}

func readable(fd int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return err != nil || n > 0
}

// wait waits for a connection, for the end of the call, or for a while; it is
// false if nobody waits for the call any more.
func (v *visit) wait(until time.Time) bool {
	v.handOver()
	w, err := newWake(v.ctx)
	if err != nil {
		v.answer(errnoOf(err))
		return false
	}
	defer w.close()
	ms := tick
	if !until.IsZero() {
		ms = max(1, min(ms, int(time.Until(until)/time.Millisecond)+1))
	}
	fds := []unix.PollFd{{Fd: int32(v.sock), Events: unix.POLLIN}, {Fd: int32(w.fd), Events: unix.POLLIN}}
	v.mu.Lock()
	if b := v.backlogs[v.id.cookie]; b != nil && b.stuck {
		fds[0].Events = 0 // the stuck one takes what comes
	}
	v.mu.Unlock()
	_, _ = unix.Poll(fds, ms) // take tells what there is
	return fds[1].Revents == 0
}
