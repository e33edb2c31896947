package launcher

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/launcher/flags"
	"github.com/gompirun/gompirun/launcher/wire"
)

// Times of a job's end.
const (
	termGrace  = 5 * time.Second  // between SIGTERM and SIGKILL
	intGrace   = 2 * time.Second  // the same after a second SIGINT
	ckptGrace  = 60 * time.Second // for a checkpoint before the end
	outageSpan = 24 * time.Hour   // the time between two failures that --ckpt-interval auto reckons with
	autoFirst  = 5 * time.Minute  // its first interval
	autoLeast  = time.Minute
)

// A supervisor takes what happens to a running job, one thing after the other.
type supervisor struct {
	j      *Job
	ctx    context.Context // of checkpoints
	cancel context.CancelFunc

	interrupts int
	// status replaces that of the main program if that is not 0, and in any case
	// when gompirun has ended it (forced).
	status int
	forced bool

	busy    bool // a checkpoint is under way
	skipped int  // ticks that met one
	done    chan ckptDone
	then    func(ckptDone) // what to do when it is done

	kill    <-chan time.Time
	next    <-chan time.Time // of regular checkpoints
	timeout <-chan time.Time
	every   time.Duration
}

// ckptDone is the end of a checkpoint.
type ckptDone struct {
	report Report
	err    error
	stop   bool
}

// supervise stays with a job until it has ended, and returns the exit status.
func (j *Job) supervise(ctx context.Context) (int, error) {
	s := &supervisor{j: j, done: make(chan ckptDone, 1)}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if j.env.Stdin != nil {
		go j.feedInput(s.ctx, j.env.Stdin)
	}
	s.every = j.record.Checkpoints.CkptInterval
	if j.record.Checkpoints.CkptIntervalAuto {
		s.every = autoFirst
	}
	s.arm()
	if j.common.Timeout > 0 {
		s.timeout = time.After(j.common.Timeout)
	}
	status, err := s.loop(ctx)
	s.cancel()
	if s.busy {
		<-s.done
	}
	grace := daemonGrace
	if err != nil || s.status != 0 {
		grace = 0
	}
	j.end(grace)
	return status, err
}

func (s *supervisor) arm() {
	if s.every > 0 {
		s.next = time.After(s.every)
	}
}

func (s *supervisor) loop(ctx context.Context) (int, error) {
	var requests <-chan *controlRequest
	if s.j.control != nil {
		requests = s.j.control.requests
	}
	for _, sig := range s.j.early {
		if ended := s.signal(sig); ended {
			return s.status, nil
		}
	}
	for {
		select {
		case e := <-s.j.exits:
			select {
			case err := <-s.j.lost: // why it has ended
				return 0, s.lostError(err)
			default:
			}
			status := statusOfWait(unix.WaitStatus(e.Status))
			if s.forced || s.status != 0 && status != 0 {
				status = s.status
			}
			return status, nil
		case err := <-s.j.lost:
			return 0, s.lostError(err)
		case sig := <-s.j.env.Signals:
			if ended := s.signal(sig); ended {
				return s.status, nil
			}
		case r := <-requests:
			s.request(r)
		case <-s.next:
			if !s.start(false, s.regular) {
				s.skipped++
			}
			s.arm()
		case d := <-s.done:
			s.busy = false
			s.tell(d)
			s.then(d)
			if isBroken(d.err) {
				return 0, s.lostError(d.err)
			}
			if d.stop && d.err == nil {
				s.status = StatusCheckpointed
				return s.status, nil
			}
		case <-s.timeout:
			s.timeout = nil
			s.endSoon(StatusTimeout, unix.SIGTERM, fmt.Sprintf("the job ran longer than %v", s.j.common.Timeout))
		case <-s.kill:
			return s.status, nil
		case <-ctx.Done():
			s.status = StatusFailed
			return s.status, ctx.Err()
		}
	}
}

// lostError says what the loss of an agent, or of what was on its way, means for
// the job.
func (s *supervisor) lostError(err error) error {
	if wire.KindOf(err) == wire.KindDamaged {
		return fmt.Errorf("%w\n  the job was ended", err) // the checkpoint that it was restarted from is of no use
	}
	if n := s.j.newest(); n > 0 {
		return fmt.Errorf("%w\n  the job was ended; resume it from checkpoint %d: gompirun restart %s", err, n, s.j.dir)
	}
	return fmt.Errorf("%w\n  the job was ended; it has no checkpoint", err)
}

// failure says what a checkpoint that failed means for the job.
func (s *supervisor) failure(err error) error {
	if isBroken(err) {
		return s.lostError(err)
	}
	return fmt.Errorf("%w\n  the job goes on running, no checkpoint was made", err)
}

// start begins a checkpoint, unless one is under way; then is called when it is
// done.
func (s *supervisor) start(stop bool, then func(ckptDone)) bool {
	if s.busy {
		return false
	}
	s.busy, s.then = true, then
	go func() {
		r, err := s.j.checkpoint(s.ctx, stop)
		s.done <- ckptDone{r, err, stop}
		if err == nil {
			s.j.prune(s.ctx)
		}
	}()
	return true
}

// tell reports a checkpoint to the user.
func (s *supervisor) tell(d ckptDone) {
	if d.err != nil {
		// The end of a job that is broken is told with its reason, by whoever ends it.
		if !errors.Is(d.err, context.Canceled) && !isBroken(d.err) {
			s.j.say("%v", s.failure(d.err))
		}
		return
	}
	line := d.report.String()
	if s.skipped > 0 {
		line += fmt.Sprintf(" (%s left out meanwhile)", count(s.skipped, "regular checkpoint"))
		s.skipped = 0
	}
	lines := append(d.report.warnings, line)
	if s.j.onScreen() && s.j.common.Verbose == 0 {
		s.j.kept = lines
		return
	}
	for _, l := range lines {
		s.j.say("%s", l)
	}
}

