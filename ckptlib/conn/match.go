package conn

// A Partner tells where the other end of a connection is.
type Partner byte

// Where it may be.
const (
	None Partner = iota // nowhere, or outside of the job
	Near                // in the same network namespace
	Far                 // in another one
)

// Match finds the connections among all ends of a job, which are by pod, and tells
// for each, in the same order, where its partner is. Two ends are one connection when
// each has the other's addresses. Where both addresses are known to several hosts (loopback, the
// bridges of containers) the two must be in one network namespace; an end that
// could be paired with several is paired with none. Ends with no partner lead
// outside of the job, or to a process that is gone, or listen, or no program has
// them any more. What is paired with what does not depend on the order of ends.
//
// An agent that is told where the partners of its ends are can name them: End.ID.
func Match(pods []Ends) [][]Partner {
	n := 0
	for _, ends := range pods {
		n += len(ends)
	}
	m := &matching{
		ends: make([]*End, 0, n), partners: make([]Partner, n), dials: make([]bool, n),
		last: make(map[route]int, n/2), before: make([]int, n),
	}
	for _, ends := range pods {
		for i := range ends {
			m.add(&ends[i])
		}
	}
	for _, i := range m.last {
		m.settle(i)
	}
	out, all := make([][]Partner, len(pods)), m.partners
	for pod, ends := range pods {
		out[pod], all = all[:len(ends)], all[len(ends):]
	}
	return out
}

// matching is the ends of which partners are looked for, by their addresses. A job
// of n ranks may have n² of them: nothing is made for each.
type matching struct {
	ends     []*End
	partners []Partner
	dials    []bool
	last     map[route]int // of those that have these addresses; counted from 1
	before   []int         // the one before it, 0 for none
	list     []int         // those of one route
	found    []int         // of list
}

func (m *matching) add(e *End) {
	i := len(m.ends)
	m.ends = append(m.ends, e)
	if e.State == StateListen || e.Inode == 0 {
		return
	}
	r, dials := e.route()
	if r[0] == r[1] {
		return // a socket that is connected with itself
	}
	m.dials[i] = dials
	m.before[i] = m.last[r]
	m.last[r] = i + 1
}

// settle pairs the ends of one route, the last of which is given.
func (m *matching) settle(i int) {
	m.list = m.list[:0]
	for ; i > 0; i = m.before[i-1] {
		m.list = append(m.list, i-1)
	}
	// Within a namespace first: what is left can only be between hosts.
	for _, where := range []Partner{Near, Far} {
		// All look for a partner before any is used up, so that the order of the
		// ends cannot decide an ambiguous case.
		m.found = m.found[:0]
		for _, i := range m.list {
			if !m.dials[i] {
				continue
			}
			if j := m.only(i, where); j >= 0 && m.only(j, where) == i {
				m.found = append(m.found, i, j)
			}
		}
		for _, i := range m.found {
			m.partners[i] = where
		}
	}
}

// only is the one that an end may be paired with, -1 if there is none or more.
func (m *matching) only(i int, where Partner) int {
	e, only := m.ends[i], -1
	if m.partners[i] != None || where == Far && e.local() {
		return -1
	}
	for _, j := range m.list {
		o := m.ends[j]
		if m.partners[j] != None || m.dials[j] == m.dials[i] || (o.NetID == e.NetID) != (where == Near) {
			continue
		}
		if only >= 0 {
			return -1
		}
		only = j
	}
	return only
}
