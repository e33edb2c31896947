package conn

import (
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTheEndsThatTheKernelDescribesMatch(t *testing.T) {
	net, err := NetID()
	if err != nil || len(net) < 38 {
		t.Fatalf("NetID = %q, %v", net, err)
	}
	l, port, err := listen(unix.AF_INET6, netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Skipf("this host has no IPv6: %v", err)
	}
	defer unix.Close(l)
	a, b := connected(t, l, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port))
	var ends []End
	for _, fd := range []int{a, b, l} {
		e, err := Describe(fd)
		if err != nil {
			t.Fatal(err)
		}
		e.NetID = net
		ends = append(ends, e)
	}
	if got := Match([]Ends{ends})[0]; !slices.Equal(got, []Partner{Near, Near, None}) || ends[0].ID(Near) != ends[1].ID(Near).Peer() {
		t.Fatalf("Match(%v) = %v, want that the first two are one connection", ends, got)
	}
	if ends[0].State != StateEstablished || ends[2].State != StateListen {
		t.Errorf("states = %v and %v, want established and listening", ends[0].State, ends[2].State)
	}
	free, err := socket(unix.AF_INET)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(free)
	if e, err := Describe(free); err != nil || e.State != StateClose || e.Local.IsValid() || e.Remote.IsValid() {
		t.Errorf("Describe of a fresh socket = %+v, %v, want it closed and without addresses", e, err)
	}
}
