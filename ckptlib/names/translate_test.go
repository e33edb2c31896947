package names

import (
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func portOf(name string) uint16 { return netip.MustParseAddrPort(name).Port() }

// Open MPI's order of calls: the peer is known by its source address.
func TestConnectionBetweenMovedPodsHasOldNamesAtBothEnds(t *testing.T) {
	for _, c := range []struct{ name, listen, a, b string }{
		{"IPv4", "0.0.0.0:1024", "10.89.0.1", "10.89.0.2"},
		{"IPv4 to a specific address", "10.89.0.2:1024", "10.89.0.1", "10.89.0.2"},
		{"IPv6", "[::]:1024", "[fd89::1]", "[fd89::2]"},
		{"mapped in a dual socket", "[::]:1024", "[::ffff:10.89.0.1]", "[::ffff:10.89.0.2]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, ta, tb := twoPods()
			a, b := inPod(t, w, ta), inPod(t, w, tb)
			l := b.listenOn(c.listen)
			b.name("getsockname", l, c.listen)

			s := a.socket(c.a + ":0")
			a.must("bind", s, c.a+":0")
			own := a.name("getsockname", s, "")
			if !strings.HasPrefix(own, c.a+":") || portOf(own) == 0 {
				t.Errorf("getsockname after bind = %s, want %s and a port", own, c.a)
			}
			a.must("nonblock", s)
			if _, errno := a.call("connect", s, c.b+":1024"); errno != 0 && errno != unix.EINPROGRESS {
				t.Fatalf("connect = %v, want EINPROGRESS", errno)
			}
			conn := b.accept(l, own)
			b.name("getpeername", conn, own)
			b.name("getsockname", conn, c.b+":1024")
			a.name("getsockname", s, own)
			a.name("getpeername", s, c.b+":1024")
			a.must("write", s, "hello")
			if got := b.must("read", conn); got != "hello" {
				t.Errorf("read = %q, want hello", got)
			}
		})
	}
}

func TestUnboundSocketGetsThePodsAddress(t *testing.T) {
	w, ta, tb := twoPods()
	a, b := inPod(t, w, ta), inPod(t, w, tb)
	l := b.listenOn("0.0.0.0:0")
	port := portOf(b.name("getsockname", l, ""))
	s := a.socket("10.89.0.1:0")
	to := netip.AddrPortFrom(netip.MustParseAddr("10.89.0.2"), port).String()
	a.must("connect", s, to) // blocking
	own := a.name("getsockname", s, "")
	if !strings.HasPrefix(own, "10.89.0.1:") {
		t.Errorf("getsockname = %s, want 10.89.0.1", own)
	}
	conn := b.number("acceptnull", l)
	b.name("getpeername", conn, own)
	b.name("getsockname", conn, to)
	a.fails(unix.EISCONN, "connect", s, "10.89.0.2:9")
}

// TestSourceIsOfTheNetworkOfTheDestination has pods with two networks each.
func TestSourceIsOfTheNetworkOfTheDestination(t *testing.T) {
	w := newWorld()
	ta := w.pod(addrs("10.91.0.1", "10.92.0.1"), addrs("10.89.0.11"))
	tb := w.pod(addrs("10.91.0.2", "10.92.0.2"), addrs("10.89.0.12"))
	a, b := inPod(t, w, ta), inPod(t, w, tb)
	l := b.listenOn("0.0.0.0:1024")
	for _, net := range []string{"10.91.0.", "10.92.0."} {
		s := a.socket(net + "1:0")
		a.must("connect", s, net+"2:1024")
		own := a.name("getsockname", s, "")
		if !strings.HasPrefix(own, net+"1:") {
			t.Errorf("getsockname of a socket connected to %s2 = %s", net, own)
		}
		conn := b.accept(l, own)
		b.name("getsockname", conn, net+"2:1024")
	}
}

