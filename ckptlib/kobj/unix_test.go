package kobj

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPairsComeBackWithWhatWaitedInThem(t *testing.T) {
	tests := []struct {
		name string
		typ  int
		want []string
	}{
		{"stream", unix.SOCK_STREAM, []string{"onetwothree"}},
		{"datagram", unix.SOCK_DGRAM, []string{"one", "two", "three"}},
		{"seqpacket", unix.SOCK_SEQPACKET, []string{"one", "two", "three"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := startVictim(t, unixVictim)
			v.do(fmt.Sprintf("pair %d 10 11", tt.typ), "send 10 one", "send 10 two", "send 10 three", "send 11 back")
			p, img := captureUnixOf(t, v, 10, 11)
			a, b := p.checkTwice(img)
			for _, r := range []*restored{a, b} {
				if len(r.warned) > 0 {
					t.Errorf("warnings = %q, want none", r.warned)
				}
				wantReceived(t, r.fd(11), tt.want...)
				wantReceived(t, r.fd(10), "back")
				if err := unix.Sendto(r.fd(11), []byte("again"), 0, nil); err != nil {
					t.Fatal(err)
				}
				wantReceived(t, r.fd(10), "again")
			}
			for _, s := range p.sources {
				if off, err := unix.GetsockoptInt(s.FD, unix.SOL_SOCKET, unix.SO_PEEK_OFF); err != nil || off != -1 {
					t.Errorf("SO_PEEK_OFF of the captured socket = %d, %v, want -1", off, err)
				}
			}
			if got := v.ask("recv 11"); got != tt.want[0] {
				t.Errorf("after the capture the victim receives %q, want %q", got, tt.want[0])
			}
		})
	}
}

// How much fits into a stream depends on the pieces that it was sent in.
func TestFullStreamsComeBackFull(t *testing.T) {
	for _, piece := range []int{1000, 64 << 10, 1 << 20} {
		v := startVictim(t, unixVictim)
		v.do(fmt.Sprintf("pair %d 10 11", unix.SOCK_STREAM), fmt.Sprintf("fill 10 %d", piece))
		p, img := captureUnixOf(t, v, 10, 11)
		want, err := unix.IoctlGetInt(p.sources[2].FD, unix.TIOCINQ)
		if err != nil {
			t.Fatal(err)
		}
		r := p.restore(img)
		got, err := unix.IoctlGetInt(r.fd(11), unix.TIOCINQ)
		if err != nil || got != want || got < 50000 {
			t.Errorf("a stream filled with pieces of %d bytes has %d, %v, want %d", piece, got, err, want)
		}
		was, err := unix.GetsockoptInt(p.sources[1].FD, unix.SOL_SOCKET, unix.SO_SNDBUF)
		if err != nil {
			t.Fatal(err)
		}
		if is, err := unix.GetsockoptInt(r.fd(10), unix.SOL_SOCKET, unix.SO_SNDBUF); err != nil || is != was {
			t.Errorf("its send buffer is %d, %v, want %d", is, err, was)
		}
	}
}

func TestQueuedDescriptorsComeBack(t *testing.T) {
	for _, typ := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM} {
		v := startVictim(t, unixVictim)
		v.do(fmt.Sprintf("pair %d 10 11", typ), "pipe 20 21 inpipe",
			"send 10 before", "sendfd 10 20 with", "sendfd 10 10 itself", "send 10 after", "close 20")
		p, img := captureUnixOf(t, v, 10, 11, 21)
		r := p.restore(img)
		want := "beforewith" // a stream joins them, and stops behind a descriptor
		if typ == unix.SOCK_DGRAM {
			want = "with"
			if got, _, fds := received(t, r.fd(11)); got != "before" || len(fds) != 0 {
				t.Errorf("received %q with %d descriptors, want %q with none", got, len(fds), "before")
			}
		}
		got, _, fds := received(t, r.fd(11))
		if got != want || len(fds) != 1 {
			t.Fatalf("received %q with %d descriptors, want %q with one", got, len(fds), want)
		}
		b := make([]byte, 20)
		if n, err := unix.Read(fds[0], b); err != nil || string(b[:n]) != "inpipe" {
			t.Errorf("read from the queued pipe = %q, %v", b[:n], err)
		}
		unix.Close(fds[0])
		got, _, fds = received(t, r.fd(11))
		if got != "itself" || len(fds) != 1 || !sameFile(os.Getpid(), fds[0], os.Getpid(), r.fd(10)) {
			t.Errorf("received %q with %v, want the other end of the pair itself", got, fds)
		}
		wantReceived(t, r.fd(11), "after")
		for _, fd := range fds {
			unix.Close(fd)
		}
		if err := unix.Sendto(r.fd(11), []byte("x"), 0, nil); err != nil {
			t.Error(err)
		}
	}
}

