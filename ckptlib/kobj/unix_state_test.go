package kobj

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestADatagramSocketIsConnectedToTheNewLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	open := func() int {
		t.Helper()
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		_ = os.Remove(path)
		if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
			t.Fatal(err)
		}
		return fd
	}
	open()
	v := startVictim(t, unixVictim)
	v.do("socket 2 10", fmt.Sprintf("connect 10 %x", path))
	p, img := captureUnixOf(t, v, 10)
	log := open() // on the new host
	r := p.restore(img)
	if err := unix.Sendto(r.fd(10), []byte("entry"), 0, nil); err != nil {
		t.Fatal(err)
	}
	wantReceived(t, log, "entry")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if r := p.restore(img); len(r.warned) != 1 || !strings.Contains(r.warned[0], path) {
		t.Errorf("warnings without a log = %q, want one that names it", r.warned)
	}
}

func TestShutdownsAndEndsOfPeersComeBack(t *testing.T) {
	read := func(t *testing.T, fd int) string {
		var b [50]byte
		n, _, err := unix.Recvfrom(fd, b[:], unix.MSG_DONTWAIT)
		if err != nil {
			return err.Error()
		}
		return string(b[:n])
	}
	write := func(fd int) error { return unix.Sendto(fd, []byte("x"), unix.MSG_NOSIGNAL, nil) }
	t.Run("half closed", func(t *testing.T) {
		v := startVictim(t, unixVictim)
		v.do("pair 1 10 11", "send 10 last", "shutdown 10 1")
		p, img := captureUnixOf(t, v, 10, 11)
		r := p.restore(img)
		if got := []string{read(t, r.fd(11)), read(t, r.fd(11))}; got[0] != "last" || got[1] != "" {
			t.Errorf("read = %q, want the last bytes and the end", got)
		}
		if err := write(r.fd(10)); !errors.Is(err, unix.EPIPE) {
			t.Errorf("send from the end that is shut down = %v, want EPIPE", err)
		}
		if err := write(r.fd(11)); err != nil {
			t.Errorf("send in the other direction = %v", err)
		}
	})
	t.Run("peer closed", func(t *testing.T) {
		v := startVictim(t, unixVictim)
		v.do("pair 1 10 11", "send 10 last", "close 10")
		p, img := captureUnixOf(t, v, 11)
		r := p.restore(img)
		if got := []string{read(t, r.fd(11)), read(t, r.fd(11))}; got[0] != "last" || got[1] != "" {
			t.Errorf("read = %q, want the last bytes and the end", got)
		}
		if err := write(r.fd(11)); !errors.Is(err, unix.EPIPE) {
			t.Errorf("send = %v, want EPIPE", err)
		}
		if len(r.warned) > 0 {
			t.Errorf("warnings = %q, want none", r.warned)
		}
	})
	t.Run("reset", func(t *testing.T) {
		v := startVictim(t, unixVictim)
		v.do("pair 1 10 11", "send 11 unread", "close 10")
		p, img := captureUnixOf(t, v, 11)
		r := p.restore(img)
		if got, want := read(t, r.fd(11)), unix.ECONNRESET.Error(); got != want {
			t.Errorf("read = %q, want %q", got, want)
		}
		if got := read(t, r.fd(11)); got != "" {
			t.Errorf("read again = %q, want the end", got)
		}
		if got, want := v.ask("recv 11"), unix.ECONNRESET.Error(); got != want {
			t.Errorf("after the capture the victim's read = %q, want %q", got, want)
		}
	})
}

func TestOptionsAndFlagsOfUnixSocketsComeBack(t *testing.T) {
	v := startVictim(t, unixVictim)
	set := map[int]int{unix.SO_PASSCRED: 1, unix.SO_SNDBUF: 100000, unix.SO_RCVLOWAT: 77, unix.SO_PRIORITY: 3}
	v.do(fmt.Sprintf("pair %d 10 11", unix.SOCK_STREAM|unix.SOCK_NONBLOCK))
	for opt, val := range set {
		v.do(fmt.Sprintf("set 11 %d %d", opt, val))
	}
	v.do("send 10 identified")
	p, img := captureUnixOf(t, v, 10, 11)
	set[unix.SO_SNDBUF] *= 2
	if got := len(img.Files[0].Unix.Options); got != 0 {
		t.Errorf("%d options of a socket with none set: %v", got, img.Files[0].Unix.Options)
	}
	r := p.restore(img)
	for opt, want := range set {
		if got, err := unix.GetsockoptInt(r.fd(11), unix.SOL_SOCKET, opt); err != nil || got != want {
			t.Errorf("option %d = %d, %v, want %d", opt, got, err, want)
		}
	}
	b, oob := make([]byte, 50), make([]byte, 100)
	n, oobn, _, _, err := unix.Recvmsg(r.fd(11), b, oob, 0)
	if err != nil || string(b[:n]) != "identified" {
		t.Fatalf("received %q, %v", b[:n], err)
	}
	cmsgs, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(cmsgs) != 1 {
		t.Fatalf("%d control messages, %v, want the credentials", len(cmsgs), err)
	}
	if cred, err := unix.ParseUnixCredentials(&cmsgs[0]); err != nil || int(cred.Pid) != os.Getpid() {
		t.Errorf("credentials = %+v, %v, want those of the process that was restored", cred, err)
	}
}

func TestALargeQueueAndLargeMessagesComeBack(t *testing.T) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ends[0])
	defer unix.Close(ends[1])
	var want []byte
	for i := 0; ; i++ {
		part := bytes.Repeat([]byte{byte(i), byte(i >> 8), 3}, 1000)
		n, err := unix.SendmsgN(ends[0], part, nil, nil, unix.MSG_DONTWAIT)
		if err != nil {
			break
		}
		want = append(want, part[:n]...)
	}
	all, err := peekUnix(ends[1], unix.SOCK_STREAM, false)
	if err != nil || len(all) != 1 || !bytes.Equal(all[0].data, want) {
		t.Errorf("peek at a full stream: %d messages, %v, want one of %d bytes", len(all), err, len(want))
	}

	dgram, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(dgram[0])
	defer unix.Close(dgram[1])
	sizes := []int{5, 100000, 1, 70000}
	for _, n := range sizes {
		if err := unix.Sendto(dgram[0], make([]byte, n), 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		all, err = peekUnix(dgram[1], unix.SOCK_DGRAM, false)
		if err != nil || len(all) != len(sizes) {
			t.Fatalf("peek at %d datagrams = %d, %v", len(sizes), len(all), err)
		}
		for i, n := range sizes {
			if len(all[i].data) != n {
				t.Errorf("datagram %d has %d bytes, want %d", i, len(all[i].data), n)
			}
		}
	}
}
