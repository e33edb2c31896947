package ckptlib

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/names"
	"github.com/gompirun/gompirun/ckptlib/pod"
)

// startPod makes the namespaces.
func (r *Restart) startPod() (err error) {
	for i, clk := range []struct {
		id   int32
		then int64
	}{{unix.CLOCK_MONOTONIC, r.im.Clock.Monotonic}, {unix.CLOCK_BOOTTIME, r.im.Clock.Boottime}} {
		var now unix.Timespec
		if err := unix.ClockGettime(clk.id, &now); err != nil {
			return err
		}
		r.clock[i] = clk.then - now.Nano()
	}
	r.pod, err = pod.Start(pod.Config{HostName: r.im.HostName, LastPID: r.im.LastPID, Filter: true, Clock: &r.clock, Lazy: r.c.Lazy})
	if err != nil {
		return fmt.Errorf("make a pod: %w", err)
	}
	return nil
}

// makePod gives the namespaces what the agent does for them: the translator, and
// lazy memory.
func (r *Restart) makePod() error {
	if err := r.started(); err != nil {
		return err
	}
	memory, err := r.makeLazy()
	if err != nil {
		return err
	}
	r.table = names.NewTable(r.c.ID, r.c.Virtual, r.c.Real, r.c.JobAddrs)
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	listener := r.pod.Filter
	r.pod.Filter = -1 // the notifier's from here on
	r.notify = names.New(listener, r.table, r.c.Peers, memory)
	go func() {
		defer unix.Close(listener) // the notifier ends with the pod
		if err := r.notify.Run(ctx); err != nil && ctx.Err() == nil {
			r.c.warn("the address translator has ended: %v", err)
		}
	}()
	return nil
}

// makeLazy makes the lazy memory, if the pod has what it takes. What it returns is
// nil if not.
func (r *Restart) makeLazy() (names.Memory, error) {
	if r.pod.NotLazy != "" {
		r.c.warn("memory is read before the job runs: %s", r.pod.NotLazy)
	}
	fs := r.pod.Lazy
	if fs == nil {
		return nil, nil
	}
	// The packs may be pruned before they have been read.
	if err := r.reader.Pin(); err != nil {
		return nil, err
	}
	r.pod.Lazy = nil // the server's from here on
	l, err := newLazy(*fs, r.im, r.pages, r.reader)
	if err != nil {
		return nil, err
	}
	r.lazy = l
	return l, nil
}
