package names

import (
	"context"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/internal/linux"
)

// ours fetches a victim's socket as the agent does.
func ours(t *testing.T, v *victim, fd int) int {
	t.Helper()
	s, err := linux.GetFD(v.tid, fd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(s) })
	return s
}

func TestRestoredSocketsHaveTheirOldNames(t *testing.T) {
	w, ta, tb := twoPods()
	a, b := native(t), native(t)
	// What a restart does: new sockets under the old ones' numbers.
	l := b.listenOn("0.0.0.0:0")
	port := b.name("getsockname", l, "")[len("0.0.0.0:"):]
	sa := a.socket("0.0.0.0:0")
	a.must("connect", sa, "10.89.0.12:"+port)
	sb := b.accept(l, "")
	for _, e := range []error{
		tb.Bound(ours(t, b, l), "10.89.0.2:1024"),
		ta.Record(ours(t, a, sa), "10.89.0.1:40000", "10.89.0.2:1024"),
		tb.Record(ours(t, b, sb), "10.89.0.2:1024", "10.89.0.1:40000"),
	} {
		if e != nil {
			t.Fatal(e)
		}
	}
	for _, v := range []struct {
		*victim
		*Table
	}{{a, ta}, {b, tb}} {
		v.filtered("install", 0)
		v.serve(v.Table, w)
	}
	a.name("getsockname", sa, "10.89.0.1:40000")
	a.name("getpeername", sa, "10.89.0.2:1024")
	b.name("getsockname", sb, "10.89.0.2:1024")
	b.name("getpeername", sb, "10.89.0.1:40000")
	b.name("getsockname", l, "10.89.0.2:1024")
	if got, want := tb.RealAddr("10.89.0.2:1024"), "10.89.0.12:"+port; got != want {
		t.Errorf("RealAddr = %s, want %s", got, want)
	}
	// The calls in which the checkpoint may have found the threads.
	a.must("connect", sa, "10.89.0.2:1024")
	b.must("bind", l, "10.89.0.2:1024")
	s := a.socket("0.0.0.0:0")
	a.must("connect", s, "10.89.0.2:1024")
	b.accept(l, a.name("getsockname", s, ""))
}

func TestCheckpointSeesVirtualNames(t *testing.T) {
	w, ta, tb := twoPods()
	native(t).listenOn("0.0.0.0:1029")
	a, b := inPod(t, w, ta), inPod(t, w, tb)
	l := b.listenOn("[::]:1029")
	s := a.socket("0.0.0.0:0")
	a.must("connect", s, "10.89.0.2:1029")
	own := a.name("getsockname", s, "")
	conn := b.number("acceptnull", l) // nobody has asked for the peer
	fd := ours(t, b, conn)
	_, real, err := kernelName(unix.SYS_GETSOCKNAME, fd)
	if err != nil {
		t.Fatal(err)
	}
	_, peer, err := kernelName(unix.SYS_GETPEERNAME, fd)
	if err != nil {
		t.Fatal(err)
	}
	local, remote := tb.SocketNames(fd, "[::ffff:"+real.Addr().String()+"]:"+fmtPort(real.Port()), peer.String())
	if local != "[::ffff:10.89.0.2]:1029" || remote != peer.String() {
		t.Errorf("Table.SocketNames = %s, %s, want [::ffff:10.89.0.2]:1029, %s", local, remote, peer)
	}
	local, remote = b.notifier.SocketNames(context.Background(), fd, real.String(), peer.String())
	if local != "10.89.0.2:1029" || remote != own {
		t.Errorf("Notifier.SocketNames = %s, %s, want 10.89.0.2:1029, %s", local, remote, own)
	}
	local, remote = ta.SocketNames(ours(t, a, s), peer.String(), real.String())
	if local != own || remote != "10.89.0.2:1029" {
		t.Errorf("SocketNames of the connector = %s, %s, want %s, 10.89.0.2:1029", local, remote, own)
	}
	local, remote = ta.SocketNames(0, "@name", "")
	if local != "@name" || remote != "" {
		t.Errorf("SocketNames of what is no address = %q, %q", local, remote)
	}
}

func TestNamesThatAreNoAddressesAreRefused(t *testing.T) {
	_, ta, _ := twoPods()
	if err := ta.Record(0, "10.89.0.1", "10.89.0.2:1"); err == nil {
		t.Error("Record of an address without a port succeeds")
	}
	if err := ta.Bound(0, "10.89.0.1:1"); err == nil {
		t.Error("Bound of standard input succeeds")
	}
	if got := ta.RealAddr("@name"); got != "@name" {
		t.Errorf("RealAddr(@name) = %s", got)
	}
	if got, want := ta.RealAddr("[::ffff:10.89.0.1]:5"), "[::ffff:10.89.0.11]:5"; got != want {
		t.Errorf("RealAddr of a mapped address = %s, want %s", got, want)
	}
}
