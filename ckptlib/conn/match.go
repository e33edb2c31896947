package conn

import (
	"cmp"
	"net/netip"
	"slices"
)

// End is one TCP socket of a job that has a peer, as its agent found it.
type End struct {
	Pod   int    `json:"-"`     // whoever has asked its agent knows
	Inode uint64 `json:"inode"` // of the socket, unique within NetID; 0 of one that no program has any more
	// NetID names the network namespace that the socket is in, over all hosts:
	// the kernel's boot id and the inode of the namespace. Loopback addresses
	// mean something within one NetID only.
	NetID string `json:"-"` // one for all ends of an agent
	// Local and Remote are the real addresses. IPv4 addresses that are mapped
	// into IPv6 are taken as the IPv4 addresses they are.
	Local  netip.AddrPort `json:"local"`
	Remote netip.AddrPort `json:"remote"`
	// State is the kernel's, one of the State... constants.
	State string `json:"state"`
	// Family is AF_INET or AF_INET6, the family of the socket and not of its
	// addresses: what it must be restored as.
	Family int `json:"family"`
}

// States of a TCP socket.
const (
	StateEstablished = "established"
	StateSynSent     = "syn-sent"
	StateSynRecv     = "syn-recv"
	StateFinWait1    = "fin-wait-1"
	StateFinWait2    = "fin-wait-2"
	StateTimeWait    = "time-wait"
	StateClose       = "close"
	StateCloseWait   = "close-wait"
	StateLastAck     = "last-ack"
	StateListen      = "listen"
	StateClosing     = "closing"
)

// Pair is a connection inside the job. Its name depends on nothing but the
// addresses and the namespace, so it is the same at every checkpoint.
type Pair struct {
	Name     string `json:"name"`
	Dialer   End    `json:"dialer"` // makes the connection anew at a restart
	Acceptor End    `json:"acceptor"`
}

// A Named is an end and what it is called, for the agent of its pod.
type Named struct {
	Inode uint64 `json:"inode"` // of the socket
	ID    ID     `json:"id"`
}

// ByPod gives each pod the names of its ends.
func ByPod(pairs []Pair) map[int][]Named {
	out := map[int][]Named{}
	for i := range pairs {
		p := &pairs[i]
		out[p.Dialer.Pod] = append(out[p.Dialer.Pod], Named{p.Dialer.Inode, ID{p.Name, true}})
		out[p.Acceptor.Pod] = append(out[p.Acceptor.Pod], Named{p.Acceptor.Inode, ID{p.Name, false}})
	}
	return out
}

// Match finds the connections among the ends of a job: two ends are one when
// each has the other's addresses. Where both addresses are known to several
// hosts (loopback, the bridges of containers) the two ends must be in one network
// namespace; an end that could be paired with several is paired with none. Ends
// with no partner lead outside of the job, or to a process that is gone. What is
// paired with what does not depend on the order of ends; pairs have no order, and
// unmatched is sorted. Ends that listen and ends that no program has any more are
// in neither.
func Match(ends []End) (pairs []Pair, unmatched []End) {
	m := newMatching(ends)
	pairs = make([]Pair, 0, len(m.all)/2)
	// Within a namespace first: what is left can only be between hosts.
	for _, within := range []bool{true, false} {
		// Both look for a partner before either is used up, so that the order
		// of the ends cannot decide an ambiguous case.
		match := make([]int, len(m.all))
		for i := range m.all {
			match[i] = m.partner(i, within)
		}
		for i, j := range match {
			if j > i && match[j] == i {
				m.used[i], m.used[j] = true, true
				dialer, acceptor := m.all[i], m.all[j]
				if compare(acceptor, dialer) < 0 {
					dialer, acceptor = acceptor, dialer
				}
				pairs = append(pairs, Pair{name(dialer, acceptor), dialer, acceptor})
			}
		}
	}
	for i, e := range m.all {
		if !m.used[i] {
			unmatched = append(unmatched, e)
		}
	}
	slices.SortFunc(unmatched, compare)
	return pairs, unmatched
}

// matching is the ends of which partners are looked for, by their addresses. A job
// of n ranks may have n² of them: nothing here is sorted or made for each.
type matching struct {
	all   []End
	used  []bool
	first map[route]int // the last of all that has them
	next  []int         // the one before with the same, -1 for none
}

