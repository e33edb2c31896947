package launcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/store"
	"github.com/gompirun/gompirun/launcher/flags"
	"github.com/gompirun/gompirun/launcher/rpc"
)

// Env is what a job has of the process that runs it.
type Env struct {
	Stdin          io.Reader // nil: there is none
	Stdout, Stderr io.Writer
	Environ        []string // as os.Environ
	Dir            string   // absolute working directory
	// Signals are those that the process gets; see Signals for which.
	Signals <-chan os.Signal
	// Command are the words of the command line, for the record.
	Command []string
}

// A Job is a running job.
type Job struct {
	env    Env
	common flags.Common
	fleet  *fleet
	agents []*Agent // by pod

	stdout, stderr *sink
	screen         *screen  // nil if the user has no terminal here
	kept           []string // messages for the time after the program's screen

	// spawning is held for reading while a program is being started, and for
	// writing while the job stands still.
	spawning sync.RWMutex

	own   *ownTime
	input input

	mu      sync.Mutex
	record  Record
	addrs   map[netip.Addr]int // virtual ones, pods; nil before the first question about one
	daemons int
	stopped bool // no daemons are started any more

	// running is closed when every pod runs: at a restart names are not resolved
	// before.
	running chan struct{}

	// early are signals that came when it was too late not to start the job.
	early []os.Signal

	exits chan rpc.Exit // of the main program
	lost  chan error

	dir     string // of checkpoints, absolute
	control *control
	claimed bool         // claimStore has succeeded; one goroutine after the other uses it
	store   *store.Store // nil until it is needed; guarded by mu
	last    int          // newest generation that this process committed or restarted from, 0 is none; guarded by mu
}

// opened is the store, or nil.
func (j *Job) opened() *store.Store {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.store
}

// newest is the generation that the job could be restarted from, or 0.
func (j *Job) newest() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.last
}

// use notes the store, and its newest generation.
func (j *Job) use(st *store.Store, last int) {
	j.mu.Lock()
	j.store, j.last = st, last
	j.mu.Unlock()
}

func newJob(env Env, common flags.Common) *Job {
	return &Job{
		env: env, common: common, input: openInput(env.Stdin), stdout: newSink(env.Stdout), stderr: newSink(env.Stderr), screen: userScreen(env),
		own: newOwnTime(), running: make(chan struct{}), exits: make(chan rpc.Exit, 1), lost: make(chan error, 1),
	}
}

// say tells the user a sentence.
func (j *Job) say(format string, args ...any) {
	if j.common.Quiet {
		return
	}
	j.message([]byte("gompirun: " + fmt.Sprintf(format, args...) + "\n"))
}

// agentLost is told when an agent has ended that should not have.
func (j *Job) agentLost(a *Agent, reason error) {
	err := fmt.Errorf("the agent on %s is lost", a.Host.Name)
	if reason != nil {
		err = fmt.Errorf("the agent on %s is lost: %w", a.Host.Name, reason)
	}
	j.lose(err)
}

// lose has the job end because part of it is lost.
func (j *Job) lose(err error) {
	select {
	case j.lost <- err:
	default: // the first one is enough to end the job
	}
}

// programEnded is told how programs of a pod end.
func (j *Job) programEnded(a *Agent, e rpc.Exit) {
	if e.Stream == mainStream {
		j.exits <- e
		return
	}
	w := unix.WaitStatus(e.Status)
	if status := statusOfWait(w); status != 0 && j.common.Verbose > 0 {
		// What it means for the job is for the native launcher to say.
		j.say("%s: the daemon %s ended with status %d", a.Host.Name, e.Stream, status)
	}
}

// startAgents starts the agents of all pods; hostOf tells for each pod the
// number of its host in the fleet.
func (j *Job) startAgents(ctx context.Context, hostOf []int) error {
	j.agents = make([]*Agent, len(hostOf))
	errs := make([]error, len(hostOf))
	var wg sync.WaitGroup
	for pod, host := range hostOf {
		wg.Add(1)
		go func() {
			defer wg.Done()
			j.agents[pod], errs[pod] = j.fleet.start(ctx, j, pod, host)
		}()
	}
	wg.Wait()
	return errors.Join(errs...)
}

// signal sends a signal to the main program, to its process group as well where
// it is the user's own program and not a launcher that knows what to do.
func (j *Job) signal(sig unix.Signal) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	r := rpc.SignalRequest{Stream: mainStream, Signal: int(sig), Group: j.record.Family == flags.MPINone}
	if err := j.agents[0].call(ctx, rpc.Signal, r, nil); err != nil && j.common.Verbose > 0 {
		j.say("%v", err)
	}
}

// signalAll sends a signal to every process of the job.
func (j *Job) signalAll(sig unix.Signal) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := Barrier(ctx, j.agents, "signal", func(ctx context.Context, a *Agent) error {
		return a.call(ctx, rpc.Signal, rpc.SignalRequest{Signal: int(sig)}, nil)
	})
	if err != nil && j.common.Verbose > 0 {
		j.say("%v", err)
	}
}
