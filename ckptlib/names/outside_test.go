package names

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func fmtPort(p uint16) string { return fmt.Sprint(p) }

func TestOutsideOfTheJobNothingIsTranslated(t *testing.T) {
	w, ta, _ := twoPods()
	out := native(t)
	l := out.listenOn("10.90.0.11:3000") // an address of nobody in the job
	loop := out.listenOn("127.0.0.1:3001")
	a := inPod(t, w, ta)
	s := a.socket("0.0.0.0:0")
	a.must("connect", s, "10.90.0.11:3000")
	a.name("getpeername", s, "10.90.0.11:3000")
	peer := out.name("getpeername", out.accept(l, ""), "")
	// The pod's own end has the pod's address, whoever is at the other.
	a.name("getsockname", s, strings.Replace(peer, "10.89.0.11:", "10.89.0.1:", 1))
	s = a.socket("0.0.0.0:0")
	a.must("connect", s, "127.0.0.1:3001")
	out.accept(loop, a.name("getsockname", s, ""))
	s = a.socket("0.0.0.0:0")
	a.fails(unix.ECONNREFUSED, "connect", s, "10.90.0.11:3")
	a.fails(unix.EADDRNOTAVAIL, "bind", s, "10.77.0.1:0")
	a.fails(unix.EAFNOSUPPORT, "bind", s, "[fd89::1]:0")
	a.fails(unix.EINVAL, "connect", s, "@short")
	a.fails(unix.EBADF, "bind", 99, "10.89.0.1:0")
	a.fails(unix.ENOTSOCK, "getsockname", 0)
	a.fails(unix.ENOTCONN, "getpeername", s)
	a.fails(unix.EINVAL, "accept4", s, 0)
}

func TestUnixSocketsAreLeftAlone(t *testing.T) {
	w, ta, _ := twoPods()
	a := inPod(t, w, ta)
	l := a.number("socket", unix.AF_UNIX, unix.SOCK_STREAM, 0)
	a.must("bind", l, "@names-test") // abstract
	a.must("listen", l, 5)
	s := a.number("socket", unix.AF_UNIX, unix.SOCK_STREAM, 0)
	a.must("connect", s, "@names-test")
	a.accept(l, "family1")
	a.name("getsockname", l, "family1")
	a.name("getpeername", s, "family1")
}

// move_addr_to_user of the kernel: what fits, and the length that it would be.
func TestShortBuffersGetWhatFits(t *testing.T) {
	w, ta, _ := twoPods()
	a := inPod(t, w, ta)
	s := a.socket("0.0.0.0:0")
	a.must("bind", s, "10.89.0.1:258")
	// Family, port, two bytes of the address; and the byte behind is untouched.
	if got, want := a.must("getsockname", s, 6), "0 020001020a5900 16"; got != want {
		t.Errorf("getsockname with 6 bytes of room = %s, want %s", got, want)
	}
}

func TestDatagramSocketsHaveVirtualNames(t *testing.T) {
	w, ta, tb := twoPods()
	stranger := native(t)
	x := stranger.number("socket", unix.AF_INET, unix.SOCK_DGRAM, 0)
	stranger.must("bind", x, "10.89.0.12:5000")
	a, b := inPod(t, w, ta), inPod(t, w, tb)
	sb := b.number("socket", unix.AF_INET, unix.SOCK_DGRAM, 0)
	b.must("bind", sb, "10.89.0.2:5000")
	b.name("getsockname", sb, "10.89.0.2:5000")
	s2 := b.number("socket", unix.AF_INET, unix.SOCK_DGRAM, 0)
	b.fails(unix.EADDRINUSE, "bind", s2, "10.89.0.2:5000")

	sa := a.number("socket", unix.AF_INET, unix.SOCK_DGRAM, 0)
	a.must("bind", sa, "10.89.0.1:0")
	own := a.name("getsockname", sa, "")
	a.must("connect", sa, "10.89.0.2:5000")
	a.name("getpeername", sa, "10.89.0.2:5000")
	a.name("getsockname", sa, own)
	b.must("connect", sb, own)
	b.name("getpeername", sb, own)
	a.must("write", sa, "hello")
	if got := b.must("read", sb); got != "hello" {
		t.Errorf("read = %q, want hello", got)
	}
	// Connected elsewhere, and to nothing, the record does not hold any more.
	a.must("connect", sa, "10.90.0.11:9")
	a.name("getpeername", sa, "10.90.0.11:9")
	a.must("connect", sa, "unspec")
	a.fails(unix.ENOTCONN, "getpeername", sa)
}

func TestWithoutCapabilitiesTheFilterNeedsNoNewPrivileges(t *testing.T) {
	w, ta, _ := twoPods()
	v := native(t)
	v.filtered("unprivileged")
	v.serve(ta, w)
	v.name("getsockname", v.listenOn("10.89.0.1:1024"), "10.89.0.1:1024")
}

func TestSecondListenerIsRefused(t *testing.T) {
	v := native(t)
	v.filtered("install", 0)
	v.fails(unix.EBUSY, "install", 0)
}
