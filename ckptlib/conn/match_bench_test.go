package conn

import (
	"fmt"
	"net/netip"
	"testing"
)

// allPairs are the ends of a job in which each rank has a connection to every rank
// of another pod, as MPICH makes them, and a listener.
func allPairs(pods, ranks int) []End {
	var ends []End
	addr := func(pod int) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, byte(pod >> 8), byte(pod)}) }
	next := map[int]uint16{}
	add := func(pod int, local, remote netip.AddrPort, state string) {
		ends = append(ends, End{
			Pod: pod, Inode: uint64(len(ends) + 1), NetID: fmt.Sprintf("6a9d5c7e-3ab5-4f2c-9d0e-%012d/4026532000", pod),
			Local: local, Remote: remote, State: state, Family: 2,
		})
	}
	for a := range pods * ranks {
		pod := a / ranks
		listener := netip.AddrPortFrom(addr(pod), uint16(1024+a%ranks))
		add(pod, listener, netip.AddrPort{}, StateListen)
		for b := range a / ranks * ranks {
			next[b/ranks]++
			dialer := netip.AddrPortFrom(addr(b/ranks), 30000+next[b/ranks])
			add(b/ranks, dialer, listener, StateEstablished)
			add(pod, listener, dialer, StateEstablished)
		}
	}
	return ends
}

// A job of 128 ranks on 32 hosts, all connected with all: 15 872 ends.
func BenchmarkMatchOf128RanksOn32Hosts(b *testing.B) {
	ends := allPairs(32, 4)
	b.ReportMetric(float64(len(ends)), "ends")
	for b.Loop() {
		pairs, unmatched := Match(ends)
		if len(pairs) != 128*124/2 || len(unmatched) > 0 || len(HalfOpen(ends, unmatched)) > 0 {
			b.Fatalf("%d pairs, %d without a partner", len(pairs), len(unmatched))
		}
	}
}
