package launcher

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/launcher/rpc"
)

// Times for a job to end by itself.
const (
	daemonGrace = 2 * time.Second  // daemons, when the main program has ended
	endTime     = 15 * time.Second // agents, while nobody waits for output to be read
)

// end ends all pods; those with daemons get grace to end by themselves. It
// returns when all output has been written. That may take as long as a pager is
// read, but not longer than the user wants: an interrupt ends it.
func (j *Job) end(grace time.Duration) {
	j.mu.Lock()
	j.stopped = true
	j.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan struct{})
	go j.watchEnd(ended, cancel)
	defer close(ended)
	var wg sync.WaitGroup
	for _, a := range j.agents {
		if a == nil {
			continue
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			j.endAgent(ctx, a, grace)
		}()
	}
	wg.Wait()
	if j.control != nil {
		j.control.close()
	}
	if j.fleet != nil {
		j.fleet.close()
	}
	j.stdout.flush(ctx)
	j.leaveScreen()
	j.stderr.flush(ctx)
}

func (j *Job) endAgent(ctx context.Context, a *Agent, grace time.Duration) {
	r := rpc.EndRequest{}
	if a.Pod > 0 {
		r.GraceMS = grace.Milliseconds()
	}
	err := a.call(ctx, rpc.End, r, nil)
	a.ending.Store(true)
	if err != nil && j.common.Verbose > 0 {
		j.say("end the job on %s: %v", a.Host.Name, err)
	}
	_ = a.proc.CloseInput() // it may have gone
	a.proc.Close()
}

// watchEnd gives up when agents are silent while no output waits to be written,
// or when the user does not want to wait.
func (j *Job) watchEnd(ended <-chan struct{}, giveUp func()) {
	const step = 250 * time.Millisecond
	tick := time.NewTicker(step)
	defer tick.Stop()
	for idle := time.Duration(0); idle < endTime; {
		select {
		case <-ended:
			return
		case sig := <-j.env.Signals:
			if sig == unix.SIGINT || sig == unix.SIGTERM || sig == unix.SIGHUP {
				giveUp()
				return
			}
		case <-tick.C:
			if idle += step; j.stdout.busy() || j.stderr.busy() {
				idle = 0
			}
		}
	}
	giveUp()
}
