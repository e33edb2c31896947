package sshexec

import (
	"bufio"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A freezer passes connections on to a server until the network dies, or the
// server gets no processor any more.
type freezer struct {
	port int
	mu   sync.Mutex // held while the server gets no processor
	ins  []*net.TCPConn
}

func newFreezer(t *testing.T, port int) *freezer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &freezer{port: l.Addr().(*net.TCPAddr).Port}
	t.Cleanup(func() {
		l.Close()
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, in := range f.ins {
			in.Close()
		}
	})
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				in.Close()
				continue
			}
			f.mu.Lock()
			f.ins = append(f.ins, in.(*net.TCPConn))
			f.mu.Unlock()
			go f.copy(in, out)
			go f.copy(out, in)
		}
	}()
	return f
}

func (f *freezer) copy(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 1<<16)
	for {
		n, err := from.Read(buf)
		f.mu.Lock()
		f.mu.Unlock() //nolint:staticcheck // the lock is all
		if err != nil {
			return
		}
		to.Write(buf[:n])
	}
}

// cut has the kernel drop every packet that arrives at either end, before it is
// acknowledged (socket(7), SO_ATTACH_FILTER).
func (f *freezer) cut(t *testing.T, h *Host) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, end := range append(f.ins, h.tcp().(*net.TCPConn)) {
		raw, err := end.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		drop := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}
		if e := raw.Control(func(fd uintptr) {
			err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop})
		}); e != nil || err != nil {
			t.Fatal(e, err)
		}
	}
}

// frozen runs cat on a host behind a freezer.
func frozen(t *testing.T, keepAlive time.Duration) (*freezer, *Host, *Process) {
	t.Helper()
	w := newWorld(t)
	s := w.unknownSSHD("ed25519")
	f := newFreezer(t, s.port)
	s.port = f.port
	w.know(s.line("ed25519"))
	w.host("n1", s)
	opt := w.options()
	opt.KeepAlive = keepAlive
	h, err := Dial(t.Context(), Target{Host: "n1"}, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	p, err := h.Start(t.Context(), []string{"cat"}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return f, h, p
}

func TestDeadNetworkIsNoticed(t *testing.T) {
	f, h, p := frozen(t, 200*time.Millisecond)
	f.cut(t, h)
	_, err := p.Wait()
	wantError(t, err, "n1: no sign of life for 600ms")
	if _, err := p.Stdin.Write([]byte("x")); err == nil {
		t.Error("writing to a lost program succeeded, want an error")
	}
}

func TestHostWhoseKernelAnswersMayKeepSilentForLonger(t *testing.T) {
	f, _, p := frozen(t, 200*time.Millisecond)
	f.mu.Lock()
	time.Sleep(2 * time.Second) // three times what a dead network is given
	f.mu.Unlock()
	fmt.Fprintln(p.Stdin, "alive")
	if line, err := bufio.NewReader(p.Stdout).ReadString('\n'); line != "alive\n" {
		t.Errorf("cat says %q, %v, want alive", line, err)
	}
}

func TestHungHostIsNoticed(t *testing.T) {
	f, _, p := frozen(t, 100*time.Millisecond)
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := p.Wait()
	wantError(t, err, "n1: no sign of life for 2.5s")
}

func TestLostConnectionNamesTheHostAndTheNextStartMakesAnother(t *testing.T) {
	w := newWorld(t)
	w.host("n1", w.sshd("ed25519"))
	h := w.dial("n1")
	p, err := h.Start(t.Context(), []string{"sh", "-c", "kill -KILL $PPID; cat"}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	_, err = p.Wait()
	wantError(t, err, "n1: connection lost")
	if out, _, _ := output(t, h, "echo", "again"); out != "again\n" {
		t.Errorf("echo again = %q after a lost connection, want again", out)
	}
}
