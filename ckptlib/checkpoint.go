package ckptlib

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/conn"
	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/kobj"
	"github.com/gompirun/gompirun/ckptlib/mem"
	"github.com/gompirun/gompirun/ckptlib/proc"
	"github.com/gompirun/gompirun/ckptlib/store"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// A Checkpoint is a pod that stands still, and what has been captured of it.
// The methods are the phases, called in their order; after an error only Abort
// makes sense, and the job goes on.
type Checkpoint struct {
	p     *Pod
	tasks *proc.Tasks
	fds   *descriptors
	ends  conn.Ends
	pairs map[uint64]conn.ID // by socket inode
	drain conn.Drainer
	unix  map[uint64]kobj.UnixDiag

	im     image.Pod
	shared *mem.SharedSet
	// attached are the addresses in the init of segments that nobody had.
	attached []uint64
	files    *mem.FileSet
	next     image.ObjectID

	store    *store.Store
	gen      int
	staged   bool // Write leaves the packs to Deliver
	pages    *store.PageTable
	draft    *draft
	table    *store.TableBuilder
	mu       sync.Mutex // guards mem.found while it is being filled
	mem      memory
	warnings []string
	logical  int64 // bytes of memory that have content
	changed  int64 // of them, those that had to be read
	early    int64 // of these, those that Prepare has read
	resumed  bool
}

// ErrBusy is returned by Suspend while another checkpoint of the pod is under
// way.
var ErrBusy = errors.New("a checkpoint of this pod is under way")

// Suspend stops every thread of the pod. A checkpoint must be ended by Write
// or Abort.
func (p *Pod) Suspend() (*Checkpoint, error) {
	if p.lazy != nil && !p.lazy.complete() {
		return nil, errors.New("the memory of the restarted pod has not been read yet")
	}
	if err := p.occupy(); err != nil {
		return nil, err
	}
	c := &Checkpoint{p: p, pairs: map[uint64]conn.ID{}}
	err := p.pod.Tracer.Do(func(tr tracer.Tracing) (err error) {
		c.tasks, err = proc.Suspend(tr, p.pod.Init, &p.waits, &p.twins)
		return err
	})
	if err != nil {
		p.free()
		return nil, err
	}
	if p.notifier == nil {
		return c, nil
	}
	if n := p.notifier.Suspend(); n > 0 {
		err := &kobj.RetryError{
			Source: fmt.Sprintf("pod %d", p.c.ID), Reason: fmt.Sprintf("is in the middle of %d calls that make connections", n),
			Hint: "checkpoint again when its programs have made their connections",
		}
		return nil, errors.Join(err, c.Abort())
	}
	return c, nil
}

// occupy begins what may be done by one at a time, until free, or returns ErrBusy.
func (p *Pod) occupy() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy {
		return ErrBusy
	}
	p.busy = true
	return nil
}

func (p *Pod) free() {
	p.mu.Lock()
	p.busy = false
	p.mu.Unlock()
}

// Ends collects all descriptors and lists the TCP sockets that have a peer, or
// listen, for conn.Match over all pods of the job.
func (c *Checkpoint) Ends() (conn.Ends, error) {
	var err error
	if c.fds, err = elect(c.tasks.List); err != nil {
		return nil, err
	}
	if err := c.refuseLeases(); err != nil {
		return nil, err
	}
	net, err := conn.NetID()
	if err != nil {
		return nil, err
	}
	var ends conn.Ends
	for _, d := range c.fds.list {
		if !isTCP(d.source) {
			continue
		}
		e, err := conn.Describe(d.source.FD)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.source, err)
		}
		if e.State == conn.StateListen || e.Remote.IsValid() {
			ends = append(ends, e)
		}
	}
	// Sockets that no process has any more and that still have bytes to deliver.
	orphans, err := kobj.DumpOrphans()
	if err != nil {
		return nil, err
	}
	ends = append(ends, orphans...)
	for i := range ends {
		ends[i].NetID = net
	}
	c.ends = ends
	return ends, nil
}

