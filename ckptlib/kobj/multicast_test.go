package kobj

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/testuser"
)

func TestSocketsJoinTheirMulticastGroupsAgain(t *testing.T) {
	testuser.Again(t)
	v := startVictim(t, inetVictim)
	dgram := unix.SOCK_DGRAM
	v.do(fmt.Sprintf("socket %d %d 10", v4, dgram), "bind 10 0.0.0.0:0", "join 10 lo 239.1.2.3", "join 10 lo 239.1.2.4 127.0.0.1",
		fmt.Sprintf("socket %d %d 11", v4, dgram), "bind 11 0.0.0.0:0",
		fmt.Sprintf("socket %d %d 12", v6, dgram), "bind 12 [::]:0", "join 12 lo ff05::7", "join 12 lo 239.1.2.3")
	names := map[int]string{10: v.ask("name 10"), 11: v.ask("name 11")}
	p, img := captureInetOf(t, v, 10, 11, 12)
	addr := netip.MustParseAddr
	three := image.Membership{Interface: "lo", Group: addr("239.1.2.3"), Exclude: true}
	four := image.Membership{Interface: "lo", Group: addr("239.1.2.4"), Sources: []netip.Addr{addr("127.0.0.1")}}
	seven := image.Membership{Interface: "lo", Group: addr("ff05::7"), Exclude: true}
	byGroup := func(g []image.Membership) map[string]image.Membership {
		m := map[string]image.Membership{}
		for _, g := range g {
			m[g.Group.String()] = g
		}
		return m
	}
	for i, want := range [][]image.Membership{{three, four}, nil, {three, seven}} {
		got, want := byGroup(img.Files[i].Inet.Groups), byGroup(want)
		if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
			t.Errorf("captured groups of socket %d (-want +got):\n%s", 10+i, d)
		}
	}
	p.end(v)
	r := p.restore(img)
	s, err := unix.Socket(v4, dgram|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(s)
	if err := unix.SetsockoptInet4Addr(s, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, [4]byte{127, 0, 0, 1}); err != nil {
		t.Fatal(err)
	}
	for num, want := range map[int]string{10: "239.1.2.3 239.1.2.4 ", 11: ""} {
		for _, g := range []string{"239.1.2.3", "239.1.2.4", "239.1.2.5"} {
			sa, err := inetAddr(v4, strings.Replace(names[num], "0.0.0.0", g, 1))
			if err != nil {
				t.Fatal(err)
			}
			if err := unix.Sendto(s, []byte(g), 0, sa); err != nil {
				t.Fatal(err)
			}
		}
		// Without IP_MULTICAST_ALL only its own groups count, as it does by default
		// if nobody else on the host has joined them.
		if err := unix.SetsockoptInt(r.fd(num), unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0); err != nil {
			t.Fatal(err)
		}
		var got string
		for {
			if num == 10 && len(got) < len(want) {
				awaitReadable(t, r.fd(num))
			}
			b := make([]byte, 100)
			n, _, err := unix.Recvfrom(r.fd(num), b, unix.MSG_DONTWAIT)
			if err != nil {
				break
			}
			got += string(b[:n]) + " "
		}
		if num == 10 && got != want {
			t.Errorf("socket %d receives %q, want what is for its groups: %q", num, got, want)
		}
	}
}

func TestAGroupOnAnInterfaceThatIsNotHereIsAWarning(t *testing.T) {
	testuser.Again(t)
	v := startVictim(t, inetVictim)
	v.do(fmt.Sprintf("socket %d %d 10", v4, unix.SOCK_DGRAM), "join 10 lo 239.1.2.3")
	p, img := captureInetOf(t, v, 10)
	img.Files[0].Inet.Groups[0].Interface = "nowhere0"
	p.end(v)
	r := p.restore(img)
	if len(r.warned) != 1 || !strings.Contains(r.warned[0], "239.1.2.3 on nowhere0") {
		t.Errorf("the restore warns %q, want one of the group", r.warned)
	}
}
