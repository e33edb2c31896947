package launcher

import (
	"context"
	"errors"
	"fmt"

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
	if err := Barrier(ctx, c.j.agents, Refill, each(rpc.Refill, func() any { return c.taken })); err != nil {
		return c.breaks(err)
	}
	return nil
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
