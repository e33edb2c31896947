package sshexec

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// silent listens and never says a word; what it accepts stays open.
func silent(t *testing.T) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &server{port: l.Addr().(*net.TCPAddr).Port}
}

func TestDeadHostsAreAllNamedWithinTheTimeLimit(t *testing.T) {
	w := newWorld(t)
	w.host("good", w.sshd("ed25519"))
	w.host("closed", &server{port: freePort(t)})
	w.host("mute", silent(t), "ConnectTimeout 1")
	w.host("hop", silent(t), "ConnectTimeout 1", "ProxyJump good")
	fmt.Fprintln(&w.config, "Host gone\nHostName 192.0.2.1\nConnectTimeout 1") // TEST-NET-1: nobody answers, or no route
	targets := []Target{{Host: "good"}, {Host: "closed"}, {Host: "mute"}, {Host: "gone"}, {Host: "hop"}}
	start := time.Now()
	hosts, err := DialAll(t.Context(), targets, w.options())
	if d := time.Since(start); d > 4*time.Second {
		t.Errorf("DialAll took %v, want about 1s", d)
	}
	wantError(t, err, "closed: connecting to port", "connection refused", "mute: no answer from 127.0.0.1:", "within 1s", "gone: ", "hop: ")
	if hosts != nil || strings.Contains(err.Error(), "good: ") {
		t.Errorf("DialAll = %v, %v, want no hosts and no word of the good one", hosts, err)
	}
	var h *HostError
	if !errors.As(err, &h) || h.Host != "closed" {
		t.Errorf("the first error is %#v, want a HostError of closed", h)
	}
}

func TestDialAllKeepsTheOrderOfHosts(t *testing.T) {
	w := newWorld(t)
	s := w.sshd("ed25519", "MaxStartups 3:100:4") // and outlasts a server that drops connections
	var targets []Target
	for i := range 12 {
		w.host(fmt.Sprintf("n%d", i), s)
		targets = append(targets, Target{Host: fmt.Sprintf("n%d", i)})
	}
	d := newDialer(w.options())
	d.slots = make(chan struct{}, 4)
	var wg sync.WaitGroup
	for _, target := range targets {
		wg.Go(func() {
			h, err := d.dial(t.Context(), target)
			if err != nil {
				t.Error(err)
				return
			}
			h.Close()
		})
	}
	wg.Wait()
	hosts, err := DialAll(t.Context(), targets[:3], w.options())
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range hosts {
		if h.Target != targets[i] {
			t.Errorf("host %d is %v, want %v", i, h.Target, targets[i])
		}
		h.Close()
	}
}

func TestTargetOverridesTheConfiguration(t *testing.T) {
	w := newWorld(t)
	s := w.sshd("ed25519")
	w.host("n1", &server{port: 1}, "User nobody")
	h, err := Dial(t.Context(), Target{Host: "n1", User: w.user, Port: s.port}, w.options())
	if err != nil {
		t.Fatal(err)
	}
	h.Close()
}

func TestAddressesAreThoseOfTheConnection(t *testing.T) {
	w := newWorld(t)
	s := w.sshd("ed25519")
	w.host("n1", s)
	h := w.dial("n1")
	out, _, _ := output(t, h, "sh", "-c", "echo $SSH_CONNECTION")
	f := strings.Fields(out)
	if got, want := h.LocalAddr().String(), net.JoinHostPort(f[0], f[1]); got != want {
		t.Errorf("LocalAddr() = %s, want %s", got, want)
	}
	if got, want := h.RemoteAddr().String(), net.JoinHostPort(f[2], f[3]); got != want {
		t.Errorf("RemoteAddr() = %s, want %s", got, want)
	}
}

func TestMoreSessionsThanOneConnectionAllows(t *testing.T) {
	w := newWorld(t)
	w.host("n1", w.sshd("ed25519", "MaxSessions 4"))
	h := w.dial("n1")
	const n = 14
	procs := make([]*Process, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			p, err := h.Start(t.Context(), []string{"cat"}, nil, "")
			if err != nil {
				t.Error(err)
				return
			}
			procs[i] = p
		})
	}
	wg.Wait()
	for i, p := range procs {
		if p == nil {
			continue
		}
		fmt.Fprint(p.Stdin, i)
		p.Stdin.Close()
		b, err := io.ReadAll(p.Stdout)
		if err != nil || string(b) != fmt.Sprint(i) {
			t.Errorf("process %d says %q, %v", i, b, err)
		}
		p.Close()
	}
	if got := len(h.conns); got != 4 {
		t.Errorf("%d sessions took %d connections, want 4", n, got)
	}
}
