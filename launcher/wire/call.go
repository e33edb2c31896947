package wire

import (
	"context"
	"encoding/json"
	"fmt"
)

// Call sends a request and waits for the answer, which it stores in result
// unless that is nil. When ctx ends it tells the other side to give up and
// returns at once. An error of the method is an *Error; one of the connection
// wraps ErrGone.
func (c *Conn) Call(ctx context.Context, method string, params, result any) error {
	p, err := json.Marshal(params)
	if err != nil {
		return fmt.Errorf("encode the request %s: %w", method, err)
	}
	answer, err := c.Ask(ctx, method, p)
	if err != nil || result == nil {
		return err
	}
	if err := answer.Decode(result); err != nil {
		return fmt.Errorf("the answer to %s came damaged: %w", method, err)
	}
	return nil
}

// Ask is Call with parameters in JSON and the answer as it comes.
func (c *Conn) Ask(ctx context.Context, method string, params json.RawMessage) (Answer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	wait := make(chan Frame, 1)
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return nil, c.Err()
	}
	c.last++
	call := c.last
	c.calls[call] = wait
	c.mu.Unlock()
	if err := c.sendJSON(TypeRequest, call, request{method, params}); err != nil {
		c.forget(call)
		return nil, err
	}
	select {
	case f := <-wait:
		return answerOf(method, f)
	case <-ctx.Done():
		c.forget(call)
		// If it cannot be sent, there is nobody to give up.
		_ = c.send(Frame{Type: TypeCancel, Call: call})
		return nil, ctx.Err()
	case <-c.done:
		select {
		case f := <-wait: // it came with the last frames
			return answerOf(method, f)
		default:
			return nil, c.Err()
		}
	}
}

func answerOf(method string, f Frame) (Answer, error) {
	if f.Type != TypeFail {
		return f.Body, nil
	}
	var e Error
	if err := json.Unmarshal(f.Body, &e); err != nil {
		return nil, fmt.Errorf("the failure of %s came damaged: %w", method, err)
	}
	return nil, &e
}

func (c *Conn) forget(call uint64) {
	c.mu.Lock()
	delete(c.calls, call)
	c.mu.Unlock()
}

// answer serves one request of the other side.
func (c *Conn) answer(ctx context.Context, call uint64, r request) {
	result, err := c.h.Request(ctx, r.Method, r.Params)
	c.mu.Lock()
	c.busy[call]()
	delete(c.busy, call)
	c.mu.Unlock()
	if err == nil {
		if result == nil {
			result = struct{}{}
		}
		var body Answer
		if body, err = encode(result); err == nil {
			err = c.send(Frame{Type: TypeReply, Call: call, Body: body})
		}
		if err == nil {
			return
		}
	}
	// If this fails too, the connection is gone and Serve says so.
	_ = c.sendJSON(TypeFail, call, toError(err))
}

// Notify sends an event.
func (c *Conn) Notify(name string, params any) error {
	p, err := json.Marshal(params)
	if err != nil {
		return fmt.Errorf("encode the event %s: %w", name, err)
	}
	return c.sendJSON(TypeEvent, 0, request{name, p})
}

// Goodbye tells the other side why this one leaves.
func (c *Conn) Goodbye(reason string) error { return c.sendJSON(TypeGoodbye, 0, Goodbye{reason}) }

func (c *Conn) sendJSON(t Type, call uint64, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode a message: %w", err)
	}
	return c.send(Frame{Type: t, Call: call, Body: b})
}

// send writes a frame in one write.
func (c *Conn) send(f Frame) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	b, err := AppendFrame(c.buf[:0], f)
	if err != nil {
		return err
	}
	if cap(b) <= 1<<20 { // a big one need not be kept
		c.buf = b
	}
	if _, err := c.w.Write(b); err != nil {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	return nil
}
