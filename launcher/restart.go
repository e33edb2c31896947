package launcher

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gompirun/gompirun/ckptlib/conn"
	"github.com/gompirun/gompirun/ckptlib/store"
	"github.com/gompirun/gompirun/launcher/agent"
	"github.com/gompirun/gompirun/launcher/flags"
	"github.com/gompirun/gompirun/launcher/hosts"
	"github.com/gompirun/gompirun/launcher/rpc"
	"github.com/gompirun/gompirun/launcher/wire"
	"github.com/gompirun/gompirun/sshexec"
)

// connectTime bounds how long the connections of a job may take to be made
// anew.
const connectTime = 2 * time.Minute

// Restart restarts a job from a checkpoint and stays with it to its end, as Run
// does.
func Restart(ctx context.Context, env Env, r *flags.Restart) (int, error) {
	j := newJob(env, r.Common)
	g, err := j.choose(ctx, r)
	if err == nil {
		err = j.place(ctx, r)
	}
	if err == nil {
		err = j.revive(ctx, r, g)
	}
	if err != nil || r.DryRun {
		j.end(0)
		var s *StatusError
		if err != nil && !errors.As(err, &s) && StatusOf(err) == StatusFailed {
			err = &StatusError{StatusNoRestart, err}
		}
		return 0, err
	}
	j.resize(true)
	status, err := j.supervise(ctx)
	if wire.KindOf(err) == wire.KindDamaged {
		// Met while the memory was read behind the running job.
		err = fmt.Errorf("%w%s", err, intactBefore(ctx, j.opened(), g.Manifest.Generation, r.Dir))
	}
	return status, err
}

// choose finds the generation to restart from, and what the job is.
func (j *Job) choose(ctx context.Context, r *flags.Restart) (*store.Generation, error) {
	j.dir = j.absolute(r.Dir)
	st, err := store.Open(j.dir)
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			return nil, fmt.Errorf("%w\n  only the user whose job it was can restart it", err)
		}
		return nil, err
	}
	if j.record, err = ReadRecord(st); err != nil {
		return nil, err
	}
	if uid := os.Getuid(); uid != j.record.UID {
		return nil, fmt.Errorf("the job ran as %s (user id %d) and this is user id %d; restart it as %s", j.record.User, j.record.UID, uid, j.record.User)
	}
	c := r.Checkpointing
	have := &j.record.Checkpoints
	for option, set := range map[string]func(){
		"ckpt-interval": func() { have.CkptInterval, have.CkptIntervalAuto = c.CkptInterval, c.CkptIntervalAuto },
		"ckpt-keep":     func() { have.CkptKeep = c.CkptKeep },
		"ckpt-mode":     func() { have.CkptMode = c.CkptMode },
		"ckpt-compress": func() { have.CkptCompress = c.CkptCompress },
		"ckpt-stage":    func() { have.CkptStage = c.CkptStage },
		"ckpt-track":    func() { have.CkptUntracked = c.CkptUntracked },
		"verify-pages":  func() { have.CkptVerify = c.CkptVerify },
		"ckpt-on":       func() { have.CkptOn = c.CkptOn },
	} {
		if r.Given[option] {
			set()
		}
	}
	g, err := ChooseGeneration(ctx, st, r.Generation, r.Dir)
	if err != nil {
		return nil, err
	}
	j.use(st, g.Manifest.Generation)
	f, err := ReadFacts(&g.Manifest)
	j.daemons = f.Daemons
	return g, errors.Join(err, j.resumeInput(f.Input, g.Manifest.Generation))
}

