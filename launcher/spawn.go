package launcher

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"

	"github.com/gompirun/gompirun/ckptlib/pod"
	"github.com/gompirun/gompirun/launcher/mpi"
	"github.com/gompirun/gompirun/launcher/rpc"
	"github.com/gompirun/gompirun/launcher/wire"
)

// startMain starts the job's main program in pod 0.
func (j *Job) startMain(ctx context.Context, p mpi.Plan) error {
	dir := p.Dir
	if dir == "" {
		dir = j.env.Dir
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(j.env.Dir, dir)
	}
	path := p.Argv[0]
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	r := rpc.Program{Stream: mainStream, Path: path, Args: p.Argv, Env: podEnv(p.Env), Dir: dir, Input: true, Terminal: j.programTerminal()}
	a := j.agents[0]
	err := a.call(ctx, rpc.Spawn, r, nil)
	if err != nil {
		return programError(a, err)
	}
	if j.env.Stdin == nil {
		j.endInput(a, mainStream)
	}
	return nil
}

// programError gives an error about a program on a host its exit status.
func programError(a *Agent, err error) error {
	switch wire.KindOf(err) {
	case wire.KindMissing:
		return withStatus(StatusNotFound, "%s: %w", a.Host.Name, err)
	case wire.KindNotExec:
		return withStatus(StatusNotExec, "%s: %w", a.Host.Name, err)
	case wire.KindBadDir:
		return withStatus(StatusFailed, "%s: %w\n  the working directory must be there on every host; choose another with -wdir", a.Host.Name, err)
	}
	return fmt.Errorf("%s: %w", a.Host.Name, err)
}

// podEnv is an environment in which temporary files are the pod's own.
func podEnv(env []string) []string {
	out := make([]string, 0, len(env)+1)
	for _, kv := range env {
		if len(kv) < 7 || kv[:7] != "TMPDIR=" {
			out = append(out, kv)
		}
	}
	return append(out, "TMPDIR="+pod.TmpDir)
}

// shim starts what the native launcher would have started by SSH on another
// host: a daemon, in that host's pod.
func (j *Job) shim(ctx context.Context, c rpc.ShimCall) error {
	node, command, err := mpi.ParseShim(c.Args)
	if err != nil {
		return err
	}
	j.spawning.RLock()
	defer j.spawning.RUnlock()
	j.mu.Lock()
	at := -1
	for _, p := range j.record.Pods {
		if p.Node == node || p.HostName == node || p.Host.Name == node {
			at = p.ID
			break
		}
	}
	j.daemons++
	stream, stopped, env := fmt.Sprintf("daemon-%d", j.daemons), j.stopped, j.record.Env
	j.mu.Unlock()
	switch {
	case at < 0:
		return fmt.Errorf("host %s has no part in this job; a job keeps the hosts it was started with", node)
	case stopped:
		return errors.New("the job is ending")
	}
	if j.common.Verbose > 1 {
		j.say("daemon on %s: %s", j.agents[at].Host.Name, command)
	}
	err = j.agents[at].call(ctx, rpc.Spawn, rpc.Program{
		Stream: stream, Path: "/bin/sh", Args: []string{"sh", "-c", command}, Env: podEnv(env), Dir: "/",
	}, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", j.agents[at].Host.Name, err)
	}
	return nil
}

// resolve tells where an address of the job really is.
func (j *Job) resolve(ctx context.Context, virtual netip.AddrPort) (rpc.Owned, error) {
	if err := j.awaitRunning(ctx); err != nil {
		return rpc.Owned{}, err
	}
	j.mu.Lock()
	if j.addrs == nil { // pods keep their addresses for life
		j.addrs = jobAddrs(j.record.Pods)
	}
	at, ok := j.addrs[virtual.Addr().Unmap().WithZone("")]
	j.mu.Unlock()
	if !ok {
		return rpc.Owned{Addr: virtual}, nil
	}
	var n rpc.Name
	if err := j.agents[at].call(ctx, rpc.Locate, rpc.Name{Addr: virtual}, &n); err != nil {
		return rpc.Owned{}, err
	}
	var o rpc.Owned
	if err := j.agents[at].call(ctx, rpc.Own, n, &o); err == nil && !o.OK {
		// Nobody listens there. A process that looked at its interfaces after the
		// restart has told the others an address of its new host, which may once
		// have been that of another pod.
		for _, a := range j.agents {
			if a.Pod == at || !a.has(virtual.Addr()) {
				continue
			}
			if err := a.call(ctx, rpc.Own, rpc.Name{Addr: virtual}, &o); err == nil && o.OK {
				return rpc.Owned{Addr: virtual, OK: true}, nil
			}
		}
	}
	return rpc.Owned{Addr: n.Addr, OK: true}, nil
}

// owner tells whose socket has a real address: one of a pod on the host that has
// the address.
func (j *Job) owner(ctx context.Context, real netip.AddrPort) (rpc.Owned, error) {
	if err := j.awaitRunning(ctx); err != nil {
		return rpc.Owned{}, err
	}
	var errs []error
	for _, a := range j.agents {
		if !a.has(real.Addr()) {
			continue
		}
		var o rpc.Owned
		if err := a.call(ctx, rpc.Own, rpc.Name{Addr: real}, &o); err != nil {
			errs = append(errs, err)
		} else if o.OK {
			return o, nil
		}
	}
	return rpc.Owned{Addr: real}, errors.Join(errs...)
}

// has tells whether an address is one of the agent's host.
func (a *Agent) has(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	if addr.IsLoopback() {
		return true
	}
	for _, r := range a.Real {
		if r.WithZone("") == addr {
			return true
		}
	}
	return false
}

func (j *Job) awaitRunning(ctx context.Context) error {
	select {
	case <-j.running:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
