package sshexec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// A conn is one SSH connection, our own or a ControlMaster's.
type conn struct {
	client  *ssh.Client
	host    string   // for errors
	tcp     net.Conn // the TCP connection below; nil if there is none of ours
	shared  bool     // it is a ControlMaster's
	release func()   // gives back what the connection goes through

	lost   chan struct{} // closed when the connection has ended
	mu     sync.Mutex
	reason error // why it ended
}

// newConn watches over client until it ends. Release is called then.
func (d *dialer) newConn(cfg *config, client *ssh.Client, release func()) *conn {
	c := &conn{client: client, host: cfg.alias, release: release, lost: make(chan struct{})}
	go func() {
		err := client.Wait()
		c.fail(fmt.Errorf("connection lost: %w", err))
		c.release()
		close(c.lost)
	}()
	return c
}

// fail notes why the connection ended; the first reason counts.
func (c *conn) fail(reason error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reason == nil {
		c.reason = reason
	}
}

func (c *conn) close(reason error) {
	c.fail(reason)
	c.client.Close()
}

// err returns why the connection ended.
func (c *conn) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &HostError{Host: c.host, Err: c.reason}
}

// connect makes a connection; master says whether it may be a ControlMaster's.
// Way has the jump hosts that cfg is needed for, if it is one itself.
func (d *dialer) connect(ctx context.Context, cfg *config, way []string, master bool) (*conn, error) {
	if master && cfg.controlPath != "" {
		c, err := d.ride(ctx, cfg)
		if err == nil {
			return c, nil
		}
		d.opt.Log.Debug("no ControlMaster to ride", "host", cfg.alias, "socket", cfg.controlPath, "reason", err)
	}
	// A busy sshd drops connections at random before it has said anything
	// (MaxStartups), and one that restarts drops them all.
	for try := 1; ; try++ {
		c, err := d.login(ctx, cfg, way)
		if try == 3 || !errors.Is(err, errDropped) {
			return c, err
		}
		select {
		case <-time.After(time.Duration(try) * (100 + rand.N[time.Duration](300)) * time.Millisecond):
		case <-ctx.Done():
			return nil, err
		}
	}
}

var errDropped = errors.New("the host closed the connection before it had shown its key")

// login makes a connection of our own.
func (d *dialer) login(ctx context.Context, cfg *config, way []string) (*conn, error) {
	limit := cfg.timeout(d.opt)
	raw, release, err := d.transport(ctx, cfg, way, limit)
	if err != nil {
		return nil, err
	}
	client, err := d.handshake(ctx, raw, cfg, limit)
	if err != nil {
		release()
		return nil, err
	}
	c := d.newConn(cfg, client, release)
	if tcp, ok := raw.(*net.TCPConn); ok {
		c.tcp = tcp
	}
	if d.opt.KeepAlive > 0 {
		go c.keepAlive(d.opt.KeepAlive, c.lost, func() error {
			_, _, err := client.SendRequest("keepalive@openssh.com", true, nil)
			return err
		})
	}
	return c, nil
}

// handshake exchanges keys and logs in. It closes raw if it fails.
func (d *dialer) handshake(ctx context.Context, raw net.Conn, cfg *config, limit time.Duration) (*ssh.Client, error) {
	keys := newHostKeys(cfg)
	creds := newCredentials(cfg)
	defer creds.close()

	// A connection through a jump host has no deadlines: a timer closes it.
	var mu sync.Mutex
	var late error
	timer := time.AfterFunc(limit, func() {
		mu.Lock()
		defer mu.Unlock()
		late = fmt.Errorf("no answer from %s within %v", cfg.address(), limit)
		raw.Close()
	})
	defer timer.Stop()
	defer context.AfterFunc(ctx, func() { raw.Close() })()

	var keyErr error
	accepted := false
	cc := creds.clientConfig()
	cc.HostKeyAlgorithms = keys.algorithms()
	cc.HostKeyCallback = func(name string, remote net.Addr, key ssh.PublicKey) error {
		if keyErr = keys.check(name, remote, key); keyErr != nil {
			return keyErr
		}
		mu.Lock()
		defer mu.Unlock()
		limit, accepted = authTimeout, true
		timer.Reset(limit)
		return nil
	}
	c, chans, reqs, err := ssh.NewClientConn(raw, cfg.address(), cc)
	mu.Lock()
	defer mu.Unlock()
	timer.Stop()
	switch {
	case err == nil && late == nil:
		return ssh.NewClient(c, chans, reqs), nil
	case keyErr != nil:
		return nil, keyErr
	case ctx.Err() != nil:
		return nil, &HostError{Host: cfg.alias, Err: ctx.Err()}
	case late != nil:
		return nil, &HostError{Host: cfg.alias, Err: late}
	case accepted:
		return nil, creds.refused(err)
	case errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET):
		return nil, &HostError{Host: cfg.alias, Err: fmt.Errorf("%s: %w: %w", cfg.address(), errDropped, err)}
	}
	return nil, &HostError{Host: cfg.alias, Err: fmt.Errorf("%s: %w", cfg.address(), err)}
}