// route is the addresses of an end.
type route struct{ local, remote netip.AddrPort }

func newMatching(ends []End) *matching {
	m := &matching{all: make([]End, 0, len(ends)), first: make(map[route]int, len(ends)), next: make([]int, 0, len(ends))}
	for _, e := range ends {
		if e.State == StateListen || e.Inode == 0 {
			continue
		}
		e.Local, e.Remote = plain(e.Local), plain(e.Remote)
		r := route{e.Local, e.Remote}
		before, ok := m.first[r]
		if !ok {
			before = -1
		}
		if m.has(before, e) {
			continue // two holders of a socket may both have reported it
		}
		m.first[r] = len(m.all)
		m.all, m.next = append(m.all, e), append(m.next, before)
	}
	m.used = make([]bool, len(m.all))
	return m
}

// has tells whether an end is in a list that begins at i.
func (m *matching) has(i int, e End) bool {
	for ; i >= 0; i = m.next[i] {
		if m.all[i] == e {
			return true
		}
	}
	return false
}

// partner is the one that an end may be paired with, -1 if there is none or more.
func (m *matching) partner(i int, within bool) int {
	e, found := &m.all[i], -1
	if m.used[i] || !within && local(*e) {
		return -1
	}
	j, ok := m.first[route{e.Remote, e.Local}]
	if !ok {
		return -1
	}
	for ; j >= 0; j = m.next[j] {
		if j == i || m.used[j] || (m.all[j].NetID == e.NetID) != within {
			continue
		}
		if found >= 0 {
			return -1
		}
		found = j
	}
	return found
}

// HalfOpen returns those of the unmatched ends whose connection is being made or
// closed: they have not been answered, they lead to a listener of the job that
// has not accepted them yet, or to a program that has ended with bytes on their
// way. The job should run on for some milliseconds before the checkpoint is
// tried again. Ends are all that were given to Match.
func HalfOpen(ends, unmatched []End) []End {
	var listeners, orphans, half []End
	for _, e := range ends {
		switch {
		case e.State == StateListen:
			listeners = append(listeners, e)
		case e.Inode == 0:
			orphans = append(orphans, e)
		}
	}
	for _, e := range unmatched {
		if slices.ContainsFunc(orphans, func(o End) bool { return sends(o, e) }) {
			half = append(half, e)
			continue
		}
		switch e.State {
		case StateSynSent, StateSynRecv:
			half = append(half, e)
		case StateEstablished, StateFinWait1, StateFinWait2:
			if slices.ContainsFunc(listeners, func(l End) bool { return accepts(l, e) }) {
				half = append(half, e)
			}
		}
	}
	return half
}

// sends tells whether an end that no program has any more is the other end of e.
func sends(o, e End) bool {
	return plain(o.Local) == plain(e.Remote) && plain(o.Remote) == plain(e.Local) &&
		(o.NetID == e.NetID || !local(e))
}

// accepts tells whether an end may lead to a listener. One that listens on all
// addresses of a host is taken to have the address: the error is on the side of
// trying again.
func accepts(l, e End) bool {
	if l.Local.Port() != e.Remote.Port() {
		return false
	}
	if a := l.Local.Addr().Unmap(); !a.IsUnspecified() && a != plain(e.Remote).Addr() {
		return false
	}
	return l.NetID == e.NetID || !local(e)
}

// local tells whether a connection cannot leave its host.
func local(e End) bool {
	return e.Local.Addr().IsLoopback() || e.Remote.Addr().IsLoopback()
}

func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

func name(dialer, acceptor End) string {
	b := make([]byte, 0, 96)
	b = append(dialer.Local.AppendTo(b), '-')
	b = dialer.Remote.AppendTo(b)
	if dialer.NetID == acceptor.NetID {
		b = append(append(b, '@'), dialer.NetID...)
	}
	return string(b)
}

func compare(a, b End) int {
	return cmp.Or(a.Local.Compare(b.Local), a.Remote.Compare(b.Remote), cmp.Compare(a.NetID, b.NetID),
		cmp.Compare(a.Inode, b.Inode), cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.State, b.State), cmp.Compare(a.Family, b.Family))
}
