package conn

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// How long the unsent bytes of an end may stay the same before it counts as
// stuck. With nothing in flight they wait for a window. With bytes in flight
// they may have been lost, and the kernel's first retransmission comes after
// 200 ms; but a receiver that is out of buffers drops too.
const (
	stuckIdle   = 5 * time.Millisecond
	stuckFlying = 300 * time.Millisecond
)

// A Drainer drains the connections of a pod while the whole job stands still.
// The caller polls until no agent of the job has anything pending, telling the
// agents of the peers of stuck ends to read:
//
//	Poll on every agent -> stuck ends, how many are pending
//	    for each stuck end: Read on the agent of its Peer
//	until nothing is pending anywhere; then Narrow and Queue on every agent
//
// If the job goes on, every connection of which an end was read (Drained) is put
// back on the agents of both ends:
//
//	Settle on both, until neither has anything pending, and once more
//	Streams, Exchange, Refill, Narrow
//
// No agent may begin to exchange before all have settled: another would take what
// it sends for the program's.
type Drainer struct {
	ends map[ID]*drain
	now  func() time.Time
}

// drain is the state of one end.
type drain struct {
	fd     int
	unsent int
	since  time.Time // when unsent last changed
	read   []byte
	reads  bool

	narrowed [2]int // the sizes of its buffers, as far as they are larger for now
}

// Add gives the drainer an end. The descriptor stays the caller's and must stay
// open as long as the drainer is in use.
func (d *Drainer) Add(id ID, fd int) {
	if d.ends == nil {
		d.ends = map[ID]*drain{}
	}
	if d.now == nil {
		d.now = time.Now
	}
	d.ends[id] = &drain{fd: fd, unsent: -1}
}

// Poll looks once at every end. Pending is the number of ends with bytes that
// the other kernel has not got; stuck, sorted, are those among them that have
// made no progress for some milliseconds: their peers must be read. It does not
// block; a caller polls about every millisecond.
func (d *Drainer) Poll() (stuck []ID, pending int, err error) {
	if len(d.ends) == 0 {
		return nil, 0, nil
	}
	now := d.now()
	for _, id := range slices.SortedFunc(maps.Keys(d.ends), compareID) {
		e := d.ends[id]
		flush(e.fd)
		n, info, err := unsent(e.fd)
		if err != nil {
			return nil, 0, fmt.Errorf("drain connection %s: %w", id, err)
		}
		if n != e.unsent {
			e.unsent, e.since = n, now
		}
		if n == 0 {
			continue
		}
		pending++
		limit := stuckIdle
		if info.Unacked > 0 {
			limit = stuckFlying
		}
		if now.Sub(e.since) < limit {
			continue
		}
		switch info.State {
		case StateFinWait1, StateClosing, StateLastAck:
			return nil, 0, &HalfClosedError{ID: id, Unsent: n}
		}
		stuck = append(stuck, id)
	}
	return stuck, pending, nil
}

// flush makes the kernel send what it holds back: an acknowledgement, which it
// may delay for 40 ms, and a last small segment (TCP_CORK, MSG_MORE), for 200.
// Neither is a state that a program can see. Errors mean that there is nothing to
// be sent.
func flush(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
	cork, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_CORK)
	if err != nil {
		return
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_CORK, 0)
	if cork != 0 {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_CORK, cork)
	}
}

// Read empties the receive queues of ends whose peers are stuck and keeps the
// bytes.
func (d *Drainer) Read(ids []ID) error {
	for _, id := range ids {
		e, err := d.end(id)
		if err != nil {
			return err
		}
		info, err := unix.GetsockoptTCPInfo(e.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return fmt.Errorf("drain connection %s: read TCP_INFO: %w", id, err)
		}
		// An end that has sent its FIN cannot send its queue to the peer's agent. That
		// holds for the last checkpoint of a job as well: if it fails the job goes on.
		switch info.State {
		case StateFinWait1, StateFinWait2, StateClosing:
			n, _ := unix.IoctlGetInt(e.fd, unix.SIOCINQ) // for the message only
			return &HalfClosedError{ID: id, Unsent: n}
		}
		if err := e.take(id); err != nil {
			return err
		}
	}
	return nil
}

func (e *drain) take(id ID) error {
	if err := e.widen(id); err != nil {
		return err
	}
	b, err := take(e.fd, e.read)
	e.reads = e.reads || len(b) > len(e.read)
	e.read = b
	if err != nil {
		return fmt.Errorf("drain connection %s: %w", id, err)
	}
	return nil
}

// Queue returns all that has arrived at an end and not been read by its program,
// first what Read took out, then what is peeked. It consumes nothing.
func (d *Drainer) Queue(id ID) ([]byte, error) {
	e, err := d.end(id)
	if err != nil {
		return nil, err
	}
	b, err := Peek(e.fd)
	if err != nil {
		return nil, fmt.Errorf("connection %s: %w", id, err)
	}
	return slices.Concat(e.read, b), nil
}

// Taken returns what Read took out of an end, nil for most.
func (d *Drainer) Taken(id ID) []byte {
	if e := d.ends[id]; e != nil {
		return e.read
	}
	return nil
}

// Drained returns the ends from which bytes were really read, sorted: they and
// their peers have to be put back.
func (d *Drainer) Drained() []ID {
	var ids []ID
	for id, e := range d.ends {
		if e.reads {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, compareID)
	return ids
}

// Settle empties the receive queues of ends that are to be put back, and returns
// how many of them had bytes on their way. The caller names both ends of every
// connection that has a drained end, as far as they are in this pod.
func (d *Drainer) Settle(ids []ID) (pending int, err error) {
	for _, id := range ids {
		e, err := d.end(id)
		if err != nil {
			return 0, err
		}
		flush(e.fd)
		n, _, err := unsent(e.fd)
		if err != nil {
			return 0, fmt.Errorf("settle connection %s: %w", id, err)
		}
		if n > 0 {
			pending++
		}
		if err := e.take(id); err != nil {
			return 0, err
		}
	}
	return pending, nil
}

// Streams returns ends that are to be put back for Exchange: those of Settle.
// There is no way back: if Exchange or Refill fails after it, the connections are
// lost.
//
// Preconditions: Settle has returned 0 for both ends of all of them, and has been
// called on both once more since.
func (d *Drainer) Streams(ids []ID) ([]*Stream, error) {
	var streams []*Stream
	for _, id := range ids {
		e, err := d.end(id)
		if err != nil {
			return nil, err
		}
		streams = append(streams, &Stream{ID: id, FD: e.fd, Queue: e.read})
		e.read, e.reads = nil, false
	}
	return streams, nil
}

func (d *Drainer) end(id ID) (*drain, error) {
	e := d.ends[id]
	if e == nil {
		return nil, fmt.Errorf("connection %s is not one of this pod's", id)
	}
	return e, nil
}

func compareID(a, b ID) int {
	switch {
	case a == b:
		return 0
	case a.Name < b.Name, a.Name == b.Name && a.Dialer:
		return -1
	}
	return 1
}
