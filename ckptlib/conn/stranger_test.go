package conn

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestStrangersAreHarmless lets in ones who say nothing, who say nonsense, who
// know the name of the connection but not the token, and who hang up.
func TestStrangersAreHarmless(t *testing.T) {
	a, b := joiner(t, "127.0.0.1"), joiner(t, "127.0.0.1")
	id := ID{"x", true}
	wrong := secret{9}
	var strangers []int
	for i := range 40 {
		fd, err := socket(unix.AF_INET)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if err := unix.SetNonblock(fd, false); err != nil {
			t.Fatal(err)
		}
		if err := unix.Connect(fd, sockaddr(unix.AF_INET, b.Addrs().Inet)); err != nil {
			t.Fatal(err)
		}
		switch i % 4 {
		case 1:
			write(t, fd, bytes.Repeat([]byte("nonsense"), 1000))
		case 2:
			write(t, fd, wrong.hello(id.Name))
		case 3:
			if err := unix.Shutdown(fd, unix.SHUT_WR); err != nil {
				t.Fatal(err)
			}
		}
		strangers = append(strangers, fd)
	}
	start := time.Now()
	fds := join(t, within(t, time.Minute), []*Joiner{a, b}, [][]Plan{
		{{ID: id, Family: unix.AF_INET, Peer: b.Addrs().Inet}}, {{ID: id.Peer(), Family: unix.AF_INET}},
	})
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("with silent strangers about it took %v", d)
	}
	speak(t, fds[0][id], fds[1][id.Peer()])
	for i, fd := range strangers {
		var buf [100]byte
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}); err != nil {
			t.Fatal(err)
		}
		if n, err := unix.Read(fd, buf[:]); n > 0 || err == unix.EAGAIN {
			t.Errorf("stranger %d read %d bytes, %v, want to be dropped", i, n, err)
		}
	}
}

func TestADialerIsNotFooledByAStranger(t *testing.T) {
	a := joiner(t, "127.0.0.1")
	l, port, err := listen(unix.AF_INET, netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(l)
	go func() {
		if unix.SetNonblock(l, false) != nil {
			return
		}
		for {
			fd, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
			if err != nil {
				return
			}
			_, _ = unix.Write(fd, make([]byte, 100)) // a peer that is gone is fine
			defer unix.Close(fd)
		}
	}()
	fds, err := a.Join(within(t, 300*time.Millisecond), []Plan{{
		ID: ID{"x", true}, Family: unix.AF_INET,
		Peer: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port), About: "rank 3 to rank 4",
	}}, token)
	_ = unix.Shutdown(l, unix.SHUT_RDWR) // ends the stranger
	if err == nil || !strings.Contains(err.Error(), "rank 3 to rank 4") || !strings.Contains(err.Error(), errStranger.Error()) {
		t.Errorf("Join with a stranger = %v, %v, want an error that says so and names the connection", fds, err)
	}
}
