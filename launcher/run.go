package launcher

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gompirun/gompirun/launcher/agent"
	"github.com/gompirun/gompirun/launcher/flags"
	"github.com/gompirun/gompirun/launcher/hosts"
	"github.com/gompirun/gompirun/launcher/mpi"
	"github.com/gompirun/gompirun/launcher/rpc"
	"github.com/gompirun/gompirun/launcher/wire"
	"github.com/gompirun/gompirun/sshexec"
)

// Run runs a job to its end and returns the exit status. An error was not told
// to the user yet; StatusOf tells its status.
func Run(ctx context.Context, env Env, r *flags.Run) (int, error) {
	list, err := hosts.Gather(r.Hosts, r.Hostfiles, lookup(env.Environ))
	if err != nil {
		return 0, err
	}
	here, err := agent.Hello()
	if err != nil {
		return 0, err
	}
	placed, family, programs, err := plan(ctx, r, list, here)
	if err != nil {
		return 0, err
	}
	if r.TTY == flags.TTYYes && family != flags.MPINone {
		return 0, withStatus(StatusUsage, "--tty yes: a terminal is for a program of one process without MPI, and this job is one of %s\n  start it without --tty, or with --mpi none", family)
	}
	j := newJob(env, r.Common)
	for _, n := range r.Notes {
		j.say("%s", n)
	}
	p, err := j.launch(ctx, r, here, placed, family, programs)
	if err == nil {
		j.enterScreen()
		err = j.startMain(ctx, p)
	}
	if err != nil {
		j.end(0)
		return 0, err
	}
	j.resize(false)
	return j.supervise(ctx)
}

// lookup is os.Getenv for an environment.
func lookup(environ []string) func(string) string {
	return func(name string) string {
		for _, kv := range environ {
			if k, v, ok := strings.Cut(kv, "="); ok && k == name {
				return v
			}
		}
		return ""
	}
}

// plan decides which hosts have how many ranks, and what kind of job it is.
func plan(ctx context.Context, r *flags.Run, list []hosts.Host, here wire.Hello) ([]hosts.Assignment, flags.MPI, []mpi.Program, error) {
	np := 0
	for _, c := range r.Contexts {
		np += c.NP
	}
	ranks := np
	if np == 0 && len(list) > 0 {
		placed, err := hosts.Place(list, 0, r.PerNode, r.Oversubscribe)
		if err != nil {
			return nil, "", nil, err
		}
		for _, a := range placed {
			ranks += len(a.Ranks)
		}
	}
	family, programs, err := mpi.Detect(r, max(ranks, 1))
	if err != nil {
		return nil, "", nil, err
	}
	if family == flags.MPINone {
		np = 1
	}
	placed, err := hosts.Place(mergeLocal(ctx, list, here), np, r.PerNode, r.Oversubscribe)
	return placed, family, programs, err
}

// mergeLocal makes one host of those that are this one under different names: a
// host has one pod at a launch.
func mergeLocal(ctx context.Context, list []hosts.Host, here wire.Hello) []hosts.Host {
	var out []hosts.Host
	first := -1
	for _, h := range list {
		if !isLocal(ctx, h, here) {
			out = append(out, h)
			continue
		}
		if first < 0 {
			first = len(out)
			out = append(out, h)
			continue
		}
		out[first].Slots += h.Slots
		out[first].SlotsGiven = out[first].SlotsGiven || h.SlotsGiven
	}
	return out
}

