package kobj

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/conn"
	"github.com/gompirun/gompirun/ckptlib/image"
)

// inetVictim makes sockets as it is told and answers for what it has:
//
//	socket FAMILY TYPE FD | mptcp FAMILY FD | bind FD ADDR | listen FD BACKLOG | connect FD ADDR | accept FD NEW
//	send FD TEXT | recv FD | close FD | shutdown FD HOW | set FD LEVEL OPTION VALUE | name FD | nonblock FD
//	oob FD TEXT | getoob FD | join FD INTERFACE GROUP [SOURCE]
var inetVictim = victimProgram("inet", func(v *victimSide) {
	v.say("ready")
	for {
		w := strings.Fields(v.hear())
		num := func(i int) int {
			var n int
			_, err := fmt.Sscan(w[i], &n)
			v.must(err)
			return n
		}
		addr := func(fd, i int) unix.Sockaddr {
			family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
			v.must(err)
			sa, err := inetAddr(family, w[i])
			v.must(err)
			return sa
		}
		switch w[0] {
		case "socket":
			fd, err := unix.Socket(num(1), num(2), 0)
			v.must(err)
			v.at(num(3), fd)
		case "mptcp":
			fd, err := unix.Socket(num(1), unix.SOCK_STREAM, unix.IPPROTO_MPTCP)
			v.must(err)
			v.at(num(2), fd)
		case "bind":
			v.must(unix.Bind(num(1), addr(num(1), 2)))
		case "listen":
			v.must(unix.Listen(num(1), num(2)))
		case "connect":
			if err := unix.Connect(num(1), addr(num(1), 2)); err != unix.EINPROGRESS {
				v.must(err)
			}
		case "accept":
			fd, _, err := unix.Accept(num(1))
			v.must(err)
			v.at(num(2), fd)
		case "send":
			v.must(unix.Sendto(num(1), []byte(w[2]), 0, nil))
		case "recv":
			var b [100]byte
			n, _, err := unix.Recvfrom(num(1), b[:], unix.MSG_DONTWAIT)
			if err != nil {
				v.say("%v", err)
				continue
			}
			v.say("%s", b[:n])
			continue
		case "close":
			v.must(unix.Close(num(1)))
		case "shutdown":
			v.must(unix.Shutdown(num(1), num(2)))
		case "set":
			v.must(unix.SetsockoptInt(num(1), num(2), num(3), num(4)))
		case "oob":
			v.must(unix.Sendto(num(1), []byte(w[2]), unix.MSG_OOB, nil))
		case "getoob":
			var b [1]byte
			_, _, err := unix.Recvfrom(num(1), b[:], unix.MSG_OOB)
			v.say("%s %v", b[:], err)
			continue
		case "join": // FD INTERFACE GROUP [SOURCE]
			g := image.Membership{Interface: w[2], Group: netip.MustParseAddr(w[3]), Exclude: len(w) == 4}
			if !g.Exclude {
				g.Sources = []netip.Addr{netip.MustParseAddr(w[4])}
			}
			v.must(joinGroup(num(1), g))
		case "linger":
			v.must(unix.SetsockoptLinger(num(1), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: int32(num(2))}))
		case "nonblock":
			v.must(unix.SetNonblock(num(1), true))
		case "name":
			local, _ := inetNames(num(1))
			v.say("%s", local)
			continue
		default:
			v.must(fmt.Errorf("what is %q", w))
		}
		v.say("ok")
	}
})

const v4, v6, stream = unix.AF_INET, unix.AF_INET6, unix.SOCK_STREAM

// listening has a victim listen on a port of an address, under number 10.
func (v *victim) listening(family int, addr string) string {
	v.t.Helper()
	v.do(fmt.Sprintf("socket %d %d 10", family, stream))
	if family == v6 {
		v.do(fmt.Sprintf("set 10 %d %d 0", unix.IPPROTO_IPV6, unix.IPV6_V6ONLY))
	}
	v.do("bind 10 "+addr, "listen 10 7")
	return v.ask("name 10")
}

