package launcher

import (
	"context"
	"errors"
	"fmt"

	"github.com/gompirun/gompirun/launcher/agent"
	"github.com/gompirun/gompirun/launcher/flags"
	"github.com/gompirun/gompirun/launcher/hosts"
	"github.com/gompirun/gompirun/launcher/wire"
	"github.com/gompirun/gompirun/sshexec"
)

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
