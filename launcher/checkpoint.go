package launcher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gompirun/gompirun/ckptlib/conn"
	"github.com/gompirun/gompirun/ckptlib/store"
	"github.com/gompirun/gompirun/launcher/flags"
	"github.com/gompirun/gompirun/launcher/rpc"
	"github.com/gompirun/gompirun/launcher/wire"
)

// A checkpoint that meets the job in a state that passes by itself is tried
// again after some milliseconds, in which the job runs.
const (
	maxTries = 20
	minPause = 5 * time.Millisecond
	maxPause = 50 * time.Millisecond
)

// drainTime bounds how long connections may take to come to rest.
const drainTime = 30 * time.Second

// An attempt is one try at a checkpoint.
type attempt struct {
	j      *Job
	store  *store.Store
	number int
	known  int
	stop   bool // the job ends with it

	mu       sync.Mutex
	ends     []conn.Ends      // by pod
	partners [][]conn.Partner // of the ends
	owner    map[conn.ID]int  // pods; see podOf
	read     bool             // agents were told to read from connections
	taken    []conn.ID
	broken   bool // the job cannot go on
	results  map[int]rpc.Result
	wrote    bool // the number has been used

	held      bool // j.spawning
	suspended time.Time
	pause     time.Duration
	start     time.Time
}

// checkpoint makes a checkpoint. If it fails the job runs on, and the error says
// why; a brokenError says that it cannot. With stop the job stands still when it
// returns without an error, and is to be ended.
func (j *Job) checkpoint(ctx context.Context, stop bool) (Report, error) {
	if j.opened() == nil {
		if err := j.openStore(ctx); err != nil {
			return Report{}, err
		}
	} else if !j.claimed {
		if err := j.claimStore(ctx, j.opened()); err != nil {
			return Report{}, err
		}
	}
	st, known := j.opened(), j.newest()
	start := time.Now()
	number := 0
	for try := 1; ; try++ {
		if number == 0 {
			var err error
			if number, err = st.Begin(); err != nil {
				return Report{}, err
			}
		}
		a := j.attempt(st, number)
		a.known, a.stop, a.start = known, stop, start
		err := RunPlan(ctx, j.agents, timed(a.plan(), j.own.total, j.note), a.abort())
		a.release()
		if err == nil {
			j.use(st, number)
			return a.report(), nil
		}
		last := isBroken(err) || !passes(err) || ctx.Err() != nil || try == maxTries
		if a.wrote || last {
			j.discard(ctx, st, number)
			number = 0
		}
		if last && try == maxTries {
			err = fmt.Errorf("tried %d times: %w", try, err)
		}
		if last {
			return Report{}, err
		}
		time.Sleep(minPause + rand.N(maxPause-minPause))
	}
}

func (j *Job) attempt(st *store.Store, number int) *attempt {
	return &attempt{j: j, store: st, number: number, ends: make([]conn.Ends, len(j.agents)), results: map[int]rpc.Result{}}
}

// discard removes what a generation that is not to be has left. Where an agent
// cannot be asked any more its packs are removed all the same.
func (j *Job) discard(ctx context.Context, st *store.Store, number int) {
	dctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTime)
	defer cancel()
	_ = Barrier(dctx, j.agents, Abort, each(rpc.Discard, nil))
	if _, err := st.Remove(number); err != nil {
		j.say("what a checkpoint that failed has left could not be removed: %v", err)
	}
}

// passes tells whether an error is of a state that passes by itself on all hosts
// that failed.
func passes(err error) bool {
	switch e := err.(type) { //nolint:errorlint // it takes the tree of errors apart
	case *wire.Error:
		return e.Kind == wire.KindRetry
	case interface{ Unwrap() []error }:
		for _, x := range e.Unwrap() {
			if !passes(x) {
				return false
			}
		}
		return true
	case interface{ Unwrap() error }:
		return passes(e.Unwrap())
	}
	return false
}

// note tells those who want to know how long the phases took.
func (j *Job) note(t Timing) {
	if j.common.Verbose > 0 {
		j.say("%s", t)
	}
}

// each is a step in which every agent is asked the same.
func each(method string, params func() any) func(context.Context, *Agent) error {
	return func(ctx context.Context, a *Agent) error {
		var p any = struct{}{}
		if params != nil {
			p = params()
		}
		return a.call(ctx, method, p, nil)
	}
}

