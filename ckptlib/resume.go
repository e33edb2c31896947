package ckptlib

import (
	"fmt"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// Resume lets the pod run: it is what it was. The Restart is done with.
func (r *Restart) Resume() (*Pod, error) {
	if err := r.complete(); err != nil {
		return nil, err
	}
	p := newPod(r.c, r.pod)
	p.table, p.notifier, p.stop, p.clock, p.track = r.table, r.notify, r.stop, r.clock, r.tracking
	for stream, files := range r.streams {
		if err := p.noteStdio(stream, files); err != nil {
			return nil, err
		}
	}
	terminals, err := r.takeTerminals()
	if err != nil {
		return nil, err
	}
	p.terminals = terminals
	p.restoredPrograms(r.im)
	if r.lazy != nil {
		p.lazy = r.lazy
		p.lazy.begin(p.loss, r.c.warn)
	}
	err = r.pod.Tracer.Do(func(tracer.Tracing) error {
		for _, s := range r.tree.Stubs {
			if err := r.tree.Release(s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.release()
	r.pod = nil // the Pod's
	if p.lazy != nil {
		p.startReadIn()
	}
	return p, nil
}

// complete does all that is left while everything is stopped.
func (r *Restart) complete() error {
	err := r.pod.Tracer.Do(func(tracer.Tracing) error {
		for _, s := range r.tree.Stubs {
			if s.Image.Zombie == nil {
				if err := r.tree.Restore(s); err != nil {
					return fmt.Errorf("process %d: %w", s.Image.PID, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := r.src.finish(r.im.Shared, r.im.Tree); err != nil {
		return err
	}
	if err := finishTree(r.pod.Root(), r.im.Tree); err != nil {
		return err
	}
	return r.pod.With(func(_ tracer.Tracing, init *tracer.Remote) error {
		if err := r.restoreUndos(); err != nil {
			return err
		}
		if err := r.finishMQueues(init); err != nil {
			return err
		}
		if err := finishSysV(init, &r.im.SysV, r.attached); err != nil {
			return err
		}
		if err := r.tree.Bury(); err != nil {
			return err
		}
		if err := r.watch(); err != nil {
			return err
		}
		for _, s := range r.tree.Stubs {
			if err := r.tree.Finish(s); err != nil {
				return fmt.Errorf("process %d: %w", s.Image.PID, err)
			}
		}
		return nil
	})
}

// restoredPrograms notes which processes are the programs that Spawn started:
// the init's children that have a standard stream.
func (p *Pod) restoredPrograms(im *image.Pod) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, q := range im.Programs {
		p.streams[q.PID] = q.Stream
	}
}
