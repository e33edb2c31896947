package sshexec

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// transport opens the byte stream to a host's sshd: a TCP connection, one
// that a jump host makes for us, or a command. Release gives back what is
// behind it, and is called once after the stream is closed.
func (d *dialer) transport(ctx context.Context, cfg *config, way []string, limit time.Duration) (_ net.Conn, release func(), err error) {
	switch {
	case cfg.proxyJump != "":
		return d.jump(ctx, cfg, way, limit)
	case cfg.proxyCommand != "":
		return startProxy(cfg)
	}
	dialer := net.Dialer{Timeout: limit}
	c, err := dialer.DialContext(ctx, cfg.network, cfg.address())
	if err != nil {
		e := &HostError{Host: cfg.alias, Err: fmt.Errorf("connecting to port %d: %w", cfg.port, err)}
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() && ctx.Err() == nil {
			e.Err = fmt.Errorf("no answer from %s within %v", cfg.address(), limit)
		}
		return nil, nil, e
	}
	return c, func() {}, nil
}

// jump opens a connection through cfg's last jump host, which is reached
// through those before it. Way has the gates that wait for this connection.
func (d *dialer) jump(ctx context.Context, cfg *config, way []string, limit time.Duration) (net.Conn, func(), error) {
	before, last := "", cfg.proxyJump
	if i := strings.LastIndexByte(last, ','); i >= 0 {
		before, last = last[:i], last[i+1:]
	}
	t, err := parseHop(last)
	if err != nil {
		return nil, nil, &HostError{Host: cfg.alias, Err: err}
	}
	hop, err := readConfig(ctx, t, d.opt)
	if err != nil {
		return nil, nil, &HostError{Host: t.Host, Err: err}
	}
	if before != "" {
		hop.proxyJump, hop.proxyCommand = before, ""
	}
	key := hop.user + "@" + hop.address() + " via " + hop.proxyJump
	if slices.Contains(way, key) {
		return nil, nil, &HostError{Host: cfg.alias, Err: fmt.Errorf("the way to jump host %s leads through itself", t), Hint: "look for a circle among the ProxyJump lines of ssh_config"}
	}
	g, err := d.enter(ctx, hop, append(slices.Clip(way), key))
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c, err := g.client.DialContext(ctx, "tcp", cfg.address())
	if err != nil {
		d.leave(g)
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("no answer within %v", limit)
		}
		return nil, nil, &HostError{Host: cfg.alias, Err: fmt.Errorf("connecting to %s from jump host %s: %w", cfg.address(), t, err)}
	}
	return c, func() { d.leave(g) }, nil
}

// parseHop reads one jump host: [user@]host[:port] or ssh://[user@]host[:port].
func parseHop(s string) (Target, error) {
	u, err := url.Parse("ssh://" + strings.TrimPrefix(strings.TrimSpace(s), "ssh://"))
	if err != nil || u.Hostname() == "" || u.Path != "" {
		return Target{}, fmt.Errorf("ProxyJump %q is not of the form [user@]host[:port]", s)
	}
	t := Target{Host: u.Hostname(), User: u.User.Username()}
	if p := u.Port(); p != "" {
		if t.Port, err = strconv.Atoi(p); err != nil {
			return Target{}, fmt.Errorf("ProxyJump %q: %w", s, err)
		}
	}
	return t, nil
}

// A gate is a jump host to which we are connected, for as long as somebody
// goes through it. A cluster's hosts share it: a login for each would meet
// MaxStartups.
type gate struct {
	*conn
	key   string
	users int // guarded by dialer.mu
	ready chan struct{}
	err   error // valid once ready is closed
}

// enter returns the gate of a jump host, connected; leave gives it back. The
// gate's key is the last on the way.
func (d *dialer) enter(ctx context.Context, hop *config, way []string) (*gate, error) {
	key := way[len(way)-1]
	d.mu.Lock()
	g := d.gates[key]
	if g != nil {
		g.users++
		d.mu.Unlock()
		select {
		case <-g.ready:
		case <-ctx.Done():
			d.leave(g)
			return nil, &HostError{Host: hop.alias, Err: ctx.Err()}
		}
		if g.err != nil {
			return nil, g.err
		}
		return g, nil
	}
	g = &gate{key: key, users: 1, ready: make(chan struct{})}
	d.gates[key] = g
	d.mu.Unlock()

	c, err := d.connect(ctx, hop, way, true)
	g.conn, g.err = c, err
	close(g.ready)
	if err != nil {
		d.forget(g)
		return nil, err
	}
	go func() {
		<-c.lost
		d.forget(g) // whoever comes next connects anew
	}()
	return g, nil
}

func (d *dialer) leave(g *gate) {
	d.mu.Lock()
	g.users--
	last := g.users == 0
	if last && d.gates[g.key] == g {
		delete(d.gates, g.key)
	}
	d.mu.Unlock()
	if last {
		<-g.ready
		if g.conn != nil {
			g.close(net.ErrClosed)
		}
	}
}

func (d *dialer) forget(g *gate) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gates[g.key] == g {
		delete(d.gates, g.key)
	}
}