// launch brings the job to life, all but its main program, which it returns.
func (j *Job) launch(ctx context.Context, r *flags.Run, here wire.Hello, placed []hosts.Assignment, family flags.MPI, programs []mpi.Program) (p mpi.Plan, err error) {
	ctx, stop := j.interruptible(ctx)
	defer stop(&err)
	list := make([]hosts.Host, len(placed))
	order := make([]int, len(placed))
	for i, a := range placed {
		list[i], order[i] = a.Host, i
	}
	job := mpi.Job{Run: r, Family: family, Programs: programs, Environ: j.env.Environ}
	if family != flags.MPINone {
		if job.Launcher, err = mpi.Find(family); err != nil {
			return p, err
		}
	}
	lap := laps(j.note)
	if j.fleet, err = reach(ctx, list, here, &sshexec.Options{ConfigFile: r.SSHConfig}); err != nil {
		return p, err
	}
	lap(Login)
	j.logAgents()
	if err := j.startAgents(ctx, order); err != nil {
		return p, err
	}
	lap(Start)
	if err := j.checkProgram(ctx, r, programs); err != nil {
		return p, err
	}
	j.setRecord(r, family, placed)
	full := j.crowded(order)
	job.Yield = len(full) > 0
	job.Nodes = mpi.Nodes(placed, r.PerNode)
	for i := range job.Nodes {
		job.Nodes[i].Name = j.record.Pods[i].Node
	}
	if len(placed) > 1 {
		job.Shim, job.HeadAddr = agent.ShimPath, j.record.Pods[0].Addresses[0].String()
	}
	if p, err = mpi.Make(job); err != nil {
		return p, err
	}
	for _, n := range p.Notes {
		j.say("%s", n)
	}
	j.record.Env = p.Env
	lap = laps(j.note)
	j.relieve(full)
	if err := j.startPods(ctx); err != nil {
		return p, err
	}
	lap(Pods)
	if err := j.setUpCheckpoints(ctx, r.Checkpointing, r.Common); err != nil {
		return p, err
	}
	close(j.running)
	return p, nil
}

// logAgents passes on what agents say on their standard error.
func (j *Job) logAgents() {
	if j.common.Verbose > 0 {
		j.fleet.log = logWriter{j}
	}
	if j.common.Verbose > 1 {
		j.fleet.args = []string{"--debug"}
	}
}

// logWriter writes messages of agents.
type logWriter struct{ j *Job }

// Write implements io.Writer.
func (w logWriter) Write(b []byte) (int, error) {
	w.j.message(append([]byte(nil), b...))
	return len(b), nil
}

// setRecord notes what the job is.
func (j *Job) setRecord(r *flags.Run, family flags.MPI, placed []hosts.Assignment) {
	j.record = Record{
		Format: RecordFormat, Version: agent.Version(), Command: j.env.Command, Dir: j.env.Dir, Family: family, Yield: r.Yield,
		Terminal: j.wantsTerminal(r, family), UID: j.fleet.here.UID, User: strconv.Itoa(j.fleet.here.UID), Started: time.Now().UTC(), Checkpoints: r.Checkpointing,
	}
	if u, err := user.Current(); err == nil {
		j.record.User = u.Username
	}
	// The pods' own names are what their processes find out; the user's serve
	// where those are not different, or where he says by them what runs where.
	own := map[string]int{}
	for _, a := range j.agents {
		own[a.Hello.HostName]++
	}
	perContext := false
	for _, c := range r.Contexts {
		perContext = perContext || len(c.Hosts) > 0
	}
	for i, a := range j.agents {
		p := PodRecord{ID: i, HostName: a.Hello.HostName, Node: a.Hello.HostName, Addresses: unzoned(a.Real), Ranks: len(placed[i].Ranks), Host: a.Host}
		if perContext || own[p.HostName] > 1 {
			p.Node = a.Host.Name
		}
		j.record.Pods = append(j.record.Pods, p)
		j.record.Ranks += p.Ranks
	}
}

// unzoned strips the zones, which mean something on one host only.
func unzoned(list []netip.Addr) []netip.Addr {
	out := make([]netip.Addr, len(list))
	for i, a := range list {
		out[i] = a.WithZone("")
	}
	return out
}

// podOf is what the agent of a pod has to know.
func (j *Job) podOf(a *Agent) rpc.Pod {
	p := j.record.Pods[a.Pod]
	return rpc.Pod{ID: p.ID, HostName: p.HostName, Virtual: p.Addresses, Real: a.Real, Relief: a.relief}
}

func (j *Job) startPods(ctx context.Context) error {
	return hostErrors(Barrier(ctx, j.agents, "start", func(ctx context.Context, a *Agent) error {
		return a.call(ctx, rpc.StartPod, j.podOf(a), nil)
	}))
}

// hostErrors drops the name of a phase that means nothing to the user.
func hostErrors(err error) error {
	var joined interface{ Unwrap() []error }
	if err == nil || !errors.As(err, &joined) {
		return err
	}
	var out []error
	for _, e := range joined.Unwrap() {
		var p *PhaseError
		if errors.As(e, &p) {
			e = fmt.Errorf("%s: %w", p.Where, p.Err)
		}
		out = append(out, e)
	}
	return ofHosts(out)
}

// absolute is a path as seen from the job's working directory.
func (j *Job) absolute(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(j.env.Dir, path)
}