func TestTwoPodsOnOneHostListenOnTheSamePort(t *testing.T) {
	w := newWorld()
	ta := w.pod(addrs("10.89.0.1"), addrs("10.89.0.11"))
	tb := w.pod(addrs("10.89.0.2"), addrs("10.89.0.11"))
	a, b := inPod(t, w, ta), inPod(t, w, tb)
	for _, listen := range []string{"0.0.0.0:1024", "127.0.0.1:1025"} {
		la, lb := a.listenOn(listen), b.listenOn(listen)
		a.name("getsockname", la, listen)
		b.name("getsockname", lb, listen)
		for _, c := range []struct {
			from, to *victim
			l        int
			src, dst string
		}{
			{a, b, lb, "10.89.0.1", "10.89.0.2"},
			{b, a, la, "10.89.0.2", "10.89.0.1"},
			{b, b, lb, "10.89.0.2", "10.89.0.2"},
			{a, a, la, "127.0.0.1", "127.0.0.1"},
			{b, b, lb, "127.0.0.1", "127.0.0.1"},
		} {
			if strings.HasPrefix(listen, "127.") && c.dst != "127.0.0.1" {
				continue
			}
			to := c.dst + listen[strings.LastIndexByte(listen, ':'):]
			s := c.from.socket(listen)
			c.from.must("connect", s, to)
			own := c.from.name("getsockname", s, "")
			if !strings.HasPrefix(own, c.src+":") {
				t.Errorf("connected to %s from %s, want %s", to, own, c.src)
			}
			c.from.name("getpeername", s, to)
			conn := c.to.accept(c.l, own)
			c.to.name("getsockname", conn, to)
			c.to.name("getpeername", conn, own)
		}
	}
}

// Both sockets say SO_REUSEADDR, so both could bind; but only one could listen.
func TestPodsDoNotShareAPortByReuse(t *testing.T) {
	for _, option := range []int{unix.SO_REUSEADDR, unix.SO_REUSEPORT} {
		w := newWorld()
		ta := w.pod(addrs("10.89.0.1"), addrs("10.89.0.11"))
		tb := w.pod(addrs("10.89.0.2"), addrs("10.89.0.11"))
		a, b := inPod(t, w, ta), inPod(t, w, tb)
		sa, sb := a.socket("0.0.0.0:1024"), b.socket("0.0.0.0:1024")
		for _, v := range []struct {
			*victim
			s int
		}{{a, sa}, {b, sb}} {
			v.must("option", v.s, unix.SOL_SOCKET, option, 1)
			v.must("bind", v.s, "0.0.0.0:1024")
		}
		a.must("listen", sa, 5)
		b.must("listen", sb, 5)
		c := a.socket("0.0.0.0:0")
		a.must("connect", c, "10.89.0.2:1024")
		b.accept(sb, a.name("getsockname", c, ""))
		// Within the pod the option counts: a second socket shares the name.
		more := b.socket("0.0.0.0:1024")
		b.must("option", more, unix.SOL_SOCKET, option, 1)
		if _, errno := b.call("bind", more, "0.0.0.0:1024"); (errno == 0) != (option == unix.SO_REUSEPORT) {
			t.Errorf("bind of a second socket of the pod with option %d = %v", option, errno)
		}
	}
}

func TestStrangerOnTheOldPortIsEvaded(t *testing.T) {
	w, ta, tb := twoPods()
	stranger := native(t)
	stranger.listenOn("0.0.0.0:2000")
	stranger.listenOn("[fd89::12]:2000")
	a, b := inPod(t, w, ta), inPod(t, w, tb)
	for _, c := range []struct{ listen, to string }{
		{"10.89.0.2:2000", "10.89.0.2:2000"},
		{"[fd89::2]:2000", "[fd89::2]:2000"},
	} {
		l := b.listenOn(c.listen)
		b.name("getsockname", l, c.listen)
		s := a.socket(c.to)
		a.must("connect", s, c.to)
		conn := b.accept(l, a.name("getsockname", s, ""))
		b.name("getsockname", conn, c.to)
		if got := portOf(tb.RealAddr(c.listen)); got == 2000 {
			t.Errorf("listener %s is at port %d, which a stranger has", c.listen, got)
		}
	}
	// A port that the pod gave back and a stranger took is evaded as well.
	l := b.listenOn("10.89.0.2:2001")
	b.must("close", l)
	stranger.listenOn("0.0.0.0:2001")
	l = b.listenOn("10.89.0.2:2001")
	b.name("getsockname", l, "10.89.0.2:2001")
}

func TestPortInUseInThePodStaysInUse(t *testing.T) {
	w, _, tb := twoPods()
	native(t).listenOn("0.0.0.0:2000")
	b := inPod(t, w, tb)
	for _, first := range []string{"10.89.0.2:2000", "0.0.0.0:2002", "[::]:2003", "127.0.0.1:2000"} {
		l := b.listenOn(first)
		port := first[strings.LastIndexByte(first, ':'):]
		for _, second := range []string{first, "0.0.0.0" + port} {
			s := b.socket(second)
			b.fails(unix.EADDRINUSE, "bind", s, second)
			b.must("close", s)
		}
		b.must("close", l)
		again := b.listenOn(first)
		b.must("close", again)
	}
	b.listenOn("0.0.0.0:2004")
	s := b.socket("[::]:2004")
	b.must("option", s, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	b.must("bind", s, "[::]:2004")
	b.fails(unix.EINVAL, "bind", s, "[::]:2005")
}
