package launcher

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gompirun/gompirun/ckptlib/conn"
	"github.com/gompirun/gompirun/launcher/rpc"
)

// A brokenError says that the job cannot go on after a checkpoint that failed:
// bytes that were on their way were taken out of connections, and are not back.
// It stands still for ever then, and is to be ended.
type brokenError struct{ err error }

// Error implements error.
func (e *brokenError) Error() string {
	return fmt.Sprintf("what was on its way between the job's processes could not be put back into their connections: %v", e.err)
}

// Unwrap returns the cause.
func (e *brokenError) Unwrap() error { return e.err }

// isBroken tells whether the job can no longer go on.
func isBroken(err error) bool {
	var b *brokenError
	return errors.As(err, &b)
}

// breaks notes that the job can no longer go on.
func (c *attempt) breaks(err error) error {
	c.broken = true
	return &brokenError{err}
}

// gatherTaken lists the ends whose queues were really read: they are to be put
// back on both sides.
func (c *attempt) gatherTaken(ctx context.Context) error {
	c.taken = []conn.ID{}
	if !c.read {
		return nil
	}
	return Barrier(ctx, c.j.agents, Refill, func(ctx context.Context, a *Agent) error {
		var ids []conn.ID
		if err := a.call(ctx, rpc.TakenEnds, struct{}{}, &ids); err != nil {
			return err
		}
		c.mu.Lock()
		c.taken = append(c.taken, ids...)
		c.mu.Unlock()
		return nil
	})
}

// refill puts back what was taken. Agents send it to each other through the very
// connections, so after an error nothing is where it belongs.
func (c *attempt) refill(ctx context.Context) error {
	if len(c.taken) == 0 {
		return nil
	}
	of := c.inPods(c.taken)
	err := c.settle(ctx, of)
	if err == nil {
		err = Barrier(ctx, c.j.agents, Refill, func(ctx context.Context, a *Agent) error {
			if len(of[a.Pod]) == 0 {
				return nil
			}
			return a.call(ctx, rpc.Refill, of[a.Pod], nil)
		})
	}
	if err != nil {
		return c.breaks(err)
	}
	return nil
}

// settle has both ends of what is to be put back emptied: not only those that
// were full, and in an abort the bytes that are still on their way as well. Only
// when all are empty may the first agent send.
func (c *attempt) settle(ctx context.Context, of map[int][]conn.ID) error {
	for deadline := time.Now().Add(drainTime); ; time.Sleep(time.Millisecond) {
		pending, err := c.settleOnce(ctx, of)
		switch {
		case err != nil:
			return err
		case pending == 0:
			// All has arrived; an agent may have looked before.
			_, err := c.settleOnce(ctx, of)
			return err
		case time.Now().After(deadline):
			return fmt.Errorf("%s still have bytes on their way after %v; is the network between the hosts down?", count(pending, "connection"), drainTime)
		}
	}
}

func (c *attempt) settleOnce(ctx context.Context, of map[int][]conn.ID) (pending int, err error) {
	var mu sync.Mutex
	err = Barrier(ctx, c.j.agents, Refill, func(ctx context.Context, a *Agent) error {
		if len(of[a.Pod]) == 0 {
			return nil
		}
		var d rpc.Drained
		if err := a.call(ctx, rpc.Settle, of[a.Pod], &d); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		pending += d.Pending
		return nil
	})
	return pending, err
}

// refillTaken is refill when the checkpoint is given up; the job may have been
// resumed already.
func (c *attempt) refillTaken(ctx context.Context) error {
	if c.pause > 0 || c.broken {
		return nil
	}
	if err := c.gatherTaken(ctx); err != nil {
		return c.breaks(err)
	}
	return c.refill(ctx)
}

// giveUp lets a pod run on, unless the job is broken: what it did then would be
// done with bytes that are not its own.
func (c *attempt) giveUp(ctx context.Context, a *Agent) error {
	if c.broken {
		return nil
	}
	return a.call(ctx, rpc.Abort, struct{}{}, nil)
}
