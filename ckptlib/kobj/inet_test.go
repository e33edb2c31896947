package kobj

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/internal/testuser"
)

func TestListenersComeBackAndAccept(t *testing.T) {
	for _, tt := range []struct {
		family int
		addr   string
	}{{v4, "127.0.0.1:0"}, {v4, "0.0.0.0:0"}, {v6, "[::1]:0"}, {v6, "[::]:0"}} {
		t.Run(tt.addr, func(t *testing.T) {
			v := startVictim(t, inetVictim)
			at := v.listening(tt.family, tt.addr)
			v.do("nonblock 10")
			p, img := captureInetOf(t, v, 10)
			if n := img.Files[0].Inet; n.State != inetListening || n.Local != at || n.Backlog != 7 {
				t.Errorf("captured %+v, want a listener on %s with backlog 7", n, at)
			}
			p.end(v)
			r := p.newMaker(img)
			var bound string
			r.maker.Bound = func(fd int, virtual string) error {
				real, _ := inetNames(fd)
				bound = virtual + " is " + real
				return nil
			}
			r.run()
			if want := at + " is " + at; bound != want {
				t.Errorf("Bound was told that %q, want %q", bound, want)
			}
			info, err := unix.GetsockoptTCPInfo(r.fd(10), unix.IPPROTO_TCP, unix.TCP_INFO)
			if err != nil || info.Sacked != 7 {
				t.Errorf("backlog = %d, %v, want 7", info.Sacked, err)
			}
			if got, err := unix.GetsockoptInt(r.fd(10), unix.SOL_SOCKET, unix.SO_REUSEADDR); err != nil || got != 0 {
				t.Errorf("SO_REUSEADDR = %d, %v, want 0 as before", got, err)
			}
			c, err := unix.Socket(tt.family, stream|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(c)
			sa, err := inetAddr(tt.family, at)
			if err != nil {
				t.Fatal(err)
			}
			if err := unix.Connect(c, sa); err != nil {
				t.Fatalf("connect to the restored listener: %v", err)
			}
			n, _, err := unix.Accept(r.fd(10))
			if err != nil {
				t.Fatal(err)
			}
			unix.Close(n)
		})
	}
}

func TestMultipathListenersAcceptTCP(t *testing.T) {
	testuser.Again(t)
	if fd, err := unix.Socket(v6, stream|unix.SOCK_CLOEXEC, unix.IPPROTO_MPTCP); err != nil {
		t.Skipf("this kernel has no MPTCP: %v", err)
	} else {
		unix.Close(fd)
	}
	v := startVictim(t, inetVictim)
	v.do(fmt.Sprintf("mptcp %d 10", v6), "bind 10 [::]:0", "listen 10 9", fmt.Sprintf("socket %d %d 11", v6, stream),
		fmt.Sprintf("mptcp %d 13", v6))
	at := v.ask("name 10")
	v.do("connect 11 "+at, "accept 10 12")
	p, img := captureInetOf(t, v, 10, 12, 13)
	if l, c, f := img.Files[0].Inet, img.Files[1].Inet, img.Files[2].Inet; l.Protocol != unix.IPPROTO_MPTCP || l.State != inetListening || l.Backlog != 9 ||
		c.Protocol != unix.IPPROTO_TCP || f.State != inetClosed {
		t.Errorf("captured a listener %+v, a connection %+v and a fresh socket %+v", l, c, f)
	}
	v.do("connect 13 " + at)
	v.do("accept 10 14")
	v.stop()
	for _, num := range []int{13, 14} {
		p := newTestPod(t)
		p.add(v.pid, num)
		var no *UnsupportedError
		if err := p.tryCapture(); !errors.As(err, &no) || !strings.Contains(err.Error(), "multipathtcp=0") {
			t.Errorf("Capture of a connection = %v, want an UnsupportedError with a hint", err)
		}
	}
	v.cont()
	v.do("send 13 unharmed")
	if got := v.ask("recv 14"); got != "unharmed" {
		t.Errorf("the connection carries %q", got)
	}
	p.end(v)
	r := p.newMaker(img)
	// Its connections may keep the port for a while.
	r.maker.Bound = func(fd int, virtual string) error {
		if virtual == at {
			at, _ = inetNames(fd)
		}
		return nil
	}
	r.run()
	c, err := unix.Socket(v6, stream|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(c)
	sa, err := inetAddr(v6, strings.Replace(at, "[::]", "[::1]", 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(c, sa); err != nil {
		t.Fatalf("connect to the restored listener: %v", err)
	}
	n, _, err := unix.Accept(r.fd(10))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(n)
	if proto, err := unix.GetsockoptInt(r.fd(10), unix.SOL_SOCKET, unix.SO_PROTOCOL); err != nil || proto != unix.IPPROTO_MPTCP {
		t.Errorf("the restored listener is of protocol %d, %v", proto, err)
	}
}

func TestAListenerWhosePortIsTakenGetsAnother(t *testing.T) {
	v := startVictim(t, inetVictim)
	at := v.listening(v4, "127.0.0.1:0")
	p, img := captureInetOf(t, v, 10) // the victim keeps it
	r := p.newMaker(img)
	var virtual, real string
	r.maker.Bound = func(fd int, v string) error {
		virtual = v
		real, _ = inetNames(fd)
		return nil
	}
	r.run()
	a, err := netip.ParseAddrPort(real)
	if err != nil || virtual != at || real == at || a.Addr() != netip.MustParseAddr("127.0.0.1") || a.Port() == 0 {
		t.Errorf("Bound was told that %s is %s (%v), want another port", virtual, real, err)
	}
}

func TestBothFamiliesShareAPortAsOpenMPIHasIt(t *testing.T) {
	v := startVictim(t, inetVictim)
	at := v.listening(v4, "0.0.0.0:0")
	six := strings.Replace(at, "0.0.0.0", "[::]", 1)
	v.do(fmt.Sprintf("socket %d %d 11", v6, stream), fmt.Sprintf("set 11 %d %d 1", unix.IPPROTO_IPV6, unix.IPV6_V6ONLY), "bind 11 "+six, "listen 11 5")
	p, img := captureInetOf(t, v, 10, 11)
	p.end(v)
	r := p.restore(img)
	for num, want := range map[int]string{10: at, 11: six} {
		if got, _ := inetNames(r.fd(num)); got != want {
			t.Errorf("address of %d = %s, want %s", num, got, want)
		}
	}
	if got, err := unix.GetsockoptInt(r.fd(11), unix.IPPROTO_IPV6, unix.IPV6_V6ONLY); err != nil || got != 1 {
		t.Errorf("IPV6_V6ONLY = %d, %v, want 1", got, err)
	}
}

func TestAnAddressOfTheOldHostIsTranslated(t *testing.T) {
	v := startVictim(t, inetVictim)
	at := v.listening(v4, "127.0.0.7:0")
	p, img := captureInetOf(t, v, 10)
	r := p.newMaker(img)
	r.maker.RealAddr = func(s string) string { return strings.Replace(s, "127.0.0.7", "127.0.0.8", 1) }
	r.run()
	if got, _ := inetNames(r.fd(10)); got != strings.Replace(at, "127.0.0.7", "127.0.0.8", 1) {
		t.Errorf("the listener of %s is at %s, want it on the new address and the same port", at, got)
	}
}

// TestConnectionsInsideTheJobComeBack takes both ends of a connection through
// drain, capture, join, restore and refill, as the agents do it.
func TestConnectionsInsideTheJobComeBack(t *testing.T) {
	for _, family := range []int{v4, v6} {
		t.Run(fmt.Sprint("family ", family), func(t *testing.T) {
			v := startVictim(t, inetVictim)
			v.talking(family)
			v.do("nonblock 11", fmt.Sprintf("set 11 %d %d 1", unix.IPPROTO_TCP, unix.TCP_NODELAY),
				fmt.Sprintf("set 11 %d %d 9", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE), fmt.Sprintf("set 12 %d %d 30000", unix.SOL_SOCKET, unix.SO_RCVBUF),
				"linger 12 5", "send 11 toaccepted", "send 12 toconnected", "shutdown 12 1")
			v.stop()
			p := newTestPod(t)
			p.add(v.pid, 11, 12)
			ids := p.matchConns(t)
			img := p.capture()
			v.cont()
			if got := v.ask("recv 12"); got != "toaccepted" {
				t.Errorf("after the capture the victim receives %q, want its bytes", got)
			}
			for _, f := range img.Files {
				if n := f.Inet; n.Conn == "" || n.Family != family || n.Queue == nil {
					t.Errorf("captured %+v, want an end of a connection with a queue", n)
				}
			}
			p.end(v)
			r := p.newMaker(img)
			streams := joinAgain(t, p, img, ids)
			r.maker.Conn = func(name string, dialer bool) (int, error) {
				for _, s := range streams {
					if s.ID.Name == name && s.ID.Dialer == dialer {
						return dup(s.FD)
					}
				}
				return -1, errors.New("unknown")
			}
			r.run()
			if len(r.warned) > 0 {
				t.Errorf("warnings = %q, want none", r.warned)
			}
			wantTCP(t, r.fd(12), "toaccepted", unix.EAGAIN)
			wantTCP(t, r.fd(11), "toconnected", nil) // and the end of file
			if err := unix.Sendto(r.fd(11), []byte("more"), 0, nil); err != nil {
				t.Error(err)
			}
			wantTCP(t, r.fd(12), "more", unix.EAGAIN)
			if err := unix.Sendto(r.fd(12), []byte("x"), unix.MSG_NOSIGNAL, nil); err != unix.EPIPE {
				t.Errorf("send from the end that is shut down = %v, want EPIPE", err)
			}
			for _, o := range []struct{ num, level, name, want int }{
				{11, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
				{11, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 9},
				{12, unix.IPPROTO_TCP, unix.TCP_NODELAY, 0},
				{12, unix.SOL_SOCKET, unix.SO_RCVBUF, 60000},
				{11, unix.SOL_SOCKET, unix.SO_DOMAIN, family},
				{12, unix.SOL_SOCKET, unix.SO_DOMAIN, family},
			} {
				if got, err := unix.GetsockoptInt(r.fd(o.num), o.level, o.name); err != nil || got != o.want {
					t.Errorf("option %d of level %d of %d = %d, %v, want %d", o.name, o.level, o.num, got, err, o.want)
				}
			}
		})
	}
}

func TestWhatTheDrainReadPrecedesTheQueue(t *testing.T) {
	v := startVictim(t, inetVictim)
	v.talking(v4)
	v.do("send 11 still")
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 12)
	for _, s := range p.sources {
		p.conns[s.Stat.Ino] = Conn{Name: "c", Dialer: true, Drained: []byte("drained ")}
	}
	img := p.capture()
	v.cont()
	if got, err := p.blob(*img.Files[0].Inet.Queue); err != nil || string(got) != "drained still" {
		t.Errorf("queue = %q, %v, want %q", got, err, "drained still")
	}
}

func TestFreshAndBoundSocketsComeBack(t *testing.T) {
	v := startVictim(t, inetVictim)
	v.do(fmt.Sprintf("socket %d %d 10", v4, stream), fmt.Sprintf("socket %d %d 11", v6, stream), "bind 11 [::1]:0",
		fmt.Sprintf("set 11 %d %d 16", unix.IPPROTO_IPV6, unix.IPV6_TCLASS),
		fmt.Sprintf("socket %d %d 12", v4, unix.SOCK_DGRAM), "bind 12 127.0.0.1:0",
		fmt.Sprintf("set 12 %d %d 1", unix.SOL_SOCKET, unix.SO_BROADCAST), fmt.Sprintf("socket %d %d 13", v4, unix.SOCK_DGRAM))
	udp := v.ask("name 12")
	v.do("connect 13 " + udp)
	names := map[int]string{10: "", 11: v.ask("name 11"), 12: udp, 13: v.ask("name 13")}
	p, img := captureInetOf(t, v, 10, 11, 12, 13)
	p.end(v)
	r := p.restore(img)
	for num, want := range names {
		if got, _ := inetNames(r.fd(num)); got != want {
			t.Errorf("address of %d = %q, want %q", num, got, want)
		}
	}
	if _, got := inetNames(r.fd(13)); got != udp {
		t.Errorf("peer of 13 = %q, want %q", got, udp)
	}
	if err := unix.Sendto(r.fd(13), []byte("datagram"), 0, nil); err != nil {
		t.Fatal(err)
	}
	awaitReadable(t, r.fd(12))
	wantReceived(t, r.fd(12), "datagram")
	if got, err := unix.GetsockoptInt(r.fd(12), unix.SOL_SOCKET, unix.SO_BROADCAST); err != nil || got != 1 {
		t.Errorf("SO_BROADCAST = %d, %v, want 1", got, err)
	}
	if got, err := unix.GetsockoptInt(r.fd(11), unix.IPPROTO_IPV6, unix.IPV6_TCLASS); err != nil || got != 16 {
		t.Errorf("IPV6_TCLASS = %d, %v, want 16", got, err)
	}
	if err := unix.Listen(r.fd(11), 1); err != nil {
		t.Errorf("listen on the bound socket: %v", err)
	}
}

func TestConnectionsInTheMakingAskForAnotherTry(t *testing.T) {
	v := startVictim(t, inetVictim)
	v.do(fmt.Sprintf("socket %d %d 10", v4, stream), "bind 10 127.0.0.1:0", "listen 10 0")
	at := v.ask("name 10")
	// The queue of a backlog of 0 holds one; the third is not answered.
	for i := 11; i < 14; i++ {
		v.do(fmt.Sprintf("socket %d %d %d", v4, stream|unix.SOCK_NONBLOCK, i), fmt.Sprintf("connect %d %s", i, at))
	}
	v.stop()
	defer v.cont()
	for num, want := range map[int]string{10: "accepted", 13: "is connecting"} {
		p := newTestPod(t)
		p.add(v.pid, num)
		var retry *RetryError
		if err := p.tryCapture(); !errors.As(err, &retry) || !strings.Contains(err.Error(), want) {
			t.Errorf("Capture of %d = %v, want a RetryError that says %q", num, err, want)
		}
	}
}

func TestARawSocketCannotBeCheckpointed(t *testing.T) {
	fd, err := unix.Socket(v4, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
	if err != nil {
		t.Skipf("this user has no raw sockets: %v", err)
	}
	defer unix.Close(fd)
	p := newTestPod(t)
	s := &Source{FD: fd, PID: unix.Getpid(), Num: fd}
	if err := s.look(); err != nil {
		t.Fatal(err)
	}
	_, err = Capture(p, s)
	var no *UnsupportedError
	if !errors.As(err, &no) || no.Hint == "" {
		t.Errorf("Capture = %v, want an UnsupportedError with a hint", err)
	}
}