// TestAutoboundDatagramSocketsKeepTheirNames is UCX's use: a name made by the
// kernel that has been told to others.
func TestAutoboundDatagramSocketsKeepTheirNames(t *testing.T) {
	v := startVictim(t, unixVictim)
	v.do("socket 2 10", "autobind 10", "socket 2 11", "autobind 11", "socket 2 12")
	name, other := v.ask("name 10"), v.ask("name 11")
	v.do("sendto 11 "+name+" fromother", "sendto 12 "+name+" fromnobody", "connect 11 "+name)
	p, img := captureUnixOf(t, v, 10, 11, 12)
	if got := v.ask("recv 10"); got != "fromother" {
		t.Errorf("after the capture the victim receives %q, want %q", got, "fromother")
	}
	p.end(v)
	r := p.restore(img)
	for num, want := range map[int]string{10: name, 11: other, 12: ""} {
		if got, _, err := rawNames(r.fd(num)); err != nil || fmt.Sprintf("%x", got) != want {
			t.Errorf("name of %d = %x, %v, want %s", num, got, err, want)
		}
	}
	if _, peer, err := rawNames(r.fd(11)); err != nil || fmt.Sprintf("%x", peer) != name {
		t.Errorf("peer of 11 = %x, %v, want %s", peer, err, name)
	}
	sender, err := hex.DecodeString(other)
	if err != nil {
		t.Fatal(err)
	}
	if got, from, _ := received(t, r.fd(10)); got != "fromother" || from != "@"+string(sender[1:]) {
		t.Errorf("received %q from %q, want %q from %q", got, from, "fromother", sender)
	}
	wantReceived(t, r.fd(10), "fromnobody")
	if err := unix.Sendto(r.fd(11), []byte("connected"), 0, nil); err != nil {
		t.Error(err)
	}
	wantReceived(t, r.fd(10), "connected")
}

func TestANameThatIsTakenIsAnError(t *testing.T) {
	v := startVictim(t, unixVictim)
	v.do("socket 2 10", "autobind 10")
	p, img := captureUnixOf(t, v, 10)
	err := p.newMaker(img).try() // the victim still has it
	if !errors.Is(err, unix.EADDRINUSE) || !strings.Contains(err.Error(), "another host") && !strings.Contains(err.Error(), "a host where") {
		t.Errorf("Restore = %v, want EADDRINUSE and a remedy", err)
	}
}

func TestListenersComeBackAtTheirPaths(t *testing.T) {
	dir := t.TempDir()
	abs, rel := filepath.Join(dir, "abs"), "rel"
	for _, path := range []string{abs, rel} {
		t.Run(filepath.Base(path), func(t *testing.T) {
			v := startVictim(t, unixVictim)
			v.do("chdir "+dir, "socket 1 10", fmt.Sprintf("bind 10 %x", path), "listen 10", "socket 1 11", fmt.Sprintf("connect 11 %x", path), "accept 10 12", "send 12 hello")
			full := filepath.Join(dir, filepath.Base(path))
			if err := os.Chmod(full, 0o640); err != nil {
				t.Fatal(err)
			}
			p, img := captureUnixOf(t, v, 10, 11, 12)
			img.Processes[0].FS.Cwd = dir
			p.end(v)
			was, err := os.Getwd()
			if err != nil {
				t.Fatal(err)
			}
			defer os.Chdir(was)
			r := p.restore(img) // the old socket file is still there
			if got, _, err := rawNames(r.fd(10)); err != nil || string(got) != path {
				t.Errorf("name of the listener = %q, %v, want %q", got, err, path)
			}
			if fi, err := os.Stat(full); err != nil || fi.Mode().Perm() != 0o640 {
				t.Errorf("mode of %s = %v, %v, want 0640", full, fi.Mode(), err)
			}
			wantReceived(t, r.fd(11), "hello")
			c, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(c)
			if err := unix.Connect(c, &unix.SockaddrUnix{Name: full}); err != nil {
				t.Errorf("connect to the restored listener: %v", err)
			}
			n, _, err := unix.Accept(r.fd(10))
			if err != nil {
				t.Fatal(err)
			}
			unix.Close(n)
			d, err := DumpUnix()
			if err != nil {
				t.Fatal(err)
			}
			var st unix.Stat_t
			if err := unix.Fstat(r.fd(10), &st); err != nil {
				t.Fatal(err)
			}
			if got := d[st.Ino].WQueue; got != 7 {
				t.Errorf("backlog = %d, want 7", got)
			}
		})
	}
}

