package sshexec

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// dialSlots bounds the logins under way at a time. A login costs some
// milliseconds of computing on both sides; were a thousand begun at once, the
// last would run into their time limit.
const dialSlots = 64

// A Host is a host that was reached and let us in. Its methods may be called
// from several goroutines.
type Host struct {
	Target Target

	cfg *config
	d   *dialer

	growing sync.Mutex // held while a further connection is made; taken before mu
	mu      sync.Mutex
	conns   []*conn // in the order they were made
	closed  bool
}

// Dial logs in at a host. The context bounds the login only. Errors are
// *HostError.
func Dial(ctx context.Context, t Target, o *Options) (*Host, error) {
	return newDialer(o).dial(ctx, t)
}

// DialAll logs in at all targets in parallel and returns the hosts in the same
// order. If any cannot be reached, it closes the others and returns the errors
// of all, joined: a user wants to mend them in one go. Jump hosts are logged
// in at once, and shared.
func DialAll(ctx context.Context, targets []Target, o *Options) ([]*Host, error) {
	d := newDialer(o)
	hosts := make([]*Host, len(targets))
	errs := make([]error, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() { hosts[i], errs[i] = d.dial(ctx, t) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		for _, h := range hosts {
			if h != nil {
				h.Close()
			}
		}
		return nil, err
	}
	return hosts, nil
}

// dialer has what the hosts of one Dial or DialAll share.
type dialer struct {
	opt   *Options
	slots chan struct{}
	files executables

	mu    sync.Mutex
	gates map[string]*gate // jump hosts, by user and address
}

func newDialer(o *Options) *dialer {
	return &dialer{opt: o.orDefault(), slots: make(chan struct{}, dialSlots), gates: map[string]*gate{}}
}

func (d *dialer) dial(ctx context.Context, t Target) (*Host, error) {
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	case <-ctx.Done():
		return nil, &HostError{Host: t.Host, Err: ctx.Err()}
	}
	cfg, err := readConfig(ctx, t, d.opt)
	if err != nil {
		return nil, &HostError{Host: t.Host, Err: err}
	}
	c, err := d.connect(ctx, cfg, nil, true)
	if err != nil {
		return nil, nameHost(t.Host, err)
	}
	return &Host{Target: t, cfg: cfg, d: d, conns: []*conn{c}}, nil
}

// nameHost makes sure that an error names the host the user asked for, which
// an error of a jump host does not.
func nameHost(host string, err error) error {
	var h *HostError
	if errors.As(err, &h) && h.Host == host {
		return err
	}
	if h != nil {
		return &HostError{Host: host, Err: fmt.Errorf("jump host %s: %w", h.Host, h.Err), Hint: h.Hint}
	}
	return &HostError{Host: host, Err: err}
}

// Close ends all connections to the host, and with them what was started
// there: a program sees the end of its standard input.
func (h *Host) Close() error {
	h.mu.Lock()
	conns := h.conns
	h.conns, h.closed = nil, true
	h.mu.Unlock()
	for _, c := range conns {
		c.close(net.ErrClosed)
	}
	return nil
}

// RemoteAddr returns the address of the host: the other end of the TCP
// connection, or what the host's name resolves to here when the connection is
// a ControlMaster's, goes through a jump host or through a command. It is nil
// if the name does not resolve.
func (h *Host) RemoteAddr() net.Addr {
	if c := h.tcp(); c != nil {
		return c.RemoteAddr()
	}
	r := net.Dialer{Timeout: time.Second}
	c, err := r.Dial("udp"+h.cfg.network[len("tcp"):], h.cfg.address())
	if err != nil {
		return nil
	}
	defer c.Close()
	a := c.RemoteAddr().(*net.UDPAddr)
	return &net.TCPAddr{IP: a.IP, Port: a.Port, Zone: a.Zone}
}

// LocalAddr returns the address at which the host sees us, if nothing in
// between translates addresses: this end of the TCP connection, or, where
// there is none, the address (port 0) from which we would send to RemoteAddr;
// nil if there is no route.
func (h *Host) LocalAddr() net.Addr {
	if c := h.tcp(); c != nil {
		return c.LocalAddr()
	}
	remote := h.RemoteAddr()
	if remote == nil {
		return nil
	}
	// Connecting a UDP socket asks for a route, and sends nothing.
	c, err := net.Dial("udp", remote.String())
	if err != nil {
		return nil
	}
	defer c.Close()
	a := c.LocalAddr().(*net.UDPAddr)
	return &net.TCPAddr{IP: a.IP, Zone: a.Zone}
}

func (h *Host) tcp() net.Conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.conns {
		if c.tcp != nil {
			return c.tcp
		}
	}
	return nil
}
