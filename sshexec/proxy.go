package sshexec

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// startProxy runs the configured ProxyCommand and returns the stream it makes.
// The command gets one end of a socket pair, not pipes: our end is a net.Conn
// then, with deadlines, and closing it ends both directions.
func startProxy(cfg *config) (net.Conn, func(), error) {
	fail := func(err error) (net.Conn, func(), error) {
		return nil, nil, &HostError{Host: cfg.alias, Err: fmt.Errorf("running ProxyCommand %q: %w", cfg.proxyCommand, err)}
	}
	if cfg.proxyFdpass {
		return fail(fmt.Errorf("ProxyUseFdpass is not supported"))
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "proxy"), os.NewFile(uintptr(fds[1]), "proxy")
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	ours.Close()
	if err != nil {
		return fail(err)
	}
	line := expandTokens(cfg.proxyCommand, map[byte]string{
		'h': cfg.hostname, 'k': cfg.knownHostsName(), 'n': cfg.alias, 'p': strconv.Itoa(cfg.port), 'r': cfg.user,
	})
	shell := os.Getenv("SHELL")
	if shell == "" {
		shell = "/bin/sh"
	}
	cmd := exec.Command(shell, "-c", "exec "+line)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, os.Stderr
	// Not in our process group: an interrupt typed at the terminal is for the
	// coordinator, which still needs the connection to end the job.
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		conn.Close()
		return fail(err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is of no use: the connection is gone
		close(exited)
	}()
	p := &proxyConn{Conn: conn, end: sync.OnceFunc(func() {
		// As ssh does it: a hangup, since a command may not look at its input.
		select {
		case <-exited:
		default:
			_ = cmd.Process.Signal(unix.SIGHUP) // it may have ended meanwhile
		}
	})}
	return p, func() { p.Close() }, nil
}

// proxyConn ends the command when the stream is closed.
type proxyConn struct {
	net.Conn
	end func()
}

func (p *proxyConn) Close() error {
	err := p.Conn.Close()
	p.end()
	return err
}
