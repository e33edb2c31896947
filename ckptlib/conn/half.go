package conn

import "slices"

// HalfOpen returns those ends without a partner whose connection is being made or
// closed: they have not been answered, they lead to a listener of the job that has
// not accepted them yet, or to a program that has ended with bytes on their way.
// The job should run on for some milliseconds before the checkpoint is tried
// again. Partners are what Match has found for the ends.
func HalfOpen(pods []Ends, partners [][]Partner) []End {
	var alone, orphans, half []End
	listeners := map[uint16][]End{} // by port
	for pod, ends := range pods {
		for i, e := range ends {
			switch {
			case e.State == StateListen:
				listeners[e.Local.Port()] = append(listeners[e.Local.Port()], e)
			case e.Inode == 0:
				orphans = append(orphans, e)
			case partners[pod][i] == None:
				alone = append(alone, e)
			}
		}
	}
	for _, e := range alone {
		if slices.ContainsFunc(orphans, func(o End) bool { return sends(o, e) }) {
			half = append(half, e)
			continue
		}
		switch e.State {
		case StateSynSent, StateSynRecv, StateNewSynRecv:
			half = append(half, e)
		case StateEstablished, StateFinWait1, StateFinWait2:
			if slices.ContainsFunc(listeners[e.Remote.Port()], func(l End) bool { return accepts(l, e) }) {
				half = append(half, e)
			}
		}
	}
	return half
}

// sends tells whether an end that no program has any more is the other end of e.
func sends(o, e End) bool {
	return plain(o.Local) == plain(e.Remote) && plain(o.Remote) == plain(e.Local) &&
		(o.NetID == e.NetID || !e.local())
}

// accepts tells whether an end may lead to a listener on the port of its peer. One
// that listens on all addresses of a host is taken to have the address: the error
// is on the side of trying again.
func accepts(l, e End) bool {
	if a := plain(l.Local).Addr(); !a.IsUnspecified() && a != plain(e.Remote).Addr() {
		return false
	}
	return l.NetID == e.NetID || !e.local()
}
