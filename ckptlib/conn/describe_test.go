package conn

import (
	"net/netip"
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
	for i, fd := range []int{a, b, l} {
		e, err := Describe(fd)
		if err != nil {
			t.Fatal(err)
		}
		e.NetID, e.Pod = net, i
		ends = append(ends, e)
	}
	pairs, unmatched := Match(ends)
	if len(pairs) != 1 || len(unmatched) != 0 {
		t.Fatalf("Match = %v, %v, want one pair", pairs, unmatched)
	}
	families := map[int]int{pairs[0].Dialer.Pod: pairs[0].Dialer.Family, pairs[0].Acceptor.Pod: pairs[0].Acceptor.Family}
	if families[0] != unix.AF_INET || families[1] != unix.AF_INET6 || ends[2].State != StateListen {
		t.Errorf("families = %v and state %q, want AF_INET, AF_INET6 and a listener", families, ends[2].State)
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
