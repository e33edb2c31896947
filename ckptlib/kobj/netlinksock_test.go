package kobj

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/internal/testuser"
)

// askLinks asks the kernel for the network interfaces.
func askLinks(fd int) error {
	b := make([]byte, unix.NLMSG_HDRLEN+unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], unix.RTM_GETLINK)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	return unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

// links reads the answer and counts the interfaces; port is who it was for.
func links(fd int) (count int, port uint32, err error) {
	b := make([]byte, 1<<16)
	for {
		n, _, err := unix.Recvfrom(fd, b, unix.MSG_DONTWAIT)
		if err != nil {
			return count, port, err
		}
		port = binary.NativeEndian.Uint32(b[12:])
		done, err := eachMessage(b[:n], func([]byte) error { count++; return nil })
		if done || err != nil {
			return count, port, err
		}
	}
}

var victimNetlink = victimProgram("netlink", func(v *victimSide) {
	open := func(num, protocol int, port uint32, groups ...int) {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, protocol)
		v.must(err)
		v.at(num, fd)
		v.must(unix.Bind(num, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: port}))
		for _, g := range groups {
			v.must(unix.SetsockoptInt(num, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, g))
		}
	}
	open(100, unix.NETLINK_ROUTE, 0, unix.RTNLGRP_LINK, unix.RTNLGRP_MPLS_ROUTE)
	v.must(unix.SetsockoptInt(100, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1))
	v.must(unix.SetsockoptInt(100, unix.SOL_SOCKET, unix.SO_PASSCRED, 1))
	open(101, unix.NETLINK_KOBJECT_UEVENT, uint32(os.Getpid()), 2)
	open(102, unix.NETLINK_GENERIC, 0)
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	v.must(err)
	v.at(103, fd)                          // not bound
	open(104, unix.NETLINK_GENERIC, 0, 16) // the controller's group
	v.say("ready")
	for {
		switch v.hear() {
		case "ask":
			v.must(askLinks(100))
			v.say("asked")
		case "links":
			n, _, err := links(100)
			v.say("%d %v", n, err)
		}
	}
})

func TestNetlinkSocketsAreAnsweredAgain(t *testing.T) {
	testuser.Again(t)
	v := startVictim(t, victimNetlink)
	want := v.ask("ask") + " " + v.ask("links")
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 100, 101, 102, 103)
	img := p.capture()
	for i, groups := range [][]int{{unix.RTNLGRP_LINK, unix.RTNLGRP_MPLS_ROUTE}, {2}, nil, nil} {
		if d := cmp.Diff(groups, img.Files[i].Netlink.Groups); d != "" {
			t.Errorf("groups of socket %d (-want +got):\n%s", 100+i, d)
		}
	}
	v.cont()
	p.end(v)
	r := p.restore(img)
	for i, f := range img.Files {
		port, _, err := netlinkNames(r.fd(100 + i))
		if err != nil || port != f.Netlink.Port || (port == 0) != (i == 3) {
			t.Errorf("socket %d is at port %d, %v, want %d", 100+i, port, err, f.Netlink.Port)
		}
		if got, err := memberships(r.fd(100 + i)); err != nil || !cmp.Equal(got, f.Netlink.Groups) {
			t.Errorf("socket %d has groups %v, %v, want %v", 100+i, got, err, f.Netlink.Groups)
		}
	}
	for _, o := range [][2]int{{unix.SOL_NETLINK, unix.NETLINK_EXT_ACK}, {unix.SOL_SOCKET, unix.SO_PASSCRED}} {
		if got, err := unix.GetsockoptInt(r.fd(100), o[0], o[1]); err != nil || got != 1 {
			t.Errorf("option %v = %d, %v, want 1", o, got, err)
		}
	}
	for _, num := range []int{100, 103} {
		if err := askLinks(r.fd(num)); err != nil {
			t.Fatal(err)
		}
		n, port, err := links(r.fd(num))
		if got := fmt.Sprintf("asked %d %v", n, err); got != want || num == 100 && port != img.Files[0].Netlink.Port {
			t.Errorf("socket %d is told of %q for port %d, want %q for %d", num, got, port, want, img.Files[0].Netlink.Port)
		}
	}
}

func TestANetlinkPortThatIsTakenIsAWarning(t *testing.T) {
	v := startVictim(t, victimNetlink)
	v.stop()
	p := newTestPod(t)
	p.add(v.pid, 101)
	r := p.restore(p.capture()) // the victim has it
	if port, _, err := netlinkNames(r.fd(101)); err != nil || port == 0 || port == uint32(v.pid) {
		t.Errorf("the socket is at port %d, %v, want another than the victim's", port, err)
	}
	if len(r.warned) != 1 || !strings.Contains(r.warned[0], fmt.Sprintf("netlink port %d", v.pid)) {
		t.Errorf("the restore warns %q, want one of the port", r.warned)
	}
}

func TestNetlinkSocketsThatAreBusyOrUnknownAreRefusedUnharmed(t *testing.T) {
	testuser.Again(t)
	v := startVictim(t, victimNetlink)
	v.ask("ask")
	v.stop()
	for range 2 {
		p := newTestPod(t)
		p.add(v.pid, 100)
		var retry *RetryError
		if err := p.tryCapture(); !errors.As(err, &retry) || !strings.Contains(err.Error(), "not read") {
			t.Errorf("Capture of a socket with an answer = %v, want a RetryError", err)
		}
	}
	p := newTestPod(t)
	p.add(v.pid, 104)
	var no *UnsupportedError
	if err := p.tryCapture(); !errors.As(err, &no) || !strings.Contains(err.Error(), "protocol 16, with 1 groups") {
		t.Errorf("Capture of a socket with a group of this host = %v, want an UnsupportedError", err)
	}
	v.cont()
	if got := v.ask("links"); !strings.HasSuffix(got, " <nil>") || strings.HasPrefix(got, "0") {
		t.Errorf("after the refusal the victim is told of %q", got)
	}
}
