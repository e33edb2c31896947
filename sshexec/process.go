package sshexec

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// A Status is how a remote program ended.
type Status struct {
	Code   int    // exit status, 0 to 255; 128+n if signal n ended it, as in a shell
	Signal string // name of the signal without SIG; empty if it exited
}

// A Process is a program running on a remote host. Its three streams are
// pipes. Stdout and Stderr must both be read: they share the flow control of
// one SSH channel, and when 2 MiB lie unread on either, both stand still.
type Process struct {
	Stdin  io.WriteCloser // closing it is the program's end of file
	Stdout io.Reader      // ends when every process holding it has closed it
	Stderr io.Reader

	host    *Host
	session string // value of sessionVariable, less the process id
	ch      *channel
	done    chan struct{} // closed when status and err are final
	once    sync.Once
	status  Status
	err     error
}

// Start runs argv on the host, in directory dir (empty: the home directory)
// and with env, and a variable GOMPIRUN_SESSION, added to what sshd and the
// login shell set up. Argv may contain any byte but zero; argv[0] without a
// slash is looked up in PATH there. A program that cannot be run shows as exit
// status 126 or 127, as in a shell, with the reason on Stderr. Argv, env and
// dir may have some 100,000 bytes together (a third of that if they are mostly
// bytes outside ASCII). The context bounds the start only. The caller should
// Close the Process in the end. Errors are *HostError.
func (h *Host) Start(ctx context.Context, argv []string, env map[string]string, dir string) (*Process, error) {
	script, err := execScript(argv, env, dir)
	if err != nil {
		return nil, &HostError{Host: h.Target.Host, Err: err}
	}
	session := rand.Text()
	p, err := h.startScript(ctx, fmt.Sprintf("export %s=%s.$$.\n%s", sessionVariable, session, script))
	if err == nil {
		p.session = session
	}
	return p, err
}

// startScript runs a script of a POSIX shell.
func (h *Host) startScript(ctx context.Context, script string) (*Process, error) {
	p, err := h.exec(ctx, script)
	if err != nil {
		return nil, &HostError{Host: h.Target.Host, Err: fmt.Errorf("starting a program: %w", unname(h.Target.Host, err))}
	}
	return p, nil
}

// unname strips the host from an error that is about to get it again.
func unname(host string, err error) error {
	h, ok := err.(*HostError) //nolint:errorlint // what wraps one says more than its host
	if !ok || h.Host != host {
		return err
	}
	if h.Hint != "" {
		return fmt.Errorf("%w\n  %s", h.Err, h.Hint)
	}
	return h.Err
}

func (h *Host) exec(ctx context.Context, script string) (*Process, error) {
	command, err := shellCommand(script)
	if err != nil {
		return nil, err
	}
	ch, err := h.open(ctx)
	if err != nil {
		return nil, err
	}
	p := &Process{Stdout: ch, Stderr: ch.Stderr(), host: h, ch: ch, done: make(chan struct{})}
	p.Stdin = &stdin{p}
	go p.watch()
	stop := context.AfterFunc(ctx, func() { p.Close() })
	ok, err := ch.SendRequest("exec", true, ssh.Marshal(struct{ Command string }{command}))
	switch {
	case !stop():
		err = ctx.Err()
	case err == nil && !ok:
		err = errors.New("the host refuses to run commands")
	case errors.Is(err, io.EOF):
		err = p.lostError()
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	if d := h.d.opt.KeepAlive; ch.conn.shared && d > 0 {
		// A ControlMaster passes channel requests on, but not global ones.
		go ch.conn.keepAlive(d, p.done, func() error {
			_, err := ch.SendRequest("keepalive@openssh.com", true, nil)
			return err
		})
	}
	return p, nil
}

// watch takes what the host says of the program until the channel is closed.
func (p *Process) watch() {
	for r := range p.ch.requests {
		switch r.Type {
		case "exit-status":
			if len(r.Payload) >= 4 {
				p.finish(Status{Code: int(binary.BigEndian.Uint32(r.Payload))}, nil)
			}
		case "exit-signal":
			name, _, _ := strings.Cut(signalName(r.Payload), "@")
			p.finish(Status{Code: 128 + signalNumber[name], Signal: name}, nil)
		}
		if r.WantReply {
			_ = r.Reply(false, nil) // a host that is gone shows when the channel closes
		}
	}
	select {
	case <-p.done:
	default:
		p.finish(Status{}, &HostError{Host: p.host.Target.Host, Err: p.lostError()})
	}
}

// signalName returns the first string of an exit-signal request (RFC 4254,
// section 6.10).
func signalName(payload []byte) string {
	var m struct {
		Name string
		Rest []byte `ssh:"rest"`
	}
	if ssh.Unmarshal(payload, &m) != nil {
		return ""
	}
	return m.Name
}

// signalNumber has the signals that SSH can name; OpenSSH calls all others
// SIG, which says nothing: their programs end with status 128.
var signalNumber = map[string]int{
	"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "ABRT": 6, "FPE": 8, "KILL": 9,
	"USR1": 10, "SEGV": 11, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15,
}

// lostError says why the channel was closed without an exit status. When it
// was for the whole connection, that is known a moment later.
func (p *Process) lostError() error {
	select {
	case <-p.ch.conn.lost:
		return unname(p.ch.conn.host, p.ch.conn.err())
	case <-time.After(time.Second):
		return errors.New("the session ended without an exit status")
	}
}

func (p *Process) finish(s Status, err error) {
	p.once.Do(func() {
		p.status, p.err = s, err
		close(p.done)
	})
}

// Wait returns how the program ended, once it has; output may still be waiting
// on Stdout and Stderr then. The error, a *HostError, is for a program of which
// nothing is known any more, since the connection is lost or the Process was
// closed. Wait may be called more than once.
func (p *Process) Wait() (Status, error) {
	<-p.done
	return p.status, p.err
}

// Close lets go of the program: it reads end of file from its standard input,
// and writing gives it SIGPIPE. It is not killed. Close after the program has
// ended only frees the session.
func (p *Process) Close() error {
	p.finish(Status{}, &HostError{Host: p.host.Target.Host, Err: errors.New("the session was closed here")})
	p.ch.Close()
	return nil
}

// stdin gives a reason where the channel only knows that it is closed.
type stdin struct{ p *Process }

func (s *stdin) Write(b []byte) (int, error) {
	n, err := s.p.ch.Write(b)
	select {
	case <-s.p.done:
		if err != nil && s.p.err != nil {
			return n, s.p.err
		}
	default:
	}
	if errors.Is(err, io.EOF) {
		err = syscall.EPIPE // what it means, in the words of a pipe
	}
	if err != nil {
		err = &HostError{Host: s.p.host.Target.Host, Err: fmt.Errorf("writing to the program: %w", err)}
	}
	return n, err
}

func (s *stdin) Close() error {
	if err := s.p.ch.CloseWrite(); err != nil && !errors.Is(err, io.EOF) {
		return &HostError{Host: s.p.host.Target.Host, Err: fmt.Errorf("closing the program's input: %w", err)}
	}
	return nil
}