// talking has a victim connect 11 to 12 over a listener that it closes.
func (v *victim) talking(family int) {
	v.t.Helper()
	addr := "127.0.0.1:0"
	if family == v6 {
		addr = "[::ffff:127.0.0.1]:0"
	}
	at := v.listening(family, addr)
	v.do(fmt.Sprintf("socket %d %d 11", family, stream), "connect 11 "+at, "accept 10 12", "close 10")
}

func captureInetOf(t *testing.T, v *victim, nums ...int) (*testPod, *image.Pod) {
	t.Helper()
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, nums...)
	img := p.capture()
	v.cont()
	return p, img
}

// awaitReadable waits for a datagram on its way: the loopback device may deliver it
// after the call that sent it.
func awaitReadable(t *testing.T, fd int) {
	t.Helper()
	const limit = 10_000 // ms
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		switch n, err := unix.Poll(p, limit); {
		case err == unix.EINTR:
		case err != nil:
			t.Fatal(err)
		case n == 0:
			t.Fatal("nothing arrives")
		default:
			return
		}
	}
}

// readTCP reads what comes, up to the end or an error or a pause.
func readTCP(t *testing.T, fd int) (string, error) {
	t.Helper()
	var all []byte
	b := make([]byte, 1<<16)
	for {
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 100); err != nil && err != unix.EINTR {
			t.Fatal(err)
		}
		n, _, err := unix.Recvfrom(fd, b, unix.MSG_DONTWAIT)
		if err != nil || n == 0 {
			return string(all), err
		}
		all = append(all, b[:n]...)
	}
}

func wantTCP(t *testing.T, fd int, want string, wantErr error) {
	t.Helper()
	got, err := readTCP(t, fd)
	if got != want || !errors.Is(err, wantErr) {
		t.Errorf("read = %.60q and then %v, want %.60q and %v", got, err, want, wantErr)
	}
}

// matchConns does the coordinator's part for connections within the pod.
func (p *testPod) matchConns(t *testing.T) map[conn.ID]int {
	t.Helper()
	var ends conn.Ends
	var fds []int
	for _, s := range p.sources {
		e, err := conn.Describe(s.FD)
		if err != nil {
			t.Fatal(err)
		}
		ends, fds = append(ends, e), append(fds, s.FD)
	}
	families := map[conn.ID]int{}
	for i, where := range conn.Match([]conn.Ends{ends})[0] {
		if where == conn.None {
			continue
		}
		id := ends[i].ID(where)
		p.conns[ends[i].Inode] = Conn{Name: id.Name, Dialer: id.Dialer}
		family, err := unix.GetsockoptInt(fds[i], unix.SOL_SOCKET, unix.SO_DOMAIN)
		if err != nil {
			t.Fatal(err)
		}
		families[id] = family
	}
	if len(families) == 0 {
		t.Fatalf("no connection among %v", ends)
	}
	return families
}

// joinAgain connects, exchanges and refills.
func joinAgain(t *testing.T, p *testPod, img *image.Pod, families map[conn.ID]int) []*conn.Stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	j, err := conn.Listen(netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	var plan []conn.Plan
	for id, family := range families {
		plan = append(plan, conn.Plan{ID: id, Family: family, Peer: j.Addrs().For(families[id.Peer()])})
	}
	fds, err := j.Join(ctx, plan, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	var streams []*conn.Stream
	for id, fd := range fds {
		t.Cleanup(func() { unix.Close(fd) })
		s := &conn.Stream{ID: id, FD: fd}
		for _, f := range img.Files {
			if n := f.Inet; n.Conn == id.Name && n.Dialer == id.Dialer && n.Queue != nil {
				if s.Queue, err = p.blob(*n.Queue); err != nil {
					t.Fatal(err)
				}
			}
		}
		streams = append(streams, s)
	}
	if err := conn.Exchange(ctx, streams); err != nil {
		t.Fatal(err)
	}
	if err := conn.Refill(ctx, streams); err != nil {
		t.Fatal(err)
	}
	return streams
}
