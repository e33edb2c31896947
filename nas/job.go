package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// patience is how long a job may take to end after it told its result.
const patience = 20 * time.Second

// generations are kept, so that long jobs do not fill the disk.
const generations = "3"

// A runner runs one job.
type runner struct {
	result
	o      options
	s      site
	random *rand.Rand
	log    io.Writer
	path   string // of the program, on the site
	env    []string
	life   *life
}

// runJob runs a job through all its lives. Nothing of it is left.
func runJob(ctx context.Context, j job, o options, s site, random *rand.Rand, log io.Writer) result {
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("no end within %v", o.timeout))
	defer cancel()
	r := &runner{result: result{job: j}, o: o, s: s, random: random, log: log}
	r.say("%s.%s, %s, %s: ", j.name, j.class, j.family, count(j.ranks, "rank"))
	r.failure = errors.Join(r.run(ctx), s.forget())
	switch {
	case r.failure != nil:
		r.say("FAILED: %v\n", r.failure)
	case r.verified:
		r.say("verified\n")
	default:
		r.say("NOT VERIFIED\n")
	}
	if !r.ok() && r.life != nil {
		r.say("  %s\n", strings.Join(r.life.tail, "\n  "))
	}
	return r.result
}

// say adds to the line about this job.
func (r *runner) say(format string, args ...any) { say(r.log, format, args...) }

// say tells how it goes, which nobody has to hear.
func say(log io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(log, format, args...) }

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}

func (r *runner) run(ctx context.Context) (err error) {
	if r.path, err = r.s.install(r.program); err != nil {
		return err
	}
	n, err := r.repetitions(ctx)
	if err != nil {
		return err
	}
	for {
		r.result = result{job: r.job}
		if n > 0 {
			r.env = []string{"NAS_REPEAT=" + strconv.Itoa(n)}
			r.remark("%s", count(n, "repetition"))
		}
		if err := r.lives(ctx); err != nil {
			return err
		}
		if r.kills == r.o.kill {
			return nil
		}
		if r.o.repeat > 0 || !r.repeats || !r.verified {
			r.remark("it ended before kill %d", r.kills+1)
			return nil
		}
		// How fast it is depends on what else goes on.
		n = min(4*n, 1_000_000)
		r.say("ended before kill %d; again: ", r.kills+1)
		if err := r.s.forget(); err != nil {
			return err
		}
	}
}

// lives runs the job from its start to its end.
func (r *runner) lives(ctx context.Context) error {
	began := time.Now()
	if err := r.start(r.o.interval); err != nil {
		return err
	}
	defer func() { r.checkpoints = append(r.checkpoints, r.life.committed...) }()
	for r.kills < r.o.kill && r.life.judged == "" {
		if err := r.killOnce(ctx); err != nil {
			return r.abandon(err)
		}
	}
	if r.life.judged == "" {
		if e, _ := r.life.await(ctx, nil, nil); e != judged {
			return r.abandon(fmt.Errorf("no result: %w", r.reason(ctx, e)))
		}
	}
	r.runTime = time.Since(began)
	r.verified = verifiedLine.MatchString(r.life.judged)
	return r.end(ctx)
}

// repetitions finds out how many are long enough for the kills, 0 where nobody
// has to set them. Up to each kill the job runs for at most two intervals and
// the time of a checkpoint.
func (r *runner) repetitions(ctx context.Context) (int, error) {
	if r.o.repeat > 0 || !r.repeats || r.o.kill == 0 {
		return r.o.repeat, nil
	}
	r.say("alone ")
	if err := r.start(0); err != nil {
		return 0, err
	}
	e, m := r.life.await(ctx, timeLine, nil)
	if e != matched {
		return 0, r.abandon(fmt.Errorf("no run time: %w", r.reason(ctx, e)))
	}
	seconds, err := strconv.ParseFloat(m[1], 64)
	// Its end is of no interest.
	if err := r.abandon(err); err != nil {
		return 0, err
	}
	r.say("%.2f s; ", seconds)
	need := time.Duration(r.o.kill)*(2*r.o.interval+time.Second) + r.o.interval
	return max(1, int(math.Ceil(need.Seconds()/max(seconds, 0.01)))), nil
}

// start begins the first life.
func (r *runner) start(interval time.Duration) error {
	args := []string{"-np", strconv.Itoa(r.ranks), "--mpi", r.family, "--ckpt-dir", r.s.checkpoints()}
	if interval > 0 {
		args = append(args, "--ckpt-interval", interval.String(), "--ckpt-keep", generations)
	}
	args = append(append(args, r.s.place(r.ranks)...), r.path)
	return r.begin(r.s.gompirun(r.env, append(args, r.args...)...))
}

func (r *runner) begin(cmd *exec.Cmd) error {
	l, err := begin(cmd)
	if err == nil {
		r.life = l
	}
	return err
}

// killOnce kills everything up to an interval after a checkpoint was committed,
// which may be in the middle of the next, and restarts the job.
func (r *runner) killOnce(ctx context.Context) error {
	e, m := r.life.await(ctx, committedLine, nil)
	if e == matched {
		e, _ = r.life.await(ctx, nil, time.After(time.Duration(r.random.Int64N(int64(r.o.interval)))))
	}
	switch e {
	case judged:
		return nil
	case passed:
	default:
		return fmt.Errorf("no checkpoint to kill it after: %w", r.reason(ctx, e))
	}
	if err := r.s.kill(); err != nil {
		return err
	}
	r.life.gone()
	r.checkpoints = append(r.checkpoints, r.life.committed...)
	r.kills++
	r.say("checkpoint %s, killed, ", m[1])

	began := time.Now()
	args := []string{"restart", "--ckpt-interval", r.o.interval.String(), "--ckpt-keep", generations}
	args = append(append(args, r.s.place(r.ranks)...), r.s.checkpoints())
	if err := r.begin(r.s.gompirun(nil, args...)); err != nil {
		return err
	}
	// Its outputs are two: the result may overtake what gompirun says.
	if e, _ := r.life.await(ctx, restartedLine, nil); e != matched && e != judged {
		return fmt.Errorf("no restart: %w", r.reason(ctx, e))
	}
	r.restarts = append(r.restarts, time.Since(began).Seconds())
	r.say("restarted on %s; ", r.s.where())
	return nil
}

// end waits for the end of a job that told its result.
func (r *runner) end(ctx context.Context) error {
	limit := time.After(patience)
	for {
		switch e, _ := r.life.await(ctx, nil, limit); e {
		case ended:
			err := r.life.status()
			if !r.verified {
				err = nil // ours tell it in their status, too
			}
			return err
		case passed:
			// A defect of MPICH, with or without gompirun: docs/limits.md.
			if r.family == mpich && r.s.mpichHangs(r.program) {
				r.remark("MPICH hung in MPI_Finalize")
				return r.abandon(nil)
			}
			return r.abandon(fmt.Errorf("the job told its result and has not ended %v later", patience))
		case canceled:
			return r.abandon(context.Cause(ctx))
		case matched, judged: // there is nothing more to wait for but the end
		}
	}
}

// reason says why a job that ended or was given up did so.
func (r *runner) reason(ctx context.Context, e event) error {
	switch e {
	case canceled:
		return context.Cause(ctx)
	case judged:
		return errors.New("the program told its result too early")
	default:
		if err := r.life.status(); err != nil {
			return err
		}
		return errors.New("gompirun ended with status 0")
	}
}

// abandon ends what is left of the job.
func (r *runner) abandon(why error) error {
	err := r.s.kill()
	if err == nil {
		r.life.gone()
	}
	return errors.Join(why, err)
}
