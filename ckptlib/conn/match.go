package conn

import (
	"cmp"
	"net/netip"
	"slices"
)

// End is one TCP socket of a job that has a peer, as its agent found it.
type End struct {
	Pod   int    `json:"pod"`
	Inode uint64 `json:"inode"` // of the socket, unique within NetID; 0 of one that no program has any more
	// NetID names the network namespace that the socket is in, over all hosts:
	// the kernel's boot id and the inode of the namespace. Loopback addresses
	// mean something within one NetID only.
	NetID string `json:"net_id"`
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

// Match finds the connections among the ends of a job: two ends are one when
// each has the other's addresses. Where both addresses are known to several
// hosts (loopback, the bridges of containers) the two ends must be in one network
// namespace; an end that could be paired with several is paired with none. Ends
// with no partner lead outside of the job, or to a process that is gone. Both
// results are sorted and do not depend on the order of ends. Ends that listen
// and ends that no program has any more are in neither.
func Match(ends []End) (pairs []Pair, unmatched []End) {
	all := make([]End, 0, len(ends))
	for _, e := range ends {
		e.Local, e.Remote = plain(e.Local), plain(e.Remote)
		if e.State != StateListen && e.Inode != 0 {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, compare)
	all = slices.Compact(all) // two holders of a socket may both have reported it

	byAddr := map[[2]netip.AddrPort][]int{}
	for i, e := range all {
		k := [2]netip.AddrPort{e.Local, e.Remote}
		byAddr[k] = append(byAddr[k], i)
	}
	used := make([]bool, len(all))
	// Within a namespace first: what is left can only be between hosts.
	for _, within := range []bool{true, false} {
		partner := func(i int) int {
			e, found := all[i], -1
			for _, j := range byAddr[[2]netip.AddrPort{e.Remote, e.Local}] {
				same := all[j].NetID == e.NetID
				if j == i || used[j] || same != within || !within && local(e) {
					continue
				}
				if found >= 0 {
					return -1
				}
				found = j
			}
			return found
		}
		// Both look for a partner before either is used up, so that the order
		// of the ends cannot decide an ambiguous case.
		match := make([]int, len(all))
		for i := range all {
			match[i] = -1
			if !used[i] {
				match[i] = partner(i)
			}
		}
		for i, j := range match {
			if j > i && match[j] == i {
				used[i], used[j] = true, true
				pairs = append(pairs, Pair{name(all[i], all[j]), all[i], all[j]})
			}
		}
	}
	for i, e := range all {
		if !used[i] {
			unmatched = append(unmatched, e)
		}
	}
	slices.SortFunc(pairs, func(a, b Pair) int { return cmp.Compare(a.Name, b.Name) })
	return pairs, unmatched
}

// HalfOpen returns those of the unmatched ends whose connection is being made or
// closed: they have not been answered, they lead to a listener of the job that
// has not accepted them yet, or to a program that has ended with bytes on their
// way. The job should run on for some milliseconds before the checkpoint is
// tried again. Ends are all that were given to Match.
func HalfOpen(ends, unmatched []End) []End {
	var half []End
	for _, e := range unmatched {
		if slices.ContainsFunc(ends, func(o End) bool { return sends(o, e) }) {
			half = append(half, e)
			continue
		}
		switch e.State {
		case StateSynSent, StateSynRecv:
			half = append(half, e)
		case StateEstablished, StateFinWait1, StateFinWait2:
			if slices.ContainsFunc(ends, func(l End) bool { return accepts(l, e) }) {
				half = append(half, e)
			}
		}
	}
	return half
}

// sends tells whether an end that no program has any more is the other end of e.
func sends(o, e End) bool {
	return o.Inode == 0 && o.State != StateListen && plain(o.Local) == plain(e.Remote) && plain(o.Remote) == plain(e.Local) &&
		(o.NetID == e.NetID || !local(e))
}

// accepts tells whether an end may lead to a listener. One that listens on all
// addresses of a host is taken to have the address: the error is on the side of
// trying again.
func accepts(l, e End) bool {
	if l.State != StateListen || l.Local.Port() != e.Remote.Port() {
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
	s := dialer.Local.String() + "-" + dialer.Remote.String()
	if dialer.NetID == acceptor.NetID {
		s += "@" + dialer.NetID
	}
	return s
}

func compare(a, b End) int {
	return cmp.Or(a.Local.Compare(b.Local), a.Remote.Compare(b.Remote), cmp.Compare(a.NetID, b.NetID),
		cmp.Compare(a.Inode, b.Inode), cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.State, b.State), cmp.Compare(a.Family, b.Family))
}
