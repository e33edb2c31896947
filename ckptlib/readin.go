package ckptlib

import (
	"context"
	"errors"
	"time"

	"github.com/gompirun/gompirun/ckptlib/mem"
)

const (
	// partPages is how many pages are read in while the pod stands still once: that
	// takes some milliseconds.
	partPages = 2048
	// partStep is what parts are multiples of where they can be: a huge page.
	partStep = 2 << 20
	// retryAfter is the time between tries where the pod cannot be stopped now.
	retryAfter = 100 * time.Millisecond
)

// readIn reads in what is outstanding, until ctx ends. The pod stands still for
// each part, and runs at least as long before the next one.
func (p *Pod) readIn(ctx context.Context) {
	l := p.lazy
	arena := make([]byte, partPages*mem.PageSize)
	warned := false
	for ctx.Err() == nil {
		parts := l.next()
		if len(parts) == 0 {
			if l.complete() {
				break
			}
			select {
			case <-l.wanted:
			case <-ctx.Done():
			}
			continue
		}
		if err := l.fetch(parts, arena); err != nil {
			l.lose(err)
			break
		}
		start := time.Now()
		err := p.settle(parts)
		l.done(parts, err)
		var broken *brokenError
		if errors.As(err, &broken) {
			l.lose(broken.err)
			break
		}
		pause := time.Since(start)
		if err != nil {
			if pause = retryAfter; !warned && ctx.Err() == nil {
				l.warn("the rest of the job's memory cannot be read in yet: %v", err)
				warned = true
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	if ctx.Err() == nil {
		// Nobody has a mapping of it any more.
		if err := l.close(); err != nil {
			l.warn("%v", err)
		}
	}
}

// next chooses what to read in: first what calls wait for.
func (l *lazy) next() []part {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.urgent) > 0 {
		u := l.urgent[0]
		if parts := l.take(u); len(parts) > 0 {
			return parts
		}
		l.urgent = l.urgent[1:]
	}
	if !l.behind {
		return nil
	}
	return l.take(mem.Run{End: ^uint64(0)})
}

// ReadBehind has the memory of a pod that was restarted lazily read in while it
// runs. Until then only what calls of its processes or ReadIn wait for is.
func (p *Pod) ReadBehind() {
	if p.lazy != nil {
		p.lazy.mu.Lock()
		p.lazy.wantAll()
		p.lazy.mu.Unlock()
	}
}

// ReadIn waits until all memory of a pod that was restarted lazily has been read.
// It comes before Suspend. An error says why it has not, and the pod runs on.
func (p *Pod) ReadIn(ctx context.Context) error {
	if p.lazy == nil {
		return nil
	}
	return p.lazy.await(ctx)
}

// startReadIn begins to read in what is wanted.
func (p *Pod) startReadIn() {
	ctx, stop := context.WithCancel(context.Background())
	end := p.stop
	p.stop = func() { stop(); end() }
	p.reading = make(chan struct{})
	go func() {
		defer close(p.reading)
		p.readIn(ctx)
	}()
}
