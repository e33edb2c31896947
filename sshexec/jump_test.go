package sshexec

import (
	"fmt"
	"strings"
	"testing"
)

func TestJumpHostsAreGoneThroughAndShared(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.sshd("ed25519"), w.sshd("rsa"), w.sshd("ecdsa")
	w.host("a", a)
	w.host("b", b, "ProxyJump nowhere") // the list of hops overrides it
	for i := range 4 {
		w.host(fmt.Sprintf("c%d", i), c, "ProxyJump a,"+fmt.Sprintf("ssh://%s@b:%d", w.user, b.port))
	}
	hosts, err := DialAll(t.Context(), []Target{{Host: "c0"}, {Host: "c1"}, {Host: "c2"}, {Host: "c3"}}, w.options())
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hosts {
		out, _, _ := output(t, h, "sh", "-c", "echo $SSH_CONNECTION")
		if f := strings.Fields(out); f[3] != fmt.Sprint(c.port) {
			t.Errorf("SSH_CONNECTION = %q, want port %d", out, c.port)
		}
		if got := h.RemoteAddr().String(); got != fmt.Sprintf("127.0.0.1:%d", c.port) {
			t.Errorf("RemoteAddr() = %s, want port %d", got, c.port)
		}
	}
	d := hosts[0].d
	d.mu.Lock()
	var lost []chan struct{}
	for _, g := range d.gates {
		lost = append(lost, g.lost)
	}
	d.mu.Unlock()
	if len(lost) != 2 {
		t.Errorf("%d connections to jump hosts, want 2", len(lost))
	}
	hosts[0].Close()
	if out, _, _ := output(t, hosts[1], "echo", "still here"); out != "still here\n" {
		t.Errorf("echo = %q after another host was closed, want still here", out)
	}
	for _, h := range hosts[1:] {
		h.Close()
	}
	for _, l := range lost {
		<-l // all that went through it is given back by then
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.gates) != 0 {
		t.Errorf("%d connections to jump hosts are left, want 0", len(d.gates))
	}
}

func TestErrorsOfJumpHostsNameBothHosts(t *testing.T) {
	w := newWorld(t)
	w.host("gate", w.unknownSSHD("ed25519"))
	w.host("inner", silent(t), "ProxyJump gate")
	w.host("ring", silent(t), "ProxyJump ring2")
	w.host("ring2", silent(t), "ProxyJump ring")
	_, err := Dial(t.Context(), Target{Host: "inner"}, w.options())
	wantError(t, err, "inner: jump host gate: ", "is in none of", "ssh-keyscan")
	_, err = Dial(t.Context(), Target{Host: "ring"}, w.options())
	wantError(t, err, "ring: ", "leads through itself", "circle")
}

func TestProxyCommandCarriesTheConnection(t *testing.T) {
	w := newWorld(t)
	s := w.sshd("ed25519")
	w.host("gate", s)
	opt := w.options()
	// ssh -W is the netcat that every host with OpenSSH has.
	w.host("inner", s, "ProxyCommand ssh -F "+opt.ConfigFile+" -W %h:%p gate")
	h := w.dial("inner")
	if out, _, _ := output(t, h, "echo", "in"); out != "in\n" {
		t.Errorf("echo in = %q, want %q", out, "in\n")
	}
	w.host("broken", s, "ProxyCommand exit 3")
	_, err := Dial(t.Context(), Target{Host: "broken"}, w.options())
	wantError(t, err, "broken: ")
}
