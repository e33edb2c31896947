package rpc

import "net/netip"

// PodAddrs is what job.json says of the addresses of a pod, among much else.
// Agents read them there at a restart: sent to each, they would be more for the
// coordinator to send than all the rest.
type PodAddrs struct {
	ID        int          `json:"id"`
	Addresses []netip.Addr `json:"addresses"`
}

// JobAddrs tells for every virtual address of the job whose it is. An address
// that several pods have, such as that of a bridge, is nobody's.
func JobAddrs(pods []PodAddrs) map[netip.Addr]int {
	out := make(map[netip.Addr]int, len(pods))
	several := map[netip.Addr]bool{}
	for _, p := range pods {
		for _, a := range p.Addresses {
			a = a.WithZone("")
			if _, ok := out[a]; ok {
				several[a] = true
			}
			out[a] = p.ID
		}
	}
	for a := range several {
		delete(out, a)
	}
	return out
}
