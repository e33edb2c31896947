package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/gompirun/gompirun/ckptlib"
	"github.com/gompirun/gompirun/ckptlib/conn"
	"github.com/gompirun/gompirun/ckptlib/store"
	"github.com/gompirun/gompirun/launcher/rpc"
)

// checkpoint is one that is under way.
type checkpoint struct {
	*ckptlib.Checkpoint // nil before Suspend
	store               *store.Store
	number              int
	options             ckptlib.SnapshotOptions
	inputs              map[string]rpc.Input // as far as the snapshot has them
	resumed             bool
}

// indexBytes bounds the memory of the index of known pages: pages of some 80 GiB
// of memory. What does not fit is written again.
const indexBytes = 512 << 20

// prepare does what can be done before the pod is stopped: it learns which pages
// the last generation has, and memory that does not change much is read.
func (a *agent) prepare(ctx context.Context, r rpc.Generation) (nothing, error) {
	p, err := a.running()
	if err != nil {
		return nothing{}, err
	}
	a.mu.Lock()
	busy := a.ckpt != nil
	a.mu.Unlock()
	if busy {
		return nothing{}, ckptlib.ErrBusy
	}
	// Pages that have not been read since a lazy restart are of another generation.
	if err := p.ReadIn(ctx); err != nil {
		return nothing{}, err
	}
	st, err := store.Open(r.Dir)
	if err != nil {
		return nothing{}, err
	}
	c := &checkpoint{store: st, number: r.Number, options: ckptlib.SnapshotOptions{
		Stop: r.Stop, Precopy: r.Precopy, Untracked: r.Untracked, Compress: r.Compress, Newest: r.Known, VerifyPages: r.Verify, Stage: r.Stage,
	}}
	if !p.Drafting(r.Number) { // else this is another try at it
		if c.options.Known, err = a.knownPages(ctx, st, r.Known); err != nil {
			if ctx.Err() != nil {
				return nothing{}, err
			}
			// It may have been pruned, or damaged; what is in memory is neither.
			a.warn(fmt.Sprintf("checkpoint %d cannot be built on: %v; everything is written again", r.Known, err))
		}
	}
	if err := p.Prepare(ctx, st, r.Number, c.options); err != nil {
		return nothing{}, err
	}
	a.mu.Lock()
	a.ckpt = c
	a.mu.Unlock()
	return nothing{}, nil
}

// discard gives up what prepare has made of a generation. Without a pod there is
// nothing.
func (a *agent) discard(context.Context, nothing) (nothing, error) {
	p, err := a.running()
	if err != nil {
		return nothing{}, nil
	}
	return nothing{}, p.Discard()
}

// knownPages reads which pages of this pod need not be written again, since a
// generation has them; 0 is none. What of it is damaged is not among them.
func (a *agent) knownPages(ctx context.Context, st *store.Store, generation int) (*store.Index, error) {
	if generation == 0 {
		return nil, nil
	}
	g, err := st.Load(generation)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	o := store.IndexOptions{Pods: []int{a.id}, MaxBytes: indexBytes}
	if a.written == generation {
		o.Have = a.writer
	}
	a.mu.Unlock()
	x, err := st.Index(ctx, g, o)
	if err != nil {
		return nil, err
	}
	if damaged := x.Damaged(); damaged != nil {
		a.warn(fmt.Sprintf("%v; what this checkpoint needs of it is written again", damaged))
	}
	return x, nil
}

// current is the checkpoint under way.
func (a *agent) current() (*checkpoint, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ckpt == nil {
		return nil, errors.New("no checkpoint is under way")
	}
	return a.ckpt, nil
}

// suspended is the checkpoint under way, once the pod stands still.
func (a *agent) suspended() (*checkpoint, error) {
	c, err := a.current()
	if err == nil && c.Checkpoint == nil {
		err = errors.New("the pod has not been suspended")
	}
	return c, err
}

func (a *agent) suspend(context.Context, nothing) (nothing, error) {
	c, err := a.current()
	if err != nil {
		return nothing{}, err
	}
	p, err := a.running()
	if err != nil {
		return nothing{}, err
	}
	c.Checkpoint, err = p.Suspend()
	return nothing{}, err
}

