package sshexec

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

// ride joins the connection of an OpenSSH ControlMaster, at sites with
// two-factor logins the only way in without asking. It fails if no master
// listens, or if its connection is dead or full: then we log in ourselves.
func (d *dialer) ride(ctx context.Context, cfg *config) (*conn, error) {
	// Whoever owns the socket sees all we send and says which host it is: that
	// must be us, as ssh demands it of a master.
	var st unix.Stat_t
	if err := unix.Stat(cfg.controlPath, &st); err != nil {
		return nil, &os.PathError{Op: "stat", Path: cfg.controlPath, Err: err}
	}
	if uid := os.Geteuid(); st.Mode&unix.S_IFMT != unix.S_IFSOCK || int(st.Uid) != uid {
		return nil, fmt.Errorf("%s is not a socket of user %d", cfg.controlPath, uid)
	}
	limit := cfg.timeout(d.opt)
	dialer := net.Dialer{Timeout: limit}
	raw, err := dialer.DialContext(ctx, "unix", cfg.controlPath)
	if err != nil {
		return nil, err
	}
	raw.SetDeadline(time.Now().Add(limit))
	c, chans, reqs, err := ssh.NewControlClientConn(raw)
	if err != nil {
		raw.Close()
		return nil, err
	}
	// The master answers at once; whether the host does shows in a session.
	// The deadline holds until it is open.
	client := ssh.NewClient(c, chans, reqs)
	ch, chReqs, err := client.OpenChannel("session", nil)
	if err != nil {
		client.Close()
		return nil, err
	}
	go ssh.DiscardRequests(chReqs)
	ch.Close()
	raw.SetDeadline(time.Time{})
	shared := d.newConn(cfg, client, func() {})
	shared.shared = true
	return shared, nil
}
