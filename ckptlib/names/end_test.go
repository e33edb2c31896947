package names

import (
	"testing"

	"golang.org/x/sys/unix"
)

// A pod whose agent has died goes on with the connections that it has.
func TestCallsFailOnceTheListenerIsClosed(t *testing.T) {
	w, ta, tb := twoPods()
	a, b := inPod(t, w, ta), inPod(t, w, tb)
	l := b.listenOn("10.89.0.2:1024")
	s := a.socket("0.0.0.0:0")
	a.must("connect", s, "10.89.0.2:1024")
	conn := b.accept(l, "")
	b.begin("accept4", l, 0)
	blockedIn(t, b.tid, unix.SYS_ACCEPT4)
	for _, v := range []*victim{a, b} {
		v.cancel()
		if err := <-v.ran; err != nil {
			t.Error("Run:", err)
		}
		v.ran <- nil
		v.closeListener()
	}
	if _, errno := b.result(); errno != unix.ENOSYS {
		t.Errorf("accept that waited = %v, want %v", errno, unix.ENOSYS)
	}
	a.fails(unix.ENOSYS, "getsockname", s)
	b.must("nonblock", l)
	b.fails(unix.ENOSYS, "accept4", l, 0)
	b.fails(unix.EAGAIN, "acceptnull", l) // names nobody, so it never came to us
	a.must("write", s, "hello")
	if got := b.must("read", conn); got != "hello" {
		t.Errorf("read = %q, want hello", got)
	}
}

func TestRunEndsWithTheLastProcess(t *testing.T) {
	w, ta, _ := twoPods()
	v := inPod(t, w, ta)
	v.in.Close()
	// Before Linux 6.11 a filter is in use until its last process has been waited for.
	if err := v.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := <-v.ran; err != nil {
		t.Error("Run:", err)
	}
	v.ran <- nil
}