// regular follows a checkpoint that nobody asked for. An automatic interval is
// what J. W. Young found to lose the least time: the square root of twice the
// pause times the time between failures.
func (s *supervisor) regular(d ckptDone) {
	if d.err == nil && s.j.record.Checkpoints.CkptIntervalAuto {
		cost := d.report.pause.Seconds()
		best := time.Duration(math.Sqrt(2*cost*outageSpan.Seconds()) * float64(time.Second))
		s.every = max(best, autoLeast, 10*d.report.duration)
		s.arm()
	}
}

// request answers the user who asked from outside.
func (s *supervisor) request(r *controlRequest) {
	ok := s.start(r.Stop, func(d ckptDone) {
		reply := controlReply{Report: d.report}
		if d.err != nil {
			reply.Error = s.failure(d.err).Error()
		}
		r.reply(reply)
	})
	if !ok {
		r.reply(controlReply{Error: "a checkpoint of this job is under way; ask again when it is done"})
	}
}

// Signals are those that a run wants to get.
func Signals() []os.Signal {
	return []os.Signal{
		unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2,
		unix.SIGALRM, unix.SIGCONT, unix.SIGTSTP, unix.SIGWINCH,
	}
}

// signal does what a signal means. It is true when the job is to be ended at
// once.
func (s *supervisor) signal(sig os.Signal) (ended bool) {
	n, ok := sig.(syscall.Signal)
	if !ok {
		return false
	}
	if slices.Contains(s.ckptOn(), n) {
		return s.checkpointOn(n)
	}
	switch n {
	case unix.SIGINT:
		return s.interrupt()
	case unix.SIGTERM, unix.SIGHUP:
		s.endSoon(128+int(n), n, "")
	case unix.SIGWINCH:
		s.j.resize(false)
	case unix.SIGTSTP:
		s.j.pause()
		if err := unix.Kill(os.Getpid(), unix.SIGSTOP); err != nil {
			s.j.say("stop: %v", err)
		}
	case unix.SIGCONT:
		s.j.proceed()
	default:
		s.j.signal(n)
	}
	return false
}

// ckptOn lists the signals that make a checkpoint: with checkpoints wanted,
// those that end a job, if the user named no others.
func (s *supervisor) ckptOn() []syscall.Signal {
	c := s.j.record.Checkpoints
	if c.CkptOn == nil && s.j.opened() != nil {
		return []syscall.Signal{unix.SIGTERM, unix.SIGHUP}
	}
	return c.CkptOn
}

// checkpointOn makes a checkpoint because of a signal; one that ends jobs ends
// this one after it. A second one while it is under way ends the job without.
func (s *supervisor) checkpointOn(n syscall.Signal) (ended bool) {
	stop := n == unix.SIGTERM || n == unix.SIGHUP || n == unix.SIGINT
	if !stop {
		if !s.start(false, func(ckptDone) {}) {
			s.skipped++
		}
		return false
	}
	if s.status != 0 {
		return true
	}
	s.status = 128 + int(n)
	try := func() bool {
		return s.start(true, func(d ckptDone) {
			if d.err != nil {
				s.endSoon(128+int(n), n, "")
			}
		})
	}
	if !try() {
		// One that is under way serves, if it is made; the job ends after it.
		then := s.then
		s.then = func(d ckptDone) {
			then(d)
			switch {
			case d.err == nil:
				s.endSoon(StatusCheckpointed, n, "")
			case !isBroken(d.err):
				try()
			}
		}
	}
	s.kill = time.After(ckptGrace)
	return false
}

// interrupt is Ctrl-C: the first one is the job's to handle, the second ends it
// with some grace, the third at once.
func (s *supervisor) interrupt() (ended bool) {
	s.interrupts++
	switch s.interrupts {
	case 1:
		s.j.signal(unix.SIGINT)
		if s.j.record.Family != flags.MPINone {
			s.status = 128 + int(unix.SIGINT)
			s.j.say("interrupted; Ctrl-C again ends the job")
		}
	case 2:
		s.status = 128 + int(unix.SIGINT)
		s.forced = true
		s.j.signal(unix.SIGTERM)
		s.kill = time.After(intGrace)
	default:
		s.status = 128 + int(unix.SIGINT)
		return true
	}
	return false
}

// endSoon ends the job: by a signal, and by force after some grace.
func (s *supervisor) endSoon(status int, sig syscall.Signal, why string) {
	s.status, s.forced = status, true
	if why != "" {
		s.j.say("%s", why)
	}
	s.j.signal(sig)
	s.kill = time.After(termGrace)
}

// interruptible makes a context that ends when the user wants gompirun to end,
// for the time before the job runs.
//
// The function returned ends that time, and puts the signal in the place of the
// error that it caused.
func (j *Job) interruptible(ctx context.Context) (context.Context, func(*error)) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case sig := <-j.env.Signals:
				n, ok := sig.(syscall.Signal)
				if ok && (n == unix.SIGINT || n == unix.SIGTERM || n == unix.SIGHUP) {
					j.early = append(j.early, sig)
					cancel(withStatus(128+int(n), "ended by %v before the job ran", n))
				}
			case <-stop:
				return
			}
		}
	}()
	return ctx, func(err *error) {
		close(stop)
		<-stopped
		if *err != nil && ctx.Err() != nil {
			*err = context.Cause(ctx)
		}
		cancel(nil)
	}
}
