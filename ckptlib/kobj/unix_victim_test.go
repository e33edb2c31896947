package kobj

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// unixVictim makes sockets as it is told and answers for what it has:
//
//	pair TYPE A B | bind FD NAME(hex) | socket TYPE FD | listen FD | connect FD NAME
//	send FD TEXT | sendfd FD OTHER TEXT | sendto FD NAME TEXT | recv FD | accept FD NEW
//	fill FD BYTES | close FD | shutdown FD HOW | set FD OPTION VALUE | autobind FD | name FD | pipe R W TEXT
var unixVictim = victimProgram("unix", func(v *victimSide) {
	v.say("ready")
	for {
		w := strings.Fields(v.hear())
		num := func(i int) int {
			var n int
			_, err := fmt.Sscan(w[i], &n)
			v.must(err)
			return n
		}
		name := func(i int) []byte {
			b, err := hex.DecodeString(w[i])
			v.must(err)
			return b
		}
		switch w[0] {
		case "pair":
			ends, err := unix.Socketpair(unix.AF_UNIX, num(1), 0)
			v.must(err)
			v.at(num(2), ends[0])
			v.at(num(3), ends[1])
		case "socket":
			fd, err := unix.Socket(unix.AF_UNIX, num(1), 0)
			v.must(err)
			v.at(num(2), fd)
		case "pipe":
			var p [2]int
			v.must(unix.Pipe2(p[:], 0))
			v.at(num(1), p[0])
			v.at(num(2), p[1])
			_, err := unix.Write(num(2), []byte(w[3]))
			v.must(err)
		case "bind":
			v.must(withName(unix.SYS_BIND, num(1), name(2)))
		case "autobind":
			v.must(unix.Bind(num(1), &unix.SockaddrUnix{}))
		case "listen":
			v.must(unix.Listen(num(1), 7))
		case "connect":
			v.must(withName(unix.SYS_CONNECT, num(1), name(2)))
		case "accept":
			fd, _, err := unix.Accept(num(1))
			v.must(err)
			v.at(num(2), fd)
		case "send":
			v.must(unix.Sendto(num(1), []byte(w[2]), 0, nil))
		case "fill":
			var err error
			for err == nil {
				_, err = unix.SendmsgN(num(1), make([]byte, num(2)), nil, nil, unix.MSG_DONTWAIT)
			}
			if !errors.Is(err, unix.EAGAIN) {
				v.must(err)
			}
		case "sendfd":
			v.must(unix.Sendmsg(num(1), []byte(w[3]), unix.UnixRights(num(2)), nil, 0))
		case "sendto":
			v.must(unix.Sendto(num(1), []byte(w[3]), 0, &unix.SockaddrUnix{Name: strings.Replace(string(name(2)), "\x00", "@", 1)}))
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
			v.must(unix.SetsockoptInt(num(1), unix.SOL_SOCKET, num(2), num(3)))
		case "chdir":
			v.must(unix.Chdir(w[1]))
		case "name":
			p, _, err := rawNames(num(1))
			v.must(err)
			v.say("%x", p)
			continue
		default:
			v.must(fmt.Errorf("what is %q", w))
		}
		v.say("ok")
	}
})

// do tells a unix victim several things.
func (v *victim) do(lines ...string) {
	v.t.Helper()
	for _, l := range lines {
		if got := v.ask(l); got != "ok" {
			v.t.Fatalf("%s: %s", l, got)
		}
	}
}

// captureUnixOf stops a victim, captures descriptors and kills the victim, whose
// names in the network namespace are free then.
func captureUnixOf(t *testing.T, v *victim, nums ...int) (*testPod, *image.Pod) {
	t.Helper()
	p := standingUnix(t, v, nums...)
	img := p.capture()
	v.cont()
	return p, img
}

func standingUnix(t *testing.T, v *victim, nums ...int) *testPod {
	t.Helper()
	v.stop()
	p := newTestPod(t)
	var err error
	if p.diag, err = DumpUnix(); err != nil {
		t.Fatal(err)
	}
	p.add(v.pid, nums...)
	return p
}

// end kills a victim and forgets what the pod has of it, so that its sockets
// are gone.
func (p *testPod) end(v *victim) {
	v.kill()
	for _, s := range p.sources {
		unix.Close(s.FD)
		s.FD = -1
	}
}

func rawNames(fd int) (local, peer []byte, err error) {
	get := func(f func(int) (unix.Sockaddr, error)) ([]byte, error) {
		sa, err := f(fd)
		if err != nil {
			return nil, err
		}
		u, ok := sa.(*unix.SockaddrUnix)
		if !ok {
			return nil, fmt.Errorf("%T is no unix address", sa)
		}
		if u.Name == "@" {
			return nil, nil
		}
		if strings.HasPrefix(u.Name, "@") {
			return []byte("\x00" + u.Name[1:]), nil
		}
		return []byte(u.Name), nil
	}
	if local, err = get(unix.Getsockname); err != nil {
		return nil, nil, err
	}
	peer, err = get(unix.Getpeername)
	if errors.Is(err, unix.ENOTCONN) {
		err = nil
	}
	return local, peer, err
}

// received is a message that a test reads.
func received(t *testing.T, fd int) (text string, from string, fds []int) {
	t.Helper()
	b, oob := make([]byte, 200), make([]byte, 200)
	n, oobn, _, sa, err := unix.Recvmsg(fd, b, oob, unix.MSG_DONTWAIT)
	if err != nil {
		t.Fatalf("recvmsg: %v", err)
	}
	cmsgs, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cmsgs {
		if c.Header.Type == unix.SCM_RIGHTS {
			got, err := unix.ParseUnixRights(&c)
			if err != nil {
				t.Fatal(err)
			}
			fds = append(fds, got...)
		}
	}
	if u, ok := sa.(*unix.SockaddrUnix); ok {
		from = u.Name
	}
	return string(b[:n]), from, fds
}

func wantReceived(t *testing.T, fd int, want ...string) {
	t.Helper()
	for _, w := range want {
		if got, _, _ := received(t, fd); got != w {
			t.Errorf("received %q, want %q", got, w)
		}
	}
	var b [1]byte
	if n, _, err := unix.Recvfrom(fd, b[:], unix.MSG_DONTWAIT); err != unix.EAGAIN {
		t.Errorf("after that, recv = %d %q, %v, want EAGAIN", n, b[:n], err)
	}
}
