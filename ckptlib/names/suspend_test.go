package names

import (
	"context"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// A gate is peers that answer when they are told to.
type gate struct {
	*world
	asked, open chan struct{}
	once        sync.Once
}

func newGate(w *world) *gate {
	return &gate{world: w, asked: make(chan struct{}), open: make(chan struct{})}
}

func (g *gate) pass() { g.once.Do(func() { close(g.asked); <-g.open }) }

func (g *gate) Resolve(ctx context.Context, v netip.AddrPort) (netip.AddrPort, bool, error) {
	g.pass()
	return g.world.Resolve(ctx, v)
}

func (g *gate) Owner(ctx context.Context, r netip.AddrPort) (netip.AddrPort, bool) {
	g.pass()
	return g.world.Owner(ctx, r)
}

func TestConnectionAcceptedForAStoppedThreadIsNotLost(t *testing.T) {
	w, ta, tb := twoPods()
	g := newGate(w)
	a, b := inPod(t, w, ta), native(t)
	b.filtered("install", 0)
	b.serve(tb, g)
	l := b.listenOn("10.89.0.2:1024")
	b.begin("accept4", l, 0)
	s := a.socket("0.0.0.0:0")
	a.must("connect", s, "10.89.0.2:1024")
	<-g.asked // accepted; its name is being asked for
	tr := trace(t, b.tid)
	tr.stop()
	if n := b.notifier.Suspend(); n != 1 {
		t.Errorf("Suspend() = %d connections, want 1", n)
	}
	b.notifier.Resume()
	close(g.open)
	tr.resume()
	b.accepted(a.name("getsockname", s, ""))
	tr.stop()
	if n := b.notifier.Suspend(); n != 0 {
		t.Errorf("Suspend() = %d connections once it is delivered, want 0", n)
	}
	b.notifier.Resume()
	tr.detach()
}

func TestConnectionAcceptedForAKilledThreadIsClosed(t *testing.T) {
	w, ta, tb := twoPods()
	g := newGate(w)
	a, b := inPod(t, w, ta), native(t)
	b.filtered("install", 0)
	b.serve(tb, g)
	l := b.listenOn("10.89.0.2:1024")
	b.begin("accept4", l, 0)
	s := a.socket("0.0.0.0:0")
	a.must("connect", s, "10.89.0.2:1024")
	<-g.asked
	if err := b.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = b.cmd.Wait()
	close(g.open)
	if got := a.must("read", s); got != "" {
		t.Errorf("read = %q, want the end", got)
	}
	if n := b.notifier.Suspend(); n != 0 {
		t.Errorf("Suspend() = %d connections, want 0", n)
	}
	b.notifier.Resume()
}

func TestCallsOfAStoppedThreadDoNothingBehindACheckpoint(t *testing.T) {
	w, ta, tb := twoPods()
	g := newGate(w)
	a, b := native(t), inPod(t, w, tb)
	a.filtered("install", 0)
	a.serve(ta, g)
	l := b.listenOn("10.89.0.2:1024")
	b.must("nonblock", l)
	s := a.socket("0.0.0.0:0")
	a.begin("connect", s, "10.89.0.2:1024")
	<-g.asked
	tr := trace(t, a.tid)
	tr.stop()
	a.notifier.Suspend()
	close(g.open)
	b.fails(unix.EAGAIN, "accept4", l, 0)
	a.notifier.Resume()
	b.fails(unix.EAGAIN, "accept4", l, 0)
	tr.detach()
	if _, errno := a.result(); errno != 0 {
		t.Errorf("connect = %v, want success", errno)
	}
	b.accept(l, a.name("getsockname", s, ""))
}
