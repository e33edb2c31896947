package launcher

import (
	"sync"
	"time"
)

// ownTime measures what the coordinator itself adds to a phase: the time in which
// it waits for no agent. A question is on its way from when it is handed to the
// connection until the answer has arrived; to make the one and to understand the
// other is the coordinator's.
type ownTime struct {
	mu    sync.Mutex
	asked int           // questions on their way
	since time.Time     // when the last answer came, if none is
	own   time.Duration // before that
}

func newOwnTime() *ownTime { return &ownTime{since: time.Now()} }

func (o *ownTime) ask() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.asked == 0 {
		o.own += time.Since(o.since)
	}
	o.asked++
}

func (o *ownTime) answered() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.asked--; o.asked == 0 {
		o.since = time.Now()
	}
}

// total is all of it so far.
func (o *ownTime) total() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.asked > 0 {
		return o.own
	}
	return o.own + time.Since(o.since)
}