// plan is the phases of a checkpoint.
func (c *attempt) plan() []Step[*Agent] {
	plan := []Step[*Agent]{
		{Phase: Prepare, Each: each(rpc.Prepare, func() any {
			o := &c.j.record.Checkpoints
			return rpc.Generation{
				Dir: c.store.Dir(), Number: c.number, Known: c.known, Compress: string(o.CkptCompress),
				Stop: c.stop || o.CkptMode == flags.CkptStop, Precopy: o.CkptMode == flags.CkptPrecopy, Untracked: o.CkptUntracked, Verify: o.CkptVerify, Stage: o.CkptStage,
			}
		}), Then: c.hold},
		{Phase: Suspend, Each: each(rpc.Suspend, nil)},
		{Phase: Elect, Each: c.elect, Then: c.match},
		{Phase: Drain, Each: c.pair, Then: c.drain},
		{Phase: Snapshot, Each: c.snapshot, Then: c.gatherTaken},
	}
	write := []Step[*Agent]{{Phase: Write, Each: c.result(rpc.Write)}, {Phase: Commit, Then: c.commit}}
	if c.j.record.Checkpoints.CkptStage != "" {
		write = []Step[*Agent]{
			{Phase: Write, Each: each(rpc.Write, nil)},
			{Phase: Deliver, Each: inTurn(stageWriters, c.result(rpc.Deliver))},
			{Phase: Commit, Then: c.commit},
		}
	}
	if c.stop {
		// What the job does after the memory was written would be done twice, so
		// it does nothing more.
		return append(plan, write...)
	}
	plan = append(plan,
		Step[*Agent]{Phase: Refill, Then: c.refill},
		Step[*Agent]{Phase: Resume, Each: each(rpc.Resume, nil), Then: c.resumed})
	return append(plan, write...)
}

// abort is what is done when a phase fails: the job runs on, if it can.
func (c *attempt) abort() []Step[*Agent] {
	return []Step[*Agent]{
		{Phase: Refill, Then: c.refillTaken},
		{Phase: Abort, Each: c.giveUp},
	}
}

// hold keeps programs from being started while the job stands still.
func (c *attempt) hold(context.Context) error {
	c.j.spawning.Lock()
	c.held = true
	c.suspended = time.Now()
	return nil
}

func (c *attempt) release() {
	if c.held {
		c.held = false
		c.j.spawning.Unlock()
	}
}

func (c *attempt) elect(ctx context.Context, a *Agent) error {
	return a.call(ctx, rpc.Elect, struct{}{}, &c.ends[a.Pod])
}

// match finds out who is connected to whom.
func (c *attempt) match(context.Context) error {
	c.partners = conn.Match(c.ends)
	if half := conn.HalfOpen(c.ends, c.partners); len(half) > 0 {
		return &wire.Error{Kind: wire.KindRetry, Text: fmt.Sprintf(
			"a connection is being made and not accepted yet: %s to %s (%d of them)", half[0].Local, half[0].Remote, len(half))}
	}
	return nil
}

// podOf tells in which pod an end is. Few checkpoints have to know, and a job may
// have very many.
func (c *attempt) podOf(id conn.ID) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.owner == nil {
		c.owner = map[conn.ID]int{}
		for pod, ends := range c.ends {
			for i, p := range c.partners[pod] {
				if p != conn.None {
					c.owner[ends[i].ID(p)] = pod
				}
			}
		}
	}
	return c.owner[id]
}

// inPods sorts connections by the pods that have an end of them.
func (c *attempt) inPods(ids []conn.ID) map[int][]conn.ID {
	out := map[int][]conn.ID{}
	for _, id := range ids {
		pod, other := c.podOf(id), c.podOf(id.Peer())
		out[pod] = append(out[pod], id)
		if other != pod {
			out[other] = append(out[other], id)
		}
	}
	return out
}

// pair tells an agent its part of that.
func (c *attempt) pair(ctx context.Context, a *Agent) error {
	return a.call(ctx, rpc.Pair, c.partners[a.Pod], nil)
}

