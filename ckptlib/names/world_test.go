package names

import (
	"context"
	"net/netip"
)

// A world is the pods of a job; it is what the coordinator is to the agents.
type world struct {
	pods map[int]*Table
	job  map[netip.Addr]int
}

func newWorld() *world { return &world{map[int]*Table{}, map[netip.Addr]int{}} }

func (w *world) Resolve(_ context.Context, v netip.AddrPort) (netip.AddrPort, bool, error) {
	t := w.pods[w.job[v.Addr()]]
	if t == nil {
		return v, false, nil
	}
	return t.Locate(v), true, nil
}

func (w *world) Owner(_ context.Context, real netip.AddrPort) (netip.AddrPort, bool) {
	for _, t := range w.pods {
		if v, ok := t.Own(real); ok {
			return v, true
		}
	}
	return netip.AddrPort{}, false
}

func addrs(s ...string) (all []netip.Addr) {
	for _, a := range s {
		all = append(all, netip.MustParseAddr(a))
	}
	return all
}

// pod adds a pod to the job; call it for all before the first victim starts.
func (w *world) pod(virtual, real []netip.Addr) *Table {
	n := len(w.pods)
	for _, a := range virtual {
		w.job[a] = n
	}
	w.pods[n] = NewTable(n, virtual, real, nil)
	for _, t := range w.pods {
		for a, p := range w.job {
			t.job[a] = p
		}
	}
	return w.pods[n]
}

// twoPods are pods of a job whose hosts are gone; each now has a host.
func twoPods() (w *world, a, b *Table) {
	w = newWorld()
	a = w.pod(addrs("10.89.0.1", "fd89::1"), addrs("10.89.0.11", "fd89::11"))
	b = w.pod(addrs("10.89.0.2", "fd89::2"), addrs("10.89.0.12", "fd89::12"))
	return w, a, b
}
