package names

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// A wake is a descriptor that becomes readable when a context ends: poll(2)
// waits for it beside others.
type wake struct {
	mu   sync.Mutex
	fd   int // -1 once closed
	stop func() bool
}

func newWake(ctx context.Context) (*wake, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("make an eventfd: %w", err)
	}
	w := &wake{fd: fd}
	w.stop = context.AfterFunc(ctx, w.ring)
	return w, nil
}

func (w *wake) ring() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd >= 0 {
		_, _ = unix.Write(w.fd, binary.NativeEndian.AppendUint64(nil, 1)) // the count cannot overflow
	}
}

func (w *wake) close() {
	w.stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	unix.Close(w.fd)
	w.fd = -1
}
