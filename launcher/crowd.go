package launcher

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gompirun/gompirun/launcher/flags"
	"github.com/gompirun/gompirun/launcher/mpi"
	"github.com/gompirun/gompirun/launcher/rpc"
)

// A crowd is a host with more ranks than processors. Ranks that wait for a message
// ask for it over and over; where the one that would send it has no processor,
// all wait for the kernel's next tick.
type crowd struct {
	host              string
	agents            []*Agent // of its pods
	ranks, processors int
}

// crowded finds the hosts on which ranks that wait are to give their processor
// up; hostOf tells for each pod the number of its host.
func (j *Job) crowded(hostOf []int) []crowd {
	if j.record.Family == flags.MPINone || j.record.Yield == flags.YieldNo {
		return nil
	}
	hosts := map[int]*crowd{}
	for pod, h := range hostOf {
		a := j.agents[pod]
		if hosts[h] == nil {
			hosts[h] = &crowd{host: a.Host.Name, processors: a.Hello.Processors}
		}
		hosts[h].agents = append(hosts[h].agents, a)
		hosts[h].ranks += j.record.Pods[pod].Ranks
	}
	var out []crowd
	for _, c := range hosts {
		if c.ranks > c.processors || j.record.Yield == flags.YieldYes {
			out = append(out, *c)
		}
	}
	slices.SortFunc(out, func(a, b crowd) int { return a.agents[0].Pod - b.agents[0].Pod })
	return out
}

// relieve has crowded hosts' agents do what the ranks do not, and says so. It is
// called when the job's environment is known and before its pods are made.
func (j *Job) relieve(full []crowd) {
	if len(full) == 0 {
		return
	}
	said, yes := mpi.Yields(j.record.Family, j.record.Env)
	if said && !yes {
		return
	}
	for _, c := range full {
		for i, a := range c.agents {
			a.relief = rpc.Relief{Slack: true, Slices: !yes, Pulse: !yes && i == 0}
		}
	}
	how := "the kernel is made to switch between them more often"
	if yes {
		how = "ranks that wait yield (mpi_yield_when_idle)"
	}
	j.say("%s; %s, and timers may be a millisecond late", crowds(full), how)
}

// crowds names the hosts, the first ones of many.
func crowds(full []crowd) string {
	const most = 3
	var words []string
	for _, c := range full[:min(len(full), most)] {
		words = append(words, fmt.Sprintf("%s has %s on %s", c.host, count(c.ranks, "rank"), count(c.processors, "processor")))
	}
	if n := len(full) - most; n > 0 {
		words = append(words, fmt.Sprintf("%s too", count(n, "other host")))
	}
	return strings.Join(words, ", ")
}
