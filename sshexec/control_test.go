package sshexec

import (
	"bufio"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"
)

func TestControlMasterIsRidden(t *testing.T) {
	w := newWorld(t)
	s := w.sshd("ed25519")
	dir := shortDir(t)
	w.host("n1", s, "ControlPath "+filepath.Join(dir, "m-%C"))
	opt := w.options()
	// With -f, ssh returns once it has logged in and made the socket.
	shell(t, "ssh -F "+opt.ConfigFile+" -M -f -N n1 2>/dev/null")
	sockets, err := filepath.Glob(filepath.Join(dir, "m-*"))
	if err != nil || len(sockets) != 1 {
		t.Fatalf("sockets of the master: %q, %v, want one", sockets, err)
	}
	over := false
	end := func() {
		if !over {
			shell(t, "ssh -F "+opt.ConfigFile+" -O exit n1 2>/dev/null")
			over = true
		}
	}
	defer end()

	w.defaults = "IdentityAgent none\nIdentityFile /nonexistent\n" // nothing else could log in
	h := w.dial("n1")
	if !h.conns[0].shared {
		t.Fatal("the connection is not the master's")
	}
	if out, stderr, st := output(t, h, "sh", "-c", "echo out; echo err >&2; exit 7"); out != "out\n" || stderr != "err\n" || st.Code != 7 {
		t.Errorf("output %q, %q, %v, want out, err, 7", out, stderr, st)
	}
	if _, _, st := output(t, h, "sh", "-c", "kill -USR1 $$"); st != (Status{Code: 138, Signal: "USR1"}) {
		t.Errorf("status %+v, want signal USR1", st)
	}
	if got := h.RemoteAddr().String(); got != fmt.Sprintf("127.0.0.1:%d", s.port) {
		t.Errorf("RemoteAddr() = %s, want port %d", got, s.port)
	}
	if got := h.LocalAddr().(*net.TCPAddr).IP.String(); got != "127.0.0.1" {
		t.Errorf("LocalAddr() = %s, want 127.0.0.1", got)
	}
	p, err := h.Start(t.Context(), []string{"cat"}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	roundTrip(t, p, 8<<20)
	if st, err := p.Wait(); st.Code != 0 || err != nil {
		t.Errorf("cat ended with %v, %v, want 0", st, err)
	}
	end()
	_, err = h.Start(t.Context(), []string{"cat"}, nil, "")
	wantError(t, err, "n1: starting a program: ", "login as "+w.user+" refused")
}

func TestHungControlMasterIsNoticed(t *testing.T) {
	w := newWorld(t)
	dir := shortDir(t)
	w.host("n1", w.sshd("ed25519"), "ControlPath "+filepath.Join(dir, "m"))
	opt := w.options()
	shell(t, "ssh -F "+opt.ConfigFile+" -M -f -N n1 2>/dev/null")
	defer shell(t, "ssh -F "+opt.ConfigFile+" -O exit n1 2>/dev/null")
	said, err := exec.Command("ssh", "-F", opt.ConfigFile, "-O", "check", "n1").CombinedOutput()
	if err != nil {
		t.Fatalf("ssh -O check: %v: %s", err, said)
	}
	pid, err := strconv.Atoi(regexp.MustCompile(`\d+`).FindString(string(said)))
	if err != nil {
		t.Fatal(err)
	}
	opt.KeepAlive = 500 * time.Millisecond
	opt.ConnectTimeout = 2 * time.Second
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
	for i := range 3 { // signs of life, asked through the master, do no harm
		if ok, err := p.ch.SendRequest("keepalive@openssh.com", true, nil); ok || err != nil {
			t.Errorf("keepalive %d: %v, %v, want to be refused", i, ok, err)
		}
	}
	fmt.Fprintln(p.Stdin, "alive")
	if line, err := bufio.NewReader(p.Stdout).ReadString('\n'); line != "alive\n" {
		t.Errorf("cat says %q, %v, want alive", line, err)
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(pid, syscall.SIGCONT)
	_, err = p.Wait()
	wantError(t, err, "n1: no sign of life for 1.5s")
	// A new login does not wait for the master for ever, and does without.
	again, err := Dial(t.Context(), Target{Host: "n1"}, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.conns[0].shared {
		t.Error("the connection is the hung master's, want our own")
	}
}

// A socket without a master behind it is what a crashed ssh leaves.
func TestStaleControlSocketIsPassedBy(t *testing.T) {
	w := newWorld(t)
	socket := filepath.Join(shortDir(t), "stale")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	w.host("n1", w.sshd("ed25519"), "ControlPath "+socket)
	h := w.dial("n1")
	if h.conns[0].shared {
		t.Error("the connection is a master's, want our own")
	}
}
