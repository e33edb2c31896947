package sshexec

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
)

// A freezer is a network that can die: it passes connections on to a server
// until freeze, and then nothing, without closing them.
type freezer struct {
	port   int
	mu     sync.Mutex
	frozen bool
	thaw   chan struct{}
}

func newFreezer(t *testing.T, port int) *freezer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &freezer{port: l.Addr().(*net.TCPAddr).Port, thaw: make(chan struct{})}
	t.Cleanup(func() { l.Close(); close(f.thaw) })
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
		frozen := f.frozen
		f.mu.Unlock()
		if frozen {
			<-f.thaw
			return
		}
		if err != nil {
			return
		}
		to.Write(buf[:n])
	}
}

func (f *freezer) freeze() {
	f.mu.Lock()
	f.frozen = true
	f.mu.Unlock()
}

func TestDeadNetworkIsNoticed(t *testing.T) {
	w := newWorld(t)
	s := w.unknownSSHD("ed25519")
	f := newFreezer(t, s.port)
	s.port = f.port
	w.know(s.line("ed25519"))
	w.host("n1", s)
	opt := w.options()
	opt.KeepAlive = 200 * time.Millisecond
	h, err := Dial(t.Context(), Target{Host: "n1"}, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	p, err := h.Start(t.Context(), []string{"cat"}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	f.freeze()
	start := time.Now()
	_, err = p.Wait()
	wantError(t, err, "n1: no sign of life for 600ms")
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("it took %v, want about 600ms", d)
	}
	if _, err := p.Stdin.Write([]byte("x")); err == nil {
		t.Error("writing to a lost program succeeded, want an error")
	}
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
