package hosts

import "fmt"

// Gather puts together what a run was told about hosts. Hosts of all
// hostfiles add up; -host lists add up as well; where there are both, the
// lists choose among the hosts of the files, and a count in a list goes before
// the one in a file. Without either, the allocation of a resource manager
// found by Detect holds. No hosts at all give an empty list: the job runs on
// this machine.
func Gather(lists, files []string, getenv func(string) string) ([]Host, error) {
	named, err := ParseList("-host", lists...)
	if err != nil {
		return nil, err
	}
	var filed []mention
	for _, f := range files {
		list, err := ReadFile(f)
		if err != nil {
			return nil, err
		}
		for _, h := range list {
			filed = append(filed, mention{Host: h, source: f, word: h.Name})
		}
	}
	if len(filed) == 0 && len(named) == 0 {
		a, err := Detect(getenv)
		if a == nil || err != nil {
			return nil, err
		}
		return a.Hosts, nil
	}
	all, err := merge(filed)
	if err != nil || len(named) == 0 {
		return all, err
	}
	if len(all) == 0 {
		return named, nil
	}
	return choose(named, all)
}

// choose fills in what the list leaves open from the hosts of the files.
func choose(named, all []Host) ([]Host, error) {
	byName := make(map[string]Host, len(all))
	for _, h := range all {
		byName[h.Name] = h
	}
	out := make([]Host, 0, len(named))
	for _, n := range named {
		h, ok := byName[n.Name]
		if !ok {
			return nil, &ParseError{Source: "-host", Word: n.Name, Reason: "no hostfile given names this host; add it there, or leave out the hostfile"}
		}
		if n.User != "" {
			h.User = n.User
		}
		if n.SlotsGiven {
			h.Slots, h.SlotsGiven = n.Slots, true
		}
		if h.Max != 0 && h.Max < h.Slots {
			return nil, &ParseError{Source: "-host", Word: n.String(), Reason: fmt.Sprintf("its hostfile sets max_slots=%d", h.Max)}
		}
		out = append(out, h)
	}
	return out, nil
}