func (a *agent) elect(context.Context, nothing) (conn.Ends, error) {
	c, err := a.suspended()
	if err != nil {
		return nil, err
	}
	ends, err := c.Ends()
	return ends, tooMany(err)
}

func (a *agent) pair(_ context.Context, partners []conn.Partner) (nothing, error) {
	c, err := a.suspended()
	if err != nil {
		return nothing{}, err
	}
	return nothing{}, c.Name(partners)
}

func (a *agent) drain(context.Context, nothing) (rpc.Drained, error) {
	c, err := a.suspended()
	if err != nil {
		return rpc.Drained{}, err
	}
	stuck, pending, err := c.Drain()
	return rpc.Drained{Stuck: stuck, Pending: pending}, err
}

func (a *agent) readQueues(_ context.Context, ids []conn.ID) (nothing, error) {
	c, err := a.suspended()
	if err != nil {
		return nothing{}, err
	}
	return nothing{}, c.ReadQueues(ids)
}

// takenEnds lists the ends that readQueues emptied. Without a suspended pod
// there are none.
func (a *agent) takenEnds(context.Context, nothing) ([]conn.ID, error) {
	c, err := a.suspended()
	if err != nil {
		return nil, nil
	}
	return c.Drained(), nil
}

func (a *agent) snapshot(context.Context, nothing) (nothing, error) {
	c, err := a.suspended()
	if err != nil {
		return nothing{}, err
	}
	have, release := a.holdInputs()
	defer release()
	c.inputs = have
	return nothing{}, c.Snapshot(c.store, c.number, c.options)
}

func (a *agent) settle(_ context.Context, ids []conn.ID) (rpc.Drained, error) {
	c, err := a.suspended()
	if err != nil {
		return rpc.Drained{}, err
	}
	pending, err := c.Settle(ids)
	return rpc.Drained{Pending: pending}, err
}

func (a *agent) refill(ctx context.Context, ids []conn.ID) (nothing, error) {
	c, err := a.suspended()
	if err != nil {
		return nothing{}, err
	}
	return nothing{}, c.Refill(ctx, ids)
}

func (a *agent) resume(context.Context, nothing) (nothing, error) {
	c, err := a.suspended()
	if err != nil {
		return nothing{}, err
	}
	c.resumed = true
	return nothing{}, c.Resume()
}

// write makes the pages durable. Without a staging directory that is all.
func (a *agent) write(context.Context, nothing) (rpc.Result, error) {
	c, err := a.suspended()
	if err != nil {
		return rpc.Result{}, err
	}
	r, err := c.Write()
	if err != nil || c.options.Stage != "" {
		return rpc.Result{}, err
	}
	return a.complete(c, r), nil
}

// deliver brings what write has left in the staging directory to the store.
func (a *agent) deliver(context.Context, nothing) (rpc.Result, error) {
	c, err := a.suspended()
	if err != nil {
		return rpc.Result{}, err
	}
	r, err := c.Deliver()
	if err != nil {
		return rpc.Result{}, err
	}
	return a.complete(c, r), nil
}

// complete ends a checkpoint of which everything is in the store.
func (a *agent) complete(c *checkpoint, r ckptlib.Result) rpc.Result {
	a.mu.Lock()
	a.writer, a.written = r.Writer, c.number
	if c.resumed {
		a.ckpt = nil // else the pod is to be killed as it stands, or resumed by abort
	}
	a.mu.Unlock()
	return rpc.Result{
		Files: r.Files, BytesLogical: r.BytesLogical, BytesChanged: r.BytesChanged, BytesWritten: r.BytesWritten,
		Processes: r.Processes, Ranks: r.Ranks, Warnings: r.Warnings, Inputs: c.inputs,
	}
}

// abort gives the checkpoint up, in whatever phase it is. Without one it does
// nothing.
func (a *agent) abort(context.Context, nothing) (nothing, error) {
	a.mu.Lock()
	c := a.ckpt
	a.ckpt = nil
	a.mu.Unlock()
	if c == nil || c.Checkpoint == nil {
		return nothing{}, nil
	}
	return nothing{}, c.Abort()
}
