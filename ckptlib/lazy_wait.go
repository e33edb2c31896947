package ckptlib

import (
	"context"
	"fmt"

	"github.com/gompirun/gompirun/ckptlib/mem"
)

// Outstanding implements names.Memory. The calls that are made for the restart, or
// to read in, do not wait for themselves.
func (l *lazy) Outstanding(start, end uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.started && !l.still && l.outstanding(start, end)
}

func (l *lazy) outstanding(start, end uint64) bool {
	for _, runs := range l.left {
		for _, r := range runs {
			if r.Start < end && start < r.End {
				return true
			}
		}
	}
	return false
}

// Await implements names.Memory: what is waited for is read in first.
func (l *lazy) Await(ctx context.Context, start, end uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if end == ^uint64(0) {
		l.wantAll()
	} else {
		end = (end + mem.PageSize - 1) / mem.PageSize * mem.PageSize
		l.urgent = append(l.urgent, mem.Run{Start: start, End: end})
		l.want()
	}
	for l.outstanding(start, end) && l.wait(ctx) {
	}
}

// wantAll has everything read in. The caller holds mu.
func (l *lazy) wantAll() {
	l.behind = true
	l.want()
}

// want wakes who reads in, if he waits.
func (l *lazy) want() {
	select {
	case l.wanted <- struct{}{}:
	default: // he has been woken
	}
}

// wait waits for the next try, and is false if ctx has ended. The caller holds mu.
func (l *lazy) wait(ctx context.Context) bool {
	changed := l.changed
	l.mu.Unlock()
	defer l.mu.Lock()
	select {
	case <-changed:
		return true
	case <-ctx.Done():
		return false
	}
}

// await waits until nothing is outstanding; if it cannot be read in now, the error
// says why.
func (l *lazy) await(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wantAll()
	for before := l.tries; len(l.left) > 0; {
		if !l.wait(ctx) {
			return ctx.Err()
		}
		if l.failed != nil && l.tries > before {
			return fmt.Errorf("read the rest of the restarted job's memory: %w", l.failed)
		}
	}
	return nil
}

// done notes what has come of a try to read parts in.
func (l *lazy) done(parts []part, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		for _, p := range parts {
			if l.left[p.object] = subtract(l.left[p.object], p.run); len(l.left[p.object]) == 0 {
				delete(l.left, p.object)
			}
		}
	}
	l.failed = err
	l.tries++
	close(l.changed)
	l.changed = make(chan struct{})
}

// complete tells whether everything has been read in.
func (l *lazy) complete() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.left) == 0
}