// ChooseGeneration returns the generation asked for, or with 0 the newest one;
// dir is how the user calls the store. It is refused if a file of it is damaged:
// to go back further than the user knows is his to decide.
func ChooseGeneration(ctx context.Context, st *store.Store, number int, dir string) (*store.Generation, error) {
	newest, damaged, err := st.Latest(ctx)
	hint := ""
	if err == nil {
		hint = fmt.Sprintf("\n  the newest intact checkpoint is %d: gompirun restart %s@%d", newest.Manifest.Generation, dir, newest.Manifest.Generation)
	}
	if number == 0 {
		switch {
		case err != nil && damaged != nil:
			return nil, fmt.Errorf("%s has no intact checkpoint: %w", dir, damaged)
		case err != nil:
			return nil, fmt.Errorf("%s has no complete checkpoint: the job ended before its first one was durable", dir)
		case damaged != nil:
			return nil, fmt.Errorf("the newest checkpoint in %s cannot be used: %w%s", dir, damaged, hint)
		}
		return newest, nil
	}
	g, err := st.Load(number)
	if errors.Is(err, store.ErrNoGeneration) {
		return nil, fmt.Errorf("%s has no complete checkpoint %d%s", dir, number, hint)
	}
	if err == nil {
		err = g.Verify(ctx, false)
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint %d in %s cannot be used: %w%s", number, dir, err, hint)
	}
	return g, nil
}

// intactBefore offers the newest checkpoint before one with damaged pages, after
// reading all of it.
func intactBefore(ctx context.Context, st *store.Store, number int, dir string) string {
	list, err := st.Generations()
	if err != nil {
		return "" // the damage is told; this would be a help only
	}
	for _, i := range slices.Backward(list) {
		if i.Number >= number || !i.Complete {
			continue
		}
		if g, err := st.Load(i.Number); err == nil && g.Verify(ctx, true) == nil {
			return fmt.Sprintf("\n  the newest intact checkpoint before it is %d: gompirun restart %s@%d", i.Number, dir, i.Number)
		}
	}
	return ""
}

// place decides where the pods go, and starts their agents.
func (j *Job) place(ctx context.Context, r *flags.Restart) (err error) {
	ctx, stop := j.interruptible(ctx)
	defer stop(&err)
	here, err := agent.Hello()
	if err != nil {
		return err
	}
	list, err := hosts.Gather(r.Hosts, r.Hostfiles, lookup(j.env.Environ))
	if err != nil {
		return err
	}
	var hostOf []int
	if len(list) == 0 {
		list, hostOf = recordedPlaces(j.record.Pods)
	} else if hostOf, err = spread(j.record.Pods, mergeLocal(ctx, list, here), r.Oversubscribe); err != nil {
		return err
	} else {
		list, hostOf = used(mergeLocal(ctx, list, here), hostOf)
	}
	lap := laps(j.note)
	if j.fleet, err = reach(ctx, list, here, &sshexec.Options{ConfigFile: r.SSHConfig}); err != nil {
		return err
	}
	lap(Login)
	j.logAgents()
	if !r.DryRun {
		if j.control, err = listenControl(j.dir); err != nil {
			return err
		}
		if err := j.lockStore(); err != nil {
			return err
		}
	}
	lap = laps(j.note)
	err = j.startAgents(ctx, hostOf)
	lap(Start)
	if err != nil {
		return err
	}
	if r.Given["yield"] {
		j.record.Yield = r.Yield
	}
	if !r.DryRun {
		j.relieve(j.crowded(hostOf))
	}
	return nil
}

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
	request := func(a *Agent) rpc.Restart {
		return rpc.Restart{Pod: j.podOf(a), Dir: j.dir, Generation: g.Manifest.Generation, FilePolicy: string(r.Files), PathMap: r.PathMap, Lazy: r.Lazy}
	}
	verify := Step[*Agent]{Phase: Verify, Each: func(ctx context.Context, a *Agent) error {
		var out rpc.Verified
		err := a.call(ctx, rpc.Verify, request(a), &out)
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
		{Phase: Rebuild, Each: func(ctx context.Context, a *Agent) error { return v.rebuild(ctx, a, request(a)) }, Then: v.locate},
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

func (v *revival) rebuild(ctx context.Context, a *Agent, r rpc.Restart) error {
	var out rpc.Rebuilt
	if err := a.call(ctx, rpc.Rebuild, r, &out); err != nil {
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

var _ wire.Handler = (*Agent)(nil)
