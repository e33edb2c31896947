package names

import (
	"net/netip"
	"sync"
)

// A Table knows where the addresses of one pod really are and under which
// names its sockets know each other. Its methods may be called from any
// goroutine; none of them asks another host.
type Table struct {
	pod     int
	virtual []netip.Addr
	real    []netip.Addr // with zones
	job     map[netip.Addr]int
	toReal  map[netip.Addr]netip.Addr

	mu      sync.Mutex
	sockets map[uint64]*socket    // by cookie
	names   map[portKey][]*socket // by virtual port
	ports   map[portKey][]*socket // by real port
	limit   int                   // sockets beyond which the closed ones are looked for

	// connecting holds a ticket for every connect whose name is not recorded yet.
	connecting map[uint64]struct{}
	tickets    uint64
	recorded   *sync.Cond
}

// portKey is a port of a protocol, unix.IPPROTO_TCP or unix.IPPROTO_UDP.
type portKey struct {
	proto uint8
	port  uint16
}

// minLimit is the number of sockets that a table remembers without asking the
// kernel which of them are still there: about 1.5 MB.
const minLimit = 4096

// NewTable makes the table of a pod whose addresses for life are virtual, the
// main one first, and which runs on a host that has the addresses real, the main
// one first as well. An address of the host that is one of the pod's stands for
// itself; of the others, the first of a family stands for the pod's first of
// that family, and so on, from the start again if the host has fewer. A real
// link-local address needs its zone. jobAddrs tells for the virtual addresses of
// the whole job whose they are; addresses that several pods have (a bridge's,
// say) should be left out: a pod finds its own in virtual.
func NewTable(pod int, virtual, real []netip.Addr, jobAddrs map[netip.Addr]int) *Table {
	t := &Table{
		pod: pod, real: real,
		job:        make(map[netip.Addr]int, len(jobAddrs)),
		toReal:     map[netip.Addr]netip.Addr{},
		sockets:    map[uint64]*socket{},
		names:      map[portKey][]*socket{},
		ports:      map[portKey][]*socket{},
		limit:      minLimit,
		connecting: map[uint64]struct{}{},
	}
	t.recorded = sync.NewCond(&t.mu)
	for a, p := range jobAddrs {
		t.job[plainAddr(a)] = p
	}
	for _, a := range virtual {
		if !a.IsLoopback() && !a.IsUnspecified() {
			t.virtual = append(t.virtual, plainAddr(a))
		}
	}
	for _, kind := range []func(netip.Addr) bool{
		netip.Addr.Is4,
		func(a netip.Addr) bool { return a.Is6() && !a.IsLinkLocalUnicast() },
		func(a netip.Addr) bool { return a.Is6() && a.IsLinkLocalUnicast() },
	} {
		t.match(kind)
	}
	return t
}

// match finds the real addresses of the virtual ones of a kind.
func (t *Table) match(kind func(netip.Addr) bool) {
	var all, free []netip.Addr
	for _, r := range t.real {
		p := plainAddr(r)
		if !kind(p) || p.IsLoopback() {
			continue
		}
		all = append(all, r)
		if !t.isVirtual(p) {
			free = append(free, r)
			continue
		}
		t.toReal[p] = r
	}
	if len(free) == 0 {
		free = all
	}
	i := 0
	for _, v := range t.virtual {
		if _, done := t.toReal[v]; done || !kind(v) || len(free) == 0 {
			continue
		}
		t.toReal[v] = free[i%len(free)]
		i++
	}
}

func (t *Table) isVirtual(a netip.Addr) bool {
	for _, v := range t.virtual {
		if v == a {
			return true
		}
	}
	return false
}

func (t *Table) isReal(a netip.Addr) bool {
	for _, r := range t.real {
		if plainAddr(r) == a {
			return true
		}
	}
	return false
}

// realOf tells where an address that a process of the pod names as its own is:
// the wildcard and loopback are where they are, and so is an address of the host
// that the process can only have from the interfaces. It is false for others.
func (t *Table) realOf(a netip.Addr) (netip.Addr, bool) {
	if a.IsUnspecified() || a.IsLoopback() {
		return a, true
	}
	if r, ok := t.toReal[a]; ok {
		return r, true
	}
	for _, r := range t.real {
		if plainAddr(r) == a {
			return r, true
		}
	}
	return netip.Addr{}, false
}

// virtualOf is the pod's name for an address of its host, as a socket would have
// it that is connected to peer (virtual; need not be valid). Addresses that are
// not the host's stay what they are.
func (t *Table) virtualOf(a, peer netip.Addr) netip.Addr {
	if a.IsUnspecified() || a.IsLoopback() || t.toReal[a].IsValid() && plainAddr(t.toReal[a]) == a {
		return a
	}
	var here, family []netip.Addr
	for _, v := range t.virtual {
		if v.Is4() != a.Is4() {
			continue
		}
		family = append(family, v)
		if plainAddr(t.toReal[v]) == a {
			here = append(here, v)
		}
	}
	if v := closest(here, peer); v.IsValid() {
		return v
	}
	if !t.isReal(a) {
		return a
	}
	if v := closest(family, peer); v.IsValid() {
		return v
	}
	return a
}

// sourceFor is the pod's address that a socket without a name of its own gets
// when it is connected to the virtual address peer; source is the one that the
// kernel gave it.
func (t *Table) sourceFor(peer, source netip.Addr) netip.Addr {
	if peer.IsLoopback() || source.IsLoopback() {
		return source
	}
	if v := closest(t.virtual, peer); v.IsValid() {
		return v
	}
	return t.virtualOf(source, peer)
}