func TestAPathThatWasDeletedStaysDeleted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gone")
	v := startVictim(t, unixVictim)
	v.do("socket 2 10", fmt.Sprintf("bind 10 %x", path))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, img := captureUnixOf(t, v, 10)
	p.end(v)
	r := p.restore(img)
	if got, _, err := rawNames(r.fd(10)); err != nil || string(got) != path {
		t.Errorf("name = %q, %v, want %q", got, err, path)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "another" {
		t.Errorf("the file that is there = %q, %v, want it untouched", b, err)
	}
}

func TestALiveSocketIsNotReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine")
	v := startVictim(t, unixVictim)
	v.do("socket 1 10", fmt.Sprintf("bind 10 %x", path), "listen 10")
	p, img := captureUnixOf(t, v, 10)
	if err := p.newMaker(img).try(); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("Restore at a living socket's path = %v, want EADDRINUSE", err)
	}
}

func TestConnectionsNotYetAcceptedAskForAnotherTry(t *testing.T) {
	v := startVictim(t, unixVictim)
	name := fmt.Sprintf("%x", fmt.Sprintf("\x00kobj-test-%d", os.Getpid()))
	v.do("socket 1 10", "bind 10 "+name, "listen 10", "socket 1 11", "connect 11 "+name)
	p := standingUnix(t, v, 10, 11)
	err := p.tryCapture()
	v.cont()
	var retry *RetryError
	if !errors.As(err, &retry) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", v.pid)) {
		t.Fatalf("Capture = %v, want a RetryError that names the process", err)
	}
	v.do("accept 10 12")
	if p, img := captureUnixOf(t, v, 10, 11, 12); len(img.Files) != 3 {
		t.Errorf("%d files, want 3", len(p.img.Files))
	}
}

// TestWhatLeadsOutsideIsClosed connects a victim to a socket of the test, which
// is not in the pod.
func TestWhatLeadsOutsideIsClosed(t *testing.T) {
	name := fmt.Sprintf("\x00kobj-test-%d", os.Getpid())
	l, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(l)
	if err := withName(unix.SYS_BIND, l, []byte(name)); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(l, 5); err != nil {
		t.Fatal(err)
	}
	v := startVictim(t, unixVictim)
	v.do("socket 1 10", fmt.Sprintf("connect 10 %x", name))
	c, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(c)
	if _, err := unix.Write(c, []byte("unread")); err != nil {
		t.Fatal(err)
	}
	p, img := captureUnixOf(t, v, 10)
	r := p.restore(img)
	if got, _, _ := received(t, r.fd(10)); got != "unread" {
		t.Errorf("received %q, want what was unread", got)
	}
	if got, _, _ := received(t, r.fd(10)); got != "" {
		t.Errorf("received %q, want the end of file", got)
	}
	if err := unix.Sendto(r.fd(10), []byte("x"), unix.MSG_NOSIGNAL, nil); !errors.Is(err, unix.EPIPE) {
		t.Errorf("send = %v, want EPIPE", err)
	}
	if len(r.warned) != 1 || !strings.Contains(r.warned[0], name[1:]) {
		t.Errorf("warnings = %q, want one that names the peer", r.warned)
	}
}
