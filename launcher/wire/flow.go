package wire

import (
	"context"
	"sync"
)

// A Flow is the sender's account of one stream: it counts what may still be
// sent. Its methods may be called from any goroutine.
type Flow struct {
	mu   sync.Mutex
	left int
	wake chan struct{} // closed when left grows
}

// NewFlow returns a Flow with a full window.
func NewFlow() *Flow { return &Flow{left: Window, wake: make(chan struct{})} }

// Take waits until bytes may be sent and takes as many as there are, at most
// want, which is more than 0.
func (f *Flow) Take(ctx context.Context, want int) (int, error) {
	for {
		f.mu.Lock()
		if f.left > 0 {
			n := min(want, f.left)
			f.left -= n
			f.mu.Unlock()
			return n, nil
		}
		wake := f.wake
		f.mu.Unlock()
		select {
		case <-wake:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// Give puts n bytes back.
func (f *Flow) Give(n int) {
	f.mu.Lock()
	f.left = min(f.left+n, Window)
	close(f.wake)
	f.wake = make(chan struct{})
	f.mu.Unlock()
}
