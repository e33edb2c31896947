package conn

import (
	"fmt"
	"net/netip"
	"testing"
)

// allPairs are the ends of a job in which each rank has a connection to every rank
// of another pod, as MPICH makes them, and a listener.
func allPairs(pods, ranks int) []Ends {
	ends := make([]Ends, pods)
	addr := func(pod int) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, byte(pod >> 8), byte(pod)}) }
	next := make([]uint16, pods)
	nets := make([]string, pods)
	for pod := range nets {
		nets[pod] = fmt.Sprintf("6a9d5c7e-3ab5-4f2c-9d0e-%012d/4026532000", pod)
	}
	add := func(pod int, local, remote netip.AddrPort, state uint8) {
		ends[pod] = append(ends[pod], End{
			Inode: uint64(len(ends[pod]) + 1), NetID: nets[pod], Local: local, Remote: remote, State: state,
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
		partners, far := Match(ends), 0
		for _, of := range partners {
			for _, p := range of {
				if p == Far {
					far++
				}
			}
		}
		if far != 128*124 || len(HalfOpen(ends, partners)) > 0 {
			b.Fatalf("%d ends have a partner on another host", far)
		}
	}
}
