package launcher

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/gompirun/gompirun/ckptlib/conn"
	"github.com/gompirun/gompirun/ckptlib/store"
	"github.com/gompirun/gompirun/launcher/flags"
	"github.com/gompirun/gompirun/launcher/rpc"
	"github.com/gompirun/gompirun/launcher/wire"
)

// connectTime bounds how long the connections of a job may take to be made
// anew.
const connectTime = 2 * time.Minute

// revival is a restart that is under way.
type revival struct {
	j     *Job
	mu    sync.Mutex
	pods  map[int]rpc.Rebuilt
	at    map[conn.ID]netip.AddrPort // where each end is to be reached
	token [32]byte
}

// revive takes the job through the phases of a restart.
func (j *Job) revive(ctx context.Context, r *flags.Restart, g *store.Generation) (err error) {
	ctx, stop := j.interruptible(ctx)
	defer stop(&err)
	v := &revival{j: j, pods: map[int]rpc.Rebuilt{}}
	if _, err := rand.Read(v.token[:]); err != nil {
		return err
	}
	start := time.Now()
	verify := Step[*Agent]{Phase: Verify, Each: func(ctx context.Context, a *Agent) error {
		request := rpc.Restart{
			Pod: j.podOf(a), Dir: j.dir, Generation: g.Manifest.Generation,
			FilePolicy: string(r.Files), PathMap: r.PathMap, Lazy: r.Lazy, DryRun: r.DryRun,
		}
		var out rpc.Verified
		err := a.call(ctx, rpc.Verify, request, &out)
		for _, w := range out.Warnings {
			j.say("%s: %s", a.Host.Name, w)
		}
		return err
	}}
	if r.DryRun {
		if err := RunPlan(ctx, j.agents, []Step[*Agent]{verify}, nil); err != nil {
			return hostErrors(err)
		}
		j.tellPlan(g)
		return nil
	}
	plan := []Step[*Agent]{
		verify,
		{Phase: Rebuild, Each: v.rebuild, Then: v.locate},
		{Phase: Connect, Each: v.connect},
		{Phase: Refill, Each: each(rpc.RefillConns, nil), Then: func(context.Context) error {
			j.enterScreen()
			return nil
		}},
		{Phase: Resume, Each: each(rpc.ResumeRestart, nil)},
	}
	if err := RunPlan(ctx, j.agents, timed(plan, j.own.total, j.note), []Step[*Agent]{{Phase: Abort, Each: each(rpc.AbortRestart, nil)}}); err != nil {
		hint := ""
		if wire.KindOf(err) == wire.KindDamaged {
			hint = intactBefore(ctx, j.opened(), g.Manifest.Generation, r.Dir)
		}
		return fmt.Errorf("%w\n  the job was not restarted; its checkpoints are as they were%s", err, hint)
	}
	close(j.running)
	v.endInputs()
	j.say("checkpoint %d restarted: %s on %s, %.1f s", g.Manifest.Generation,
		count(j.record.Ranks, "rank"), count(len(j.fleet.hosts), "host"), time.Since(start).Seconds())
	for i, a := range j.agents {
		j.record.Pods[i].Host = a.Host
	}
	// A job runs as well from a store that is full or may only be read.
	if err := j.claimStore(ctx, j.opened()); err != nil {
		j.say("the job runs, but no checkpoint of it can be made until this is mended: %v", err)
	}
	return nil
}

func (v *revival) rebuild(ctx context.Context, a *Agent) error {
	var out rpc.Rebuilt
	if err := a.call(ctx, rpc.Rebuild, struct{}{}, &out); err != nil {
		return err
	}
	v.mu.Lock()
	v.pods[a.Pod] = out
	v.mu.Unlock()
	return nil
}

// connect tells an agent where the other ends of its connections are.
func (v *revival) connect(ctx context.Context, a *Agent) error {
	peers, err := v.peers(a.Pod)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	return a.call(ctx, rpc.Connect, rpc.Connections{Peers: peers, Token: v.token[:]}, nil)
}

// locate finds where each end is to be reached.
func (v *revival) locate(context.Context) error {
	v.at = map[conn.ID]netip.AddrPort{}
	for _, p := range v.pods {
		for _, e := range p.Ends {
			v.at[e.ID] = p.Addrs.For(e.Family)
		}
	}
	return nil
}

// peers finds, for each end of a pod, where the other end is to be reached.
func (v *revival) peers(pod int) ([]netip.AddrPort, error) {
	ends := v.pods[pod].Ends
	out := make([]netip.AddrPort, len(ends))
	for i, e := range ends {
		other, ok := v.at[e.ID.Peer()]
		if !ok {
			return nil, fmt.Errorf("the image of the other end of connection %s is missing", e.ID)
		}
		out[i] = other
	}
	return out, nil
}

// endInputs gives all programs but the main one the end of their input, which
// was empty from the start.
func (v *revival) endInputs() {
	for pod, p := range v.pods {
		for _, s := range p.Streams {
			if pod != 0 || s != mainStream || v.j.env.Stdin == nil {
				v.j.endInput(v.j.agents[pod], s)
			}
		}
	}
}

// tellPlan says what a restart would do.
func (j *Job) tellPlan(g *store.Generation) {
	f, err := ReadFacts(&g.Manifest)
	if err != nil {
		j.say("%v", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "checkpoint %d of %s: %s, %s, %s\n", g.Manifest.Generation,
		g.Manifest.Created.Local().Format("2006-01-02 15:04:05"), count(f.Ranks, "rank"), count(f.Processes, "process"), Bytes(f.BytesLogical))
	for i, a := range j.agents {
		p := j.record.Pods[i]
		fmt.Fprintf(&b, "pod %d (%s, %s) on %s\n", i, p.HostName, count(p.Ranks, "rank"), a.Host.Name)
	}
	b.WriteString("everything a restart needs is there; nothing was started\n")
	j.stdout.put(chunk{data: []byte(b.String()), written: func() {}})
}
