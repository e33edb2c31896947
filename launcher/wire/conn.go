package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// A Handler is one side's answer to what the other one sends.
type Handler interface {
	// Request answers a request; it runs in a goroutine of its own. The context
	// ends when the other side no longer waits or has gone.
	Request(ctx context.Context, method string, params json.RawMessage) (any, error)
	// Event takes an event. Events and stream frames come one at a time, in the
	// order they were sent, and must not block.
	Event(name string, params json.RawMessage)
	// Stream takes bytes of a stream; data is the handler's. At the end of the
	// stream, end is set.
	Stream(id StreamID, data []byte, end bool)
	// Credit says that the other side has passed on n bytes of a stream.
	Credit(id StreamID, n int)
}

// request is the body of Request and Event frames.
type request struct {
	Method string          `json:"method"`
	Params json.RawMessage `json:"params,omitempty"`
}

// A Conn is one side of a connection. All methods but Serve may be called from
// any goroutine.
type Conn struct {
	r io.Reader
	h Handler

	writing sync.Mutex // held while a frame is written
	w       io.Writer
	buf     []byte

	mu    sync.Mutex
	last  uint64
	calls map[uint64]chan Frame
	busy  map[uint64]context.CancelFunc // requests of the other side
	err   error

	done chan struct{}
	ctx  context.Context
	stop context.CancelFunc
}

// Open exchanges hellos and returns the connection and what the other side said
// of itself. With answer, ours is sent after the other one was found to fit.
// The caller must call Serve. Neither r nor w is closed.
func Open(r io.Reader, w io.Writer, mine Hello, answer bool, h Handler) (*Conn, Hello, error) {
	c := &Conn{
		r: r, w: w, h: h, calls: map[uint64]chan Frame{}, busy: map[uint64]context.CancelFunc{},
		done: make(chan struct{}),
	}
	c.ctx, c.stop = context.WithCancel(context.Background())
	if !answer {
		if err := c.sendJSON(TypeHello, 0, mine); err != nil {
			return nil, Hello{}, err
		}
	}
	f, err := ReadFrame(r)
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("it ended before it said anything: %w", ErrGone)
	}
	if err != nil {
		return nil, Hello{}, err
	}
	other, err := readHello(f)
	if err != nil || !answer {
		return c, other, err
	}
	if err := mine.Check(other); err != nil {
		return nil, other, errors.Join(err, c.sendJSON(TypeGoodbye, 0, Goodbye{err.Error()}))
	}
	return c, other, c.sendJSON(TypeHello, 0, mine)
}

// Serve reads frames until the connection ends, and returns why: nil when the
// other side ended it in order. Calls that wait fail then.
func (c *Conn) Serve() error {
	err := c.readAll()
	if errors.Is(err, io.EOF) {
		err = nil
	}
	c.end(err)
	return err
}

func (c *Conn) readAll() error {
	for {
		f, err := ReadFrame(c.r)
		if err != nil {
			return err
		}
		if err := c.take(f); err != nil {
			return err
		}
	}
}

// take handles one frame.
func (c *Conn) take(f Frame) error {
	switch f.Type {
	case TypeReply, TypeFail:
		c.mu.Lock()
		wait := c.calls[f.Call]
		delete(c.calls, f.Call)
		c.mu.Unlock()
		if wait != nil { // else the caller has given up
			wait <- f
		}
	case TypeRequest, TypeEvent:
		var r request
		if err := json.Unmarshal(f.Body, &r); err != nil {
			return fmt.Errorf("a request is damaged: %w", err)
		}
		if f.Type == TypeEvent {
			c.h.Event(r.Method, r.Params)
			return nil
		}
		ctx, cancel := context.WithCancel(c.ctx)
		c.mu.Lock()
		c.busy[f.Call] = cancel
		c.mu.Unlock()
		go c.answer(ctx, f.Call, r)
	case TypeCancel:
		c.mu.Lock()
		if cancel := c.busy[f.Call]; cancel != nil {
			cancel()
		}
		c.mu.Unlock()
	case TypeInput, TypeOutput, TypeCredit:
		return c.takeStream(f)
	case TypeGoodbye:
		_, err := readHello(f)
		return err
	case TypeHello:
		return &FrameError{"a second hello came"}
	default:
		return &FrameError{fmt.Sprintf("a frame has the unknown type %d", f.Type)}
	}
	return nil
}

// end wakes all who wait.
func (c *Conn) end(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = ErrGone
		if err != nil {
			c.err = fmt.Errorf("%w: %w", ErrGone, err)
		}
		close(c.done)
	}
	c.mu.Unlock()
	c.stop()
}

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns why the connection has ended, nil if it has not.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
