package launcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"

	"github.com/gompirun/gompirun/launcher/hosts"
	"github.com/gompirun/gompirun/launcher/wire"
	"github.com/gompirun/gompirun/sshexec"
)

// A fleet is the hosts of a job: this one, those reached by SSH, and their
// agents.
type fleet struct {
	here  wire.Hello
	hosts []hosts.Host
	ssh   []*sshexec.Host // nil for this host
	paths []string        // of this program on the host
	log   io.Writer       // what agents say; nil if nobody wants to know
	args  []string        // of agents
}

// reach logs in at all hosts that are not this one and puts this program there.
// Errors name every host that could not be reached.
func reach(ctx context.Context, list []hosts.Host, here wire.Hello, o *sshexec.Options) (*fleet, error) {
	f := &fleet{here: here, hosts: list, ssh: make([]*sshexec.Host, len(list)), paths: make([]string, len(list))}
	var targets []sshexec.Target
	var at []int
	for i, h := range list {
		if isLocal(ctx, h, here) {
			continue
		}
		targets = append(targets, sshexec.Target{Host: h.Name, User: h.User, Port: h.Port})
		at = append(at, i)
	}
	if len(targets) == 0 {
		return f, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program's own file: %w", err)
	}
	reached, err := sshexec.DialAll(ctx, targets, o)
	if err != nil {
		return nil, err
	}
	for k, h := range reached {
		f.ssh[at[k]] = h
	}
	errs := make([]error, len(list))
	done := make(chan struct{})
	for _, i := range at {
		go func() {
			f.paths[i], errs[i] = f.ssh[i].Install(ctx, self)
			done <- struct{}{}
		}()
	}
	for range at {
		<-done
	}
	if err := errors.Join(errs...); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// start starts the agent of a pod on a host.
func (f *fleet) start(ctx context.Context, j *Job, pod, host int) (*Agent, error) {
	a := &Agent{Pod: pod, Host: f.hosts[host], job: j, stdin: wire.NewFlow()}
	r, w, err := f.startProcess(ctx, a, host)
	if err != nil {
		return nil, err
	}
	opened := make(chan error, 1)
	go func() {
		var err error
		a.conn, a.Hello, err = wire.Open(r, w, f.here, true, a)
		opened <- err
	}()
	select {
	case err = <-opened:
	case <-ctx.Done():
		a.proc.Close()
		return nil, ctx.Err()
	}
	if err != nil {
		if errors.Is(err, wire.ErrGone) {
			_ = a.proc.CloseInput() // it has ended
			err = a.proc.Reason()
		}
		a.proc.Close()
		return nil, fmt.Errorf("%s: the agent did not start: %w", a.Host.Name, err)
	}
	a.Real = f.addresses(host, a.Hello)
	go a.serve()
	return a, nil
}

func (f *fleet) startProcess(ctx context.Context, a *Agent, host int) (io.Reader, io.Writer, error) {
	args := append([]string{"agent"}, f.args...)
	if f.ssh[host] == nil {
		p, r, w, err := startLocal(args, f.log)
		if err != nil {
			return nil, nil, err
		}
		a.proc = p
		return r, w, nil
	}
	p, err := f.ssh[host].Start(ctx, append([]string{f.paths[host]}, args...), nil, "")
	if err != nil {
		return nil, nil, err
	}
	rp := &remoteProcess{p: p, said: &tail{w: f.log}, drained: make(chan struct{})}
	go rp.drain()
	a.proc = rp
	return p.Stdout, p.Stdin, nil
}

// addresses lists a host's addresses, the one by which others reach it first. A
// host without any but loopback has that: it is alone.
func (f *fleet) addresses(host int, h wire.Hello) []netip.Addr {
	list := h.Addresses
	if f.ssh[host] != nil {
		list = firstAddress(list, f.ssh[host].RemoteAddr())
	} else {
		for _, other := range f.ssh {
			if other != nil {
				list = firstAddress(list, other.LocalAddr())
				break
			}
		}
	}
	if len(list) == 0 {
		list = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	}
	return list
}

// close ends all connections, and with them all agents on other hosts.
func (f *fleet) close() {
	for _, h := range f.ssh {
		if h != nil {
			_ = h.Close() // nothing is left to lose
		}
	}
}

// remoteProcess is an agent on another host.
type remoteProcess struct {
	p       *sshexec.Process
	said    *tail
	drained chan struct{}
}

func (r *remoteProcess) drain() {
	defer close(r.drained)
	if _, err := io.Copy(r.said, r.p.Stderr); err != nil && !errors.Is(err, net.ErrClosed) {
		_, _ = fmt.Fprintf(r.said, "its messages ended: %v\n", err)
	}
}

// CloseInput implements process.
func (r *remoteProcess) CloseInput() error { return r.p.Stdin.Close() }

// Reason implements process.
func (r *remoteProcess) Reason() error {
	status, err := r.p.Wait()
	<-r.drained
	if err == nil && status.Code != 0 {
		err = fmt.Errorf("it ended with status %d", status.Code)
	}
	return r.said.explain(err)
}

// Close implements process.
func (r *remoteProcess) Close() {
	_ = r.p.Stdin.Close() // by this it knows
	_ = r.p.Close()       // it may have ended
}
