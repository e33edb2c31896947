package launcher

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gompirun/gompirun/ckptlib/conn"
)

// Phase is a step of a checkpoint or a restart. Each constant says what holds
// once all agents have passed it.
type Phase string

// The phases.
const (
	Login Phase = "login"  // every host is reached and has this program
	Start Phase = "agents" // an agent of each pod runs
	Pods  Phase = "pods"   // the namespaces of each pod exist

	Prepare  Phase = "prepare"  // agents know which pages need not be written, and have read those that do not change fast
	Suspend  Phase = "suspend"  // every thread of the job stands still
	Elect    Phase = "elect"    // who is connected to whom is known
	Drain    Phase = "drain"    // no byte is on its way between two pods
	Snapshot Phase = "snapshot" // all is captured; what the job may change is copied or has a twin
	Refill   Phase = "refill"   // what was taken out of connections is back
	Resume   Phase = "resume"   // the job runs
	Write    Phase = "write"    // every page is durable: in the store, or staged on its host
	Deliver  Phase = "deliver"  // every page and every file of the generation is durable in the store
	Commit   Phase = "commit"   // the manifest is durable: it is a checkpoint

	Verify  Phase = "verify"  // every host can run what it is to get
	Rebuild Phase = "rebuild" // processes and memory exist, nothing runs
	Connect Phase = "connect" // connections and descriptors exist

	Abort Phase = "abort" // nothing of the attempt is left
)

// A Member takes part in barriers.
type Member interface {
	// Where names the host, for messages.
	Where() string
}

// A Step is one phase of a plan.
type Step[M Member] struct {
	Phase Phase
	// Each is what every member does, all at the same time; nil is nothing.
	Each func(context.Context, M) error
	// Then is what the coordinator does once every member has succeeded; nil is
	// nothing.
	Then func(context.Context) error
}

// A PhaseError says in which phase something failed and where; Where is empty
// for the coordinator's own part.
type PhaseError struct {
	Phase Phase
	Where string
	Err   error
}

// Error implements error.
func (e *PhaseError) Error() string {
	if e.Where == "" {
		return fmt.Sprintf("%s: %v", e.Phase, e.Err)
	}
	return fmt.Sprintf("%s on %s: %v", e.Phase, e.Where, e.Err)
}

// Unwrap returns the cause.
func (e *PhaseError) Unwrap() error { return e.Err }

// abortTime bounds what is done to give up, of which putting bytes back into
// connections may take the longest. An agent that takes longer is lost.
const abortTime = conn.Stall + 20*time.Second

// RunPlan takes all members through a plan. After each phase it waits for all of
// them, also when one has failed: an agent that still drains must not be told to
// resume. When a phase fails, no later one begins; instead every step of abort is
// taken, whatever fails in it and whether or not ctx has ended.
func RunPlan[M Member](ctx context.Context, members []M, plan, abort []Step[M]) error {
	for _, s := range plan {
		err := runStep(ctx, members, s)
		if err == nil {
			continue
		}
		actx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTime)
		defer cancel()
		for _, a := range abort {
			err = errors.Join(err, runStep(actx, members, a))
		}
		return err
	}
	return nil
}

// Timing is how long a phase took, and the member that took longest in it.
type Timing struct {
	Phase   Phase
	Took    time.Duration
	Own     time.Duration // the part of it in which no member was waited for; 0 is not known
	Slowest string        // its Where; "" if the members had no part in it
	Longest time.Duration
}

// String is a line for users.
func (t Timing) String() string {
	s := fmt.Sprintf("%s: %.1f ms", t.Phase, t.Took.Seconds()*1000)
	if t.Own > 0 {
		s += fmt.Sprintf(", own %.1f ms", t.Own.Seconds()*1000)
	}
	if t.Slowest != "" {
		s += fmt.Sprintf(", longest on %s: %.1f ms", t.Slowest, t.Longest.Seconds()*1000)
	}
	return s
}

// timed adds to a plan that note is told about each phase that succeeded. own is
// a clock of the time in which no member is waited for.
func timed[M Member](plan []Step[M], own func() time.Duration, note func(Timing)) []Step[M] {
	out := make([]Step[M], len(plan))
	last, lastOwn := time.Now(), own()
	for i, s := range plan {
		var mu sync.Mutex
		t := Timing{Phase: s.Phase}
		out[i] = s
		if s.Each != nil {
			out[i].Each = func(ctx context.Context, m M) error {
				start := time.Now()
				err := s.Each(ctx, m)
				mu.Lock()
				defer mu.Unlock()
				if d := time.Since(start); d > t.Longest {
					t.Slowest, t.Longest = m.Where(), d
				}
				return err
			}
		}
		out[i].Then = func(ctx context.Context) error {
			if s.Then != nil {
				if err := s.Then(ctx); err != nil {
					return err
				}
			}
			now, nowOwn := time.Now(), own()
			t.Took, t.Own = now.Sub(last), nowOwn-lastOwn
			note(t)
			last, lastOwn = time.Now(), own()
			return nil
		}
	}
	return out
}

// laps tells how long the steps of something took that is no plan: one after
// the other, each from the end of the one before.
func laps(note func(Timing)) func(Phase) {
	last := time.Now()
	return func(p Phase) {
		note(Timing{Phase: p, Took: time.Since(last)})
		last = time.Now()
	}
}

func runStep[M Member](ctx context.Context, members []M, s Step[M]) error {
	err := ctx.Err()
	if err != nil {
		return &PhaseError{Phase: s.Phase, Err: err}
	}
	if s.Each != nil {
		err = Barrier(ctx, members, s.Phase, s.Each)
	}
	if err == nil && s.Then != nil {
		if terr := s.Then(ctx); terr != nil {
			var p *PhaseError
			if errors.As(terr, &p) {
				return terr
			}
			return &PhaseError{Phase: s.Phase, Err: terr}
		}
	}
	return err
}

// Barrier lets every member do something and returns when all are done, with the
// errors of all.
func Barrier[M Member](ctx context.Context, members []M, phase Phase, do func(context.Context, M) error) error {
	errs := make([]error, len(members))
	var wg sync.WaitGroup
	for i, m := range members {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := do(ctx, m); err != nil {
				errs[i] = &PhaseError{phase, m.Where(), err}
			}
		}()
	}
	wg.Wait()
	return ofHosts(errs)
}

// inTurn lets at most n members do something at the same time.
func inTurn[M Member](n int, do func(context.Context, M) error) func(context.Context, M) error {
	turns := make(chan struct{}, n)
	return func(ctx context.Context, m M) error {
		select {
		case turns <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		defer func() { <-turns }()
		if err := ctx.Err(); err != nil {
			return err
		}
		return do(ctx, m)
	}
}

// hostsError is what went wrong on several hosts. What happens on hundreds, a full
// file system say, is the same on most.
type hostsError []error

// toldHosts is of how many hosts the user is told.
const toldHosts = 3

// ofHosts joins the errors of members, of which most are nil.
func ofHosts(errs []error) error {
	var e hostsError
	for _, err := range errs {
		if err != nil {
			e = append(e, err)
		}
	}
	if len(e) <= toldHosts+1 { // the line that leaves one out would be as long
		return errors.Join(e...)
	}
	return e
}

// Error implements error.
func (e hostsError) Error() string {
	return fmt.Sprintf("%v\nand on %d hosts more", errors.Join(e[:toldHosts]...), len(e)-toldHosts)
}

// Unwrap returns all of them.
func (e hostsError) Unwrap() []error { return e }
