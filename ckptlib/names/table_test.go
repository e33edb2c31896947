package names

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestAddressesOfTheHostStandForThePods(t *testing.T) {
	tab := NewTable(0,
		addrs("10.0.0.1", "10.1.0.1", "fd00::1", "10.2.0.1"),
		addrs("10.9.0.1", "10.1.0.1", "fd09::1", "fe80::9%lo"), nil)
	for _, c := range []struct{ virtual, real string }{
		{"10.0.0.1", "10.9.0.1"},
		{"10.1.0.1", "10.1.0.1"}, // the host has it
		{"10.2.0.1", "10.9.0.1"}, // no other is left
		{"fd00::1", "fd09::1"},
		{"127.0.0.1", "127.0.0.1"},
		{"0.0.0.0", "0.0.0.0"},
	} {
		v := netip.AddrPortFrom(netip.MustParseAddr(c.virtual), 7)
		if got := tab.Locate(v); got.Addr().String() != c.real || got.Port() != 7 {
			t.Errorf("Locate(%s) = %s, want %s", v, got, c.real)
		}
	}
	for _, c := range []struct{ real, peer, virtual string }{
		{"10.9.0.1", "", "10.0.0.1"},
		{"10.9.0.1", "10.2.0.9", "10.2.0.1"}, // of two the one in the peer's network
		{"10.1.0.1", "10.2.0.9", "10.1.0.1"},
		{"fe80::9", "", "fd00::1"},
		{"192.0.2.1", "", "192.0.2.1"}, // not the host's
	} {
		var peer netip.Addr
		if c.peer != "" {
			peer = netip.MustParseAddr(c.peer)
		}
		if got := tab.virtualOf(netip.MustParseAddr(c.real), peer); got.String() != c.virtual {
			t.Errorf("virtualOf(%s, %s) = %s, want %s", c.real, c.peer, got, c.virtual)
		}
	}
}

// pair is a TCP connection of this process.
func pair(t *testing.T) (client, server *net.TCPConn) {
	t.Helper()
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(10, 89, 0, 12)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.DialTCP("tcp4", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	return c, s
}

func addrPort(a net.Addr) netip.AddrPort { return plain(a.(*net.TCPAddr).AddrPort()) }

// record records a client of pair as connected to 10.89.0.2:1024.
func record(t *testing.T, tab *Table, c *net.TCPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		id, ok := identify(int(fd))
		if !ok {
			t.Error("identify: no TCP socket")
		}
		tab.connected(id, netip.MustParseAddrPort("10.89.0.2:1024"), addrPort(c.LocalAddr()), addrPort(c.RemoteAddr()))
	}); err != nil {
		t.Fatal(err)
	}
}

func TestOwnWaitsForAConnectUnderWay(t *testing.T) {
	_, tab, _ := twoPods()
	c, _ := pair(t)
	real := addrPort(c.LocalAddr())
	ticket := tab.begin()
	answer := make(chan netip.AddrPort)
	go func() {
		v, _ := tab.Own(real)
		answer <- v
	}()
	select {
	case v := <-answer:
		t.Fatalf("Own(%s) = %s before the connect was recorded", real, v)
	case <-time.After(50 * time.Millisecond):
	}
	record(t, tab, c)
	tab.finish(ticket)
	if got, want := <-answer, netip.AddrPortFrom(netip.MustParseAddr("10.89.0.1"), real.Port()); got != want {
		t.Errorf("Own(%s) = %s, want %s", real, got, want)
	}
}

func TestClosedSocketsAreNotOwned(t *testing.T) {
	_, tab, _ := twoPods()
	c, s := pair(t)
	record(t, tab, c)
	real := addrPort(c.LocalAddr())
	if _, ok := tab.Own(real); !ok {
		t.Errorf("Own(%s) of an open socket is false", real)
	}
	// A reset leaves no TIME_WAIT behind.
	if err := c.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	c.Close()
	s.Close()
	if v, ok := tab.Own(real); ok {
		t.Errorf("Own(%s) of a closed socket = %s", real, v)
	}
}

func TestEphemeralPortThatAnOldConnectionHasIsRenamed(t *testing.T) {
	_, tab, _ := twoPods()
	c, _ := pair(t)
	real := addrPort(c.LocalAddr())
	old := netip.AddrPortFrom(netip.MustParseAddr("10.89.0.1"), real.Port())
	tab.setNames(identity{cookie: 1, proto: unix.IPPROTO_TCP}, old,
		netip.MustParseAddrPort("10.89.0.2:1024"), netip.MustParseAddrPort("10.89.0.11:1"), netip.MustParseAddrPort("10.89.0.12:2"), true)
	record(t, tab, c)
	if got, ok := tab.Own(real); !ok || got == old || got.Addr() != old.Addr() {
		t.Errorf("Own(%s) = %s, %v, want another port than the restored connection's", real, got, ok)
	}
}

func TestTableForgetsClosedSockets(t *testing.T) {
	_, tab, _ := twoPods()
	c, _ := pair(t)
	record(t, tab, c)
	for i := range 3 * minLimit {
		tab.setNames(identity{cookie: 1<<40 + uint64(i), proto: unix.IPPROTO_TCP},
			netip.MustParseAddrPort("10.89.0.1:5"), netip.MustParseAddrPort("10.89.0.2:6"),
			netip.MustParseAddrPort("10.89.0.11:5"), netip.MustParseAddrPort("10.89.0.12:6"), false)
	}
	if n := len(tab.sockets); n > minLimit {
		t.Errorf("the table has %d sockets of which one is open, want at most %d", n, minLimit)
	}
	if _, ok := tab.Own(addrPort(c.LocalAddr())); !ok {
		t.Error("the table has forgotten an open socket")
	}
	n := 0
	for _, m := range []map[portKey][]*socket{tab.names, tab.ports} {
		for _, s := range m {
			n += len(s)
		}
	}
	if max := 4 * len(tab.sockets); n > max {
		t.Errorf("the table's indices have %d entries for %d sockets", n, len(tab.sockets))
	}
}
