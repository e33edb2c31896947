package sshexec

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"golang.org/x/crypto/ssh"
)

// A channel is an open session channel, and the connection it is on.
type channel struct {
	ssh.Channel
	requests <-chan *ssh.Request
	conn     *conn
}

// open opens a session on the first connection that has room for it. Servers
// allow so many sessions per connection (MaxSessions, 10 by default), and the
// shares of a ControlMaster count together: when all are full, open makes
// another connection.
func (h *Host) open(ctx context.Context) (*channel, error) {
	tried := map[*conn]bool{}
	ch, err := h.openAmong(ctx, tried)
	if ch != nil || err != nil {
		return ch, err
	}
	// One at a time: whoever waited here may find room on the new one.
	h.growing.Lock()
	defer h.growing.Unlock()
	if ch, err := h.openAmong(ctx, tried); ch != nil || err != nil {
		return ch, err
	}
	c, err := h.d.connect(ctx, h.cfg, nil, false)
	if err != nil {
		return nil, fmt.Errorf("none of %d connections takes another session, and a new one fails: %w", len(tried), unname(h.Target.Host, nameHost(h.Target.Host, err)))
	}
	h.mu.Lock()
	closed := h.closed
	if !closed {
		h.conns = append(h.conns, c)
	}
	h.mu.Unlock()
	if closed {
		c.close(net.ErrClosed)
		return nil, net.ErrClosed
	}
	h.d.opt.Log.Debug("another connection", "host", h.Target.Host, "full", len(tried))
	ch, err = c.openSession(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening a session on a new connection: %w", err)
	}
	return ch, nil
}

// openAmong tries the connections not in tried, and adds them to it. It returns
// neither a channel nor an error if all of them are full or dead.
func (h *Host) openAmong(ctx context.Context, tried map[*conn]bool) (*channel, error) {
	h.mu.Lock()
	conns, closed := slices.Clone(h.conns), h.closed
	h.mu.Unlock()
	if closed {
		return nil, net.ErrClosed
	}
	for _, c := range conns {
		if tried[c] {
			continue
		}
		tried[c] = true
		ch, err := c.openSession(ctx)
		if err == nil {
			return ch, nil
		}
		var full *ssh.OpenChannelError
		if errors.As(err, &full) {
			continue
		}
		if ctx.Err() != nil {
			return nil, err
		}
		c.close(err)
		h.drop(c)
	}
	return nil, nil
}

func (h *Host) drop(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conns = slices.DeleteFunc(h.conns, func(x *conn) bool { return x == c })
}

func (c *conn) openSession(ctx context.Context) (*channel, error) {
	type result struct {
		ch  *channel
		err error
	}
	done := make(chan result, 1)
	go func() {
		raw, reqs, err := c.client.OpenChannel("session", nil)
		if err != nil {
			done <- result{nil, err}
			return
		}
		done <- result{&channel{Channel: raw, requests: reqs, conn: c}, nil}
	}()
	select {
	case r := <-done:
		return r.ch, r.err
	case <-ctx.Done():
		go func() { // the answer may still come
			if r := <-done; r.ch != nil {
				go ssh.DiscardRequests(r.ch.requests)
				r.ch.Close()
			}
		}()
		return nil, ctx.Err()
	}
}