// drain waits until no byte is on its way. Where a receiver's window is full its
// agent reads.
func (c *attempt) drain(ctx context.Context) error {
	for deadline := time.Now().Add(drainTime); ; {
		var mu sync.Mutex
		pending := 0
		read := map[int][]conn.ID{}
		err := Barrier(ctx, c.j.agents, Drain, func(ctx context.Context, a *Agent) error {
			var d rpc.Drained
			if err := a.call(ctx, rpc.Drain, struct{}{}, &d); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			pending += d.Pending
			for _, id := range d.Stuck {
				pod := c.podOf(id.Peer())
				read[pod] = append(read[pod], id.Peer())
			}
			return nil
		})
		switch {
		case err != nil || pending == 0:
			return err
		case time.Now().After(deadline):
			return fmt.Errorf("%s still have bytes on their way after %v; is the network between the hosts down?", count(pending, "connection"), drainTime)
		}
		c.read = c.read || len(read) > 0
		err = Barrier(ctx, c.j.agents, Drain, func(ctx context.Context, a *Agent) error {
			if len(read[a.Pod]) == 0 {
				return nil
			}
			return a.call(ctx, rpc.ReadQueues, read[a.Pod], nil)
		})
		if err != nil {
			return err
		}
	}
}

func (c *attempt) snapshot(ctx context.Context, a *Agent) error {
	c.mu.Lock()
	c.wrote = true
	c.mu.Unlock()
	return a.call(ctx, rpc.Snapshot, struct{}{}, nil)
}

func (c *attempt) resumed(context.Context) error {
	c.pause = time.Since(c.suspended)
	c.release()
	return nil
}

// stageWriters is how many agents bring what they have staged to the shared
// directory at the same time.
const stageWriters = 4

// result is a step whose answer is an agent's part of the checkpoint.
func (c *attempt) result(method string) func(context.Context, *Agent) error {
	return func(ctx context.Context, a *Agent) error {
		var r rpc.Result
		if err := a.call(ctx, method, struct{}{}, &r); err != nil {
			return err
		}
		c.mu.Lock()
		c.results[a.Pod] = r
		c.mu.Unlock()
		return nil
	}
}

// commit makes the generation a checkpoint.
func (c *attempt) commit(context.Context) error {
	if c.stop {
		c.pause = time.Since(c.suspended)
	}
	var m store.Manifest
	for pod := range c.j.agents {
		m.Files = append(m.Files, c.results[pod].Files...)
	}
	facts, err := json.Marshal(c.facts())
	if err != nil {
		return err
	}
	m.Facts = facts
	if _, err := c.store.Commit(c.number, m); err != nil {
		return err
	}
	return nil
}

func (c *attempt) facts() Facts {
	f := Facts{PauseMS: math.Round(c.pause.Seconds()*1e4) / 10, DurationMS: time.Since(c.start).Milliseconds()}
	for pod, a := range c.j.agents {
		r := c.results[pod]
		f.Pods = append(f.Pods, PodFacts{
			ID: pod, HostName: c.j.record.Pods[pod].HostName, Host: a.Host.Name,
			Processes: r.Processes, BytesLogical: r.BytesLogical, BytesChanged: r.BytesChanged, BytesWritten: r.BytesWritten,
		})
		f.Processes += r.Processes
		f.BytesLogical += r.BytesLogical
		f.BytesChanged += r.BytesChanged
		f.BytesWritten += r.BytesWritten
	}
	f.Input = c.j.input.facts(c.results[0].Inputs)
	f.Ranks = c.j.record.Ranks
	c.j.mu.Lock()
	f.Daemons = c.j.daemons
	c.j.mu.Unlock()
	return f
}

func (c *attempt) report() Report {
	f := c.facts()
	r := Report{
		Generation: c.number, Ranks: f.Ranks, Processes: f.Processes, BytesLogical: f.BytesLogical, BytesChanged: f.BytesChanged, BytesWritten: f.BytesWritten,
		PauseMS: f.PauseMS, DurationMS: f.DurationMS, pause: c.pause, duration: time.Since(c.start),
	}
	for pod, a := range c.j.agents {
		for _, w := range c.results[pod].Warnings {
			r.warnings = append(r.warnings, a.Host.Name+": "+w)
		}
	}
	return r
}

// prune keeps the newest generations that the user wants.
func (j *Job) prune(ctx context.Context) {
	keep := j.record.Checkpoints.CkptKeep
	if keep == 0 {
		return
	}
	if _, err := j.opened().Prune(ctx, keep); err != nil && !errors.Is(err, context.Canceled) {
		j.say("old checkpoints could not be removed: %v", err)
	}
}
