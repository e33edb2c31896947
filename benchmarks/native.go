package main

import (
	"context"
	"errors"
	"os/exec"
	"time"
)

// runTime bounds a job that runs to its own end.
const runTime = 5 * time.Minute

// native is no tool: the program alone, or under its own mpirun.
type native struct{}

func (native) missing(j *job) string { return notOnPath(j.mpirun()[0]) }

func (native) version(context.Context) string { return "" }

func (native) start(_ context.Context, j *job) (session, error) {
	cmd, err := background(j.out, j.env, j.mpirun()...)
	return &plain{cmd}, err
}

// plain is a session that cannot be checkpointed.
type plain struct{ cmd *exec.Cmd }

var errNoCheckpoint = errors.New("there are no checkpoints without a tool")

func (*plain) checkpoint(context.Context, bool) (saved, error) { return saved{}, errNoCheckpoint }

func (*plain) restart(context.Context) (time.Time, error) { return time.Time{}, errNoCheckpoint }

func (p *plain) wait(ctx context.Context) error { return wait(ctx, p.cmd, runTime) }

// notOnPath says so if one of the programs is not installed.
func notOnPath(programs ...string) string {
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			return "not installed"
		}
	}
	return ""
}
