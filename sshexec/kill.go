package sshexec

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/ssh"
)

// Kill ends the program, and only it, with SIGKILL, waits for its end, and
// closes the Process. It gives up after 5 seconds, with an error if the program
// may still be running.
func (p *Process) Kill() error {
	defer p.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	// Whether it is passed on shows below.
	_, _ = p.ch.SendRequest("signal", false, ssh.Marshal(struct{ Name string }{"KILL"}))
	select {
	case <-p.done:
		return nil
	case <-time.After(300 * time.Millisecond):
	}
	// sshd passes no signals on where it has no separate privileges, as for
	// root, nor with a forced command, nor before OpenSSH 8.1; and never says.
	k, err := p.host.startScript(ctx, fmt.Sprintf(killScript, p.session))
	if err != nil {
		return err
	}
	defer k.Close()
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return &HostError{Host: p.host.Target.Host, Err: errors.New("a program did not end when it was killed")}
	}
}

// sessionVariable marks a program, so that Kill finds it: its value ends with
// the program's own process id, which its children's then is not.
const sessionVariable = "GOMPIRUN_SESSION"

// One grep looks at all processes: a host may have thousands.
const killScript = `for f in $(grep -ls "` + sessionVariable + `=%[1]s\." /proc/[0-9]*/environ); do
	pid=${f#/proc/}
	pid=${pid%%/environ}
	grep -qs "` + sessionVariable + `=%[1]s\.$pid\." "$f" && kill -KILL "$pid"
done`
