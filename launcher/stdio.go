package launcher

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/launcher/wire"
)

// mainStream is the name for life of the program that is the job: the native
// launcher, or the user's own program.
const mainStream = "main"

// A sink writes what comes from agents to one of our own outputs, as it comes.
type sink struct {
	mu      sync.Mutex
	changed *sync.Cond
	queue   []chunk // bounded by the windows of the streams
	writing bool
	closed  bool
	done    chan struct{}
}

// chunk is a piece of output; written is called when it has been passed on.
type chunk struct {
	data    []byte
	written func()
}

func newSink(w io.Writer) *sink {
	s := &sink{done: make(chan struct{})}
	s.changed = sync.NewCond(&s.mu)
	go s.run(w)
	return s
}

func (s *sink) put(c chunk) {
	s.mu.Lock()
	s.queue = append(s.queue, c)
	s.changed.Signal()
	s.mu.Unlock()
}

func (s *sink) run(w io.Writer) {
	defer close(s.done)
	for {
		s.mu.Lock()
		for len(s.queue) == 0 && !s.closed {
			s.changed.Wait()
		}
		if len(s.queue) == 0 {
			s.mu.Unlock()
			return
		}
		c := s.queue[0]
		s.queue = s.queue[1:]
		s.writing = true
		s.mu.Unlock()
		// Whoever cannot be written to any more misses the rest; the job goes on,
		// unless it is our own standard output, where the runtime raises SIGPIPE.
		_, _ = w.Write(c.data)
		c.written()
		s.mu.Lock()
		s.writing = false
		s.mu.Unlock()
	}
}

// busy tells whether something waits to be written. It may wait long: for who
// reads a pager.
func (s *sink) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writing || len(s.queue) > 0
}

// flush writes what is there and ends the sink, or gives up when ctx ends.
func (s *sink) flush(ctx context.Context) {
	s.mu.Lock()
	s.closed = true
	s.changed.Signal()
	s.mu.Unlock()
	select {
	case <-s.done:
	case <-ctx.Done():
	}
}

// feedInput passes our standard input on to the job's main program until its
// end.
func (j *Job) feedInput(ctx context.Context, in io.Reader) {
	a := j.agents[0]
	id := wire.StreamID{Name: mainStream, Role: wire.Stdin}
	buf := make([]byte, 32<<10)
	for {
		n, err := in.Read(buf)
		for at := 0; at < n; {
			m, ferr := a.stdin.Take(ctx, n-at)
			if ferr != nil || a.conn.SendStream(id, buf[at:at+m], false) != nil {
				return
			}
			at += m
		}
		switch {
		case err == nil:
		case errors.Is(err, unix.EIO):
			// A background job may not read from its terminal (we ignore SIGTTIN);
			// it can again when it comes to the foreground.
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return
			}
		default:
			j.endInput(a, mainStream)
			return
		}
	}
}

// endInput gives a program the end of its input.
func (j *Job) endInput(a *Agent, stream string) {
	// If the agent has gone, the job ends anyway.
	_ = a.conn.SendStream(wire.StreamID{Name: stream, Role: wire.Stdin}, nil, true)
}
