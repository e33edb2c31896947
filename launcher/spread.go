package launcher

import (
	"github.com/gompirun/gompirun/launcher/hosts"
)

// spread places the pods of a restart on hosts and returns the number of the host
// of each pod. With as many hosts as pods, or more, each has its own. With fewer,
// a pod goes to the host with the most slots left for its ranks, the first of
// equals. If the user gave the slots of all hosts and they do not suffice, the
// error is a *hosts.SlotsError, unless oversubscribe is set.
func spread(pods []PodRecord, list []hosts.Host, oversubscribe bool) ([]int, error) {
	ranks, slots, given := 0, 0, true
	for _, p := range pods {
		ranks += p.Ranks
	}
	left := make([]int, len(list))
	for i, h := range list {
		left[i] = max(h.Slots, 1)
		slots += left[i]
		given = given && h.SlotsGiven
	}
	if given && ranks > slots && !oversubscribe {
		return nil, &hosts.SlotsError{Ranks: ranks, Slots: slots}
	}
	out := make([]int, len(pods))
	for i, p := range pods {
		if len(list) >= len(pods) {
			out[i] = i
			continue
		}
		best := 0
		for h := range list {
			if left[h] > left[best] {
				best = h
			}
		}
		out[i] = best
		left[best] -= max(p.Ranks, 1)
	}
	return out, nil
}

// used drops the hosts that have no pod.
func used(list []hosts.Host, hostOf []int) ([]hosts.Host, []int) {
	var out []hosts.Host
	place := map[int]int{}
	order := make([]int, len(hostOf))
	for i, h := range hostOf {
		at, ok := place[h]
		if !ok {
			at = len(out)
			place[h] = at
			out = append(out, list[h])
		}
		order[i] = at
	}
	return out, order
}

// recordedHosts are the hosts that a job ran on last, each once.
func recordedHosts(pods []PodRecord) []hosts.Host {
	var out []hosts.Host
	seen := map[hosts.Host]bool{}
	for _, p := range pods {
		if !seen[p.Host] {
			seen[p.Host] = true
			out = append(out, p.Host)
		}
	}
	return out
}

// recordedPlaces are those hosts and where each pod was.
func recordedPlaces(pods []PodRecord) ([]hosts.Host, []int) {
	list := recordedHosts(pods)
	hostOf := make([]int, len(pods))
	for i, p := range pods {
		for h := range list {
			if list[h] == p.Host {
				hostOf[i] = h
			}
		}
	}
	return list, hostOf
}
