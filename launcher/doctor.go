package launcher

import (
	"context"
	"sync"

	"github.com/gompirun/gompirun/launcher/agent"
	"github.com/gompirun/gompirun/launcher/flags"
	"github.com/gompirun/gompirun/launcher/hosts"
	"github.com/gompirun/gompirun/launcher/rpc"
	"github.com/gompirun/gompirun/sshexec"
)

// Doctor tries on every host what a job needs, in the order of the list; an
// empty list is this host.
func Doctor(ctx context.Context, env Env, list []hosts.Host, o *sshexec.Options) (map[string][]rpc.Finding, []string, error) {
	here, err := agent.Hello()
	if err != nil {
		return nil, nil, err
	}
	if len(list) == 0 {
		list = []hosts.Host{{Name: "localhost"}}
	}
	j := newJob(env, flags.Common{Quiet: true})
	defer j.end(0)
	if j.fleet, err = reach(ctx, list, here, o); err != nil {
		return nil, nil, err
	}
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
	}
	if err := j.startAgents(ctx, order); err != nil {
		return nil, nil, err
	}
	var mu sync.Mutex
	out := map[string][]rpc.Finding{}
	var names []string
	for _, a := range j.agents {
		names = append(names, a.Host.Name)
	}
	err = Barrier(ctx, j.agents, "probe", func(ctx context.Context, a *Agent) error {
		var f []rpc.Finding
		err := a.call(ctx, rpc.Probe, struct{}{}, &f)
		mu.Lock()
		out[a.Host.Name] = f
		mu.Unlock()
		return err
	})
	return out, names, err
}
