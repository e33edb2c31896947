package ckptlib

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// endAll kills every process of the pod whose init is given, those that are born
// meanwhile included.
func (p *Pod) endAll() {
	killed := map[int]bool{}
	for again := true; again; {
		again = false
		list, err := p.Processes()
		if err != nil {
			break
		}
		for _, q := range list {
			if !killed[q.HostPID] {
				killed[q.HostPID], again = true, true
				_ = unix.Kill(q.HostPID, unix.SIGKILL) // it may have ended
			}
		}
	}
	_ = unix.Kill(p.pod.Init, unix.SIGKILL)
}

// endLazy ends what is left of lazy memory. The pod has ended.
func (p *Pod) endLazy() {
	if p.lazy == nil {
		return
	}
	if p.reading != nil {
		<-p.reading
	}
	_ = p.lazy.close() // nobody reads any more
}

// loss has the pod end because part of its memory cannot be had, and tells why.
// Nobody has seen other bytes in its place.
func (p *Pod) loss(err error) {
	p.losing.Do(func() {
		if p.c.Lost != nil {
			p.c.Lost(fmt.Errorf("memory of the restarted job could not be read: %w", err))
		}
		p.endAll()
	})
}
