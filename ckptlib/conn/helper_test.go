package conn

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// within is a context for what must be done in a time.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// connection returns the two ends of a fresh connection over loopback.
func connection(t testing.TB) (a, b int) {
	t.Helper()
	l, port, err := listen(unix.AF_INET, netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(l)
	return connected(t, l, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port))
}

// roomy returns a connection as Join makes it for queues of the given sizes.
func roomy(t testing.TB, sizeA, sizeB int) (a, b int) {
	t.Helper()
	j, id := joiner(t, "127.0.0.1"), ID{"roomy", true}
	fds := join(t, within(t, time.Minute), []*Joiner{j}, [][]Plan{{
		{ID: id, Family: unix.AF_INET, Peer: j.Addrs().Inet, Room: sizeA}, {ID: id.Peer(), Family: unix.AF_INET, Room: sizeB},
	}})
	return fds[0][id], fds[0][id.Peer()]
}

// connected connects to a listener and accepts.
func connected(t testing.TB, l int, addr netip.AddrPort) (a, b int) {
	t.Helper()
	a, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(a) })
	if err := unix.Connect(a, sockaddr(unix.AF_INET, addr)); err != nil {
		t.Fatal(err)
	}
	b = accepted(t, l)
	return a, b
}

func accepted(t testing.TB, l int) int {
	t.Helper()
	if err := unix.SetNonblock(l, false); err != nil {
		t.Fatal(err)
	}
	fd, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// noise returns n bytes that are different everywhere.
func noise(seed uint64, n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(n), byte(n >> 8)})
	b := make([]byte, n)
	r.Read(b)
	return b
}

// write sends all of b, as a program does that waits.
func write(t testing.TB, fd int, b []byte) {
	t.Helper()
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err != nil {
			t.Fatal(err)
		}
		b = b[n:]
	}
}

// stuff sends of b what the connection takes, and returns how much that was.
func stuff(t testing.TB, fd int, b []byte) int {
	t.Helper()
	total := 0
	for last := time.Now(); total < len(b) && time.Since(last) < 300*time.Millisecond; {
		n, err := send(fd, b[total:])
		if errors.Is(err, unix.EAGAIN) {
			if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 50); err != nil && err != unix.EINTR {
				t.Fatal(err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		total += n
		last = time.Now()
	}
	return total
}

// wantReadable reads len(want) bytes as a program does, and compares.
func wantReadable(t testing.TB, fd int, want []byte) {
	t.Helper()
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 20}); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 0, len(want))
	for len(got) < len(want) {
		n, err := unix.Read(fd, got[len(got):len(want)])
		if err != nil || n == 0 {
			t.Fatalf("read after %d of %d bytes = %d, %v", len(got), len(want), n, err)
		}
		got = got[:len(got)+n]
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes were read, of the right number and with other content", len(got))
	}
}

// wantQuiet checks that nothing more can be read.
func wantQuiet(t testing.TB, fd int) {
	t.Helper()
	var b [1]byte
	if n, err := recv(fd, b[:], unix.MSG_PEEK); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("recv of an empty queue = %d, %v, want EAGAIN", n, err)
	}
}

// wantBlocking checks that nobody has made a program's descriptor non-blocking.
func wantBlocking(t testing.TB, fd int) {
	t.Helper()
	if fl, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || fl&unix.O_NONBLOCK != 0 {
		t.Errorf("flags of a blocking socket = %#x, %v", fl, err)
	}
}
