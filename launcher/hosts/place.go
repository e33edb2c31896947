package hosts

import "fmt"

// An Assignment says which ranks run on a host.
type Assignment struct {
	// Host is a host of the list that was placed on.
	Host Host
	// Ranks are the ranks on it, ascending, at least one.
	Ranks []int
}

// A SlotsError says that a job does not fit on its hosts.
type SlotsError struct {
	// Ranks is what was asked for, Slots what there is. Ranks is 0 where one
	// host was asked to take more ranks than it has slots.
	Ranks, Slots int
	// Host and PerNode are set where one host is too small for -ppn.
	Host    string
	PerNode int
	// Hard tells that the limit is one that --oversubscribe does not lift.
	Hard bool
}

func (e *SlotsError) Error() string {
	switch {
	case e.Host != "":
		return fmt.Sprintf("host %s has %s, fewer than the %d ranks per host asked for; raise its slots, or allow more with --oversubscribe",
			e.Host, plural(e.Slots, "slot"), e.PerNode)
	case e.Hard:
		return fmt.Sprintf("%s asked for, but max_slots of the hosts allows no more than %d; add hosts or raise max_slots",
			plural(e.Ranks, "rank"), e.Slots)
	case e.PerNode > 0:
		return fmt.Sprintf("%s asked for, but %d per host make %d; add hosts, raise -ppn, or let the ranks wrap round with --oversubscribe",
			plural(e.Ranks, "rank"), e.PerNode, e.Slots)
	}
	return fmt.Sprintf("%s asked for, but the hosts have %s; give more (-host name:slots), or share them with --oversubscribe",
		plural(e.Ranks, "rank"), plural(e.Slots, "slot"))
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Localhost is the list that a job without hosts runs on.
func Localhost() []Host { return []Host{{Name: "localhost", Slots: 1}} }

// Place gives np ranks to the hosts by slot: each host is filled before the
// next is begun. With oversubscribe the ranks wrap round to the first host
// when the slots are used up, as often as needed, but no host gets more than
// its Max. An np of 0 means one rank for each slot.
//
// A perNode above 0 is the number of ranks a host gets before the next is
// begun, in place of its slots; a host whose slots were given must have that
// many unless oversubscribe is set.
//
// Without hosts, or with a single one that is Local, any number of ranks fits:
// nobody else's slots are taken. What does not fit is a *SlotsError.
func Place(list []Host, np, perNode int, oversubscribe bool) ([]Assignment, error) {
	if len(list) == 0 {
		list = Localhost()
	}
	oversubscribe = oversubscribe || len(list) == 1 && list[0].Local()
	if np < 0 || perNode < 0 {
		return nil, fmt.Errorf("placing %d ranks, %d per host: both must be 0 or more", np, perNode)
	}
	width := make([]int, len(list))
	slots, most, bounded := 0, 0, true
	for i, h := range list {
		width[i] = max(h.Slots, 1)
		if perNode > 0 {
			if h.SlotsGiven && perNode > h.Slots && !oversubscribe {
				return nil, &SlotsError{Slots: h.Slots, Host: h.Name, PerNode: perNode}
			}
			width[i] = perNode
		}
		if h.Max > 0 {
			width[i] = min(width[i], h.Max)
		}
		slots += width[i]
		most += h.Max
		bounded = bounded && h.Max > 0
	}
	switch {
	case np == 0:
		np = slots
	case np > slots && !oversubscribe:
		return nil, &SlotsError{Ranks: np, Slots: slots, PerNode: perNode}
	case np > slots && bounded && np > most:
		return nil, &SlotsError{Ranks: np, Slots: most, Hard: true}
	}
	out := make([]Assignment, len(list))
	for rank := 0; rank < np; {
		for i, h := range list {
			for range width[i] {
				if rank == np || h.Max > 0 && len(out[i].Ranks) == h.Max {
					break
				}
				out[i].Host = h
				out[i].Ranks = append(out[i].Ranks, rank)
				rank++
			}
		}
	}
	used := out[:0]
	for _, a := range out {
		if len(a.Ranks) > 0 {
			used = append(used, a)
		}
	}
	return used, nil
}