// isTCP tells a TCP socket from everything else.
func isTCP(s *kobj.Source) bool {
	if s.Stat.Mode&unix.S_IFMT != unix.S_IFSOCK || s.Flags&unix.O_PATH != 0 {
		return false
	}
	kind, err := unix.GetsockoptInt(s.FD, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || kind != unix.SOCK_STREAM {
		return false
	}
	proto, err := unix.GetsockoptInt(s.FD, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	return err == nil && (proto == unix.IPPROTO_TCP || proto == unix.IPPROTO_MPTCP)
}

// Name tells where the partners of this pod's ends are, in the order of Ends.
func (c *Checkpoint) Name(partners []conn.Partner) error {
	if len(partners) != len(c.ends) {
		return fmt.Errorf("the partners of %d ends of connections are told, and pod %d has %d", len(partners), c.p.c.ID, len(c.ends))
	}
	for i, p := range partners {
		if p != conn.None {
			c.pairs[c.ends[i].Inode] = c.ends[i].ID(p)
		}
	}
	for _, d := range c.fds.list {
		if d.source.Stat.Mode&unix.S_IFMT != unix.S_IFSOCK {
			continue
		}
		if id, ok := c.pairs[d.source.Stat.Ino]; ok {
			c.drain.Add(id, d.source.FD)
		}
	}
	return nil
}

// drainSlice is how long one call of Drain polls.
const drainSlice = 20 * time.Millisecond

// Drain waits until no byte is on its way from this pod's ends, for some
// milliseconds. It returns the ends whose peers have to be read by ReadQueues,
// and how many have bytes on the way.
func (c *Checkpoint) Drain() (stuck []conn.ID, pending int, err error) {
	for end := time.Now().Add(drainSlice); ; time.Sleep(time.Millisecond) {
		stuck, pending, err = c.drain.Poll()
		if err != nil || pending == 0 || len(stuck) > 0 || time.Now().After(end) {
			return stuck, pending, err
		}
	}
}

// ReadQueues empties the receive queues of ends whose peers are stuck.
func (c *Checkpoint) ReadQueues(ids []conn.ID) error { return c.drain.Read(ids) }

// Drained lists the ends that ReadQueues emptied. The coordinator gathers them
// and gives all, with their peers, to every agent's Refill.
func (c *Checkpoint) Drained() []conn.ID { return c.drain.Drained() }

// Settle takes what is left in the queues of connections of any pod that ReadQueues
// took from, and returns how many of their ends here had bytes on the way. It is
// called on all agents until that is 0 everywhere, and once more.
func (c *Checkpoint) Settle(ids []conn.ID) (pending int, err error) {
	return c.drain.Settle(c.mine(ids))
}

// mine lists the ends of connections that are in this pod; ids may name either
// end.
func (c *Checkpoint) mine(ids []conn.ID) (list []conn.ID) {
	mine := map[conn.ID]bool{}
	for _, id := range c.pairs {
		mine[id] = true
	}
	for _, id := range ids {
		for _, end := range []conn.ID{id, id.Peer()} {
			if mine[end] {
				list = append(list, end)
				mine[end] = false
			}
		}
	}
	return list
}

// Refill puts back what ReadQueues took from connections of any pod, at the
// same time on all agents.
//
// Preconditions: as of conn's Streams.
func (c *Checkpoint) Refill(ctx context.Context, ids []conn.ID) error {
	list := c.mine(ids)
	if len(list) == 0 {
		return nil
	}
	streams, err := c.drain.Streams(list)
	if err != nil {
		return err
	}
	if err := conn.Exchange(ctx, streams); err != nil {
		return err
	}
	return conn.Refill(ctx, streams)
}

// Resume lets the pod run on.
func (c *Checkpoint) Resume() error {
	if c.resumed {
		return nil
	}
	c.resumed = true
	err := errors.Join(c.drain.Narrow(), c.detach())
	if c.fds != nil {
		c.fds.close()
	}
	if c.shared != nil {
		c.shared.Close()
	}
	if c.p.notifier != nil {
		c.p.notifier.Resume()
	}
	return errors.Join(err, c.p.pod.Tracer.Do(c.tasks.Resume))
}

// Abort gives the checkpoint up: the pod runs on, and nothing of the
// checkpoint stays in the store but what Prepare has put there.
func (c *Checkpoint) Abort() error {
	err := errors.Join(c.Resume(), c.endTwins())
	if c.draft != nil {
		err = errors.Join(err, c.p.track.drop(c.draft))
	}
	c.p.free()
	return err
}
