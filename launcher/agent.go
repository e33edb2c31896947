package launcher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"

	"github.com/gompirun/gompirun/launcher/hosts"
	"github.com/gompirun/gompirun/launcher/rpc"
	"github.com/gompirun/gompirun/launcher/wire"
)

// An Agent is the coordinator's side of the agent of one pod.
type Agent struct {
	Pod   int
	Host  hosts.Host // as the user named it
	Hello wire.Hello
	// Real are the addresses of its host, the one that others reach it by first.
	Real []netip.Addr

	relief rpc.Relief
	conn   *wire.Conn
	proc   process
	job    *Job
	stdin  *wire.Flow
	ending atomic.Bool // its end is no surprise
}

// process is a running agent, here or on another host.
type process interface {
	// CloseInput ends what the agent reads, by which it knows that we have gone.
	CloseInput() error
	// Reason waits until the agent has ended and says how, and what it said on
	// its standard error.
	Reason() error
	// Close frees what belongs to it.
	Close()
}

var _ wire.Handler = (*Agent)(nil)

// Where implements Member.
func (a *Agent) Where() string { return a.Host.Name }

// call asks the agent. Errors of the connection name the host.
func (a *Agent) call(ctx context.Context, method string, params, result any) error {
	p, err := json.Marshal(params)
	if err != nil {
		return fmt.Errorf("encode the request %s: %w", method, err)
	}
	a.job.own.ask()
	answer, err := a.conn.Ask(ctx, method, p)
	a.job.own.answered()
	if errors.Is(err, wire.ErrGone) {
		return fmt.Errorf("the agent on %s cannot be reached any more", a.Host.Name)
	}
	if err != nil || result == nil {
		return err
	}
	if err := answer.Decode(result); err != nil {
		return fmt.Errorf("the answer of %s to %s came damaged: %w", a.Host.Name, method, err)
	}
	return nil
}

// serve reads what the agent sends until it ends, and tells the job if nobody
// asked it to.
func (a *Agent) serve() {
	err := a.conn.Serve()
	if a.ending.Load() {
		return
	}
	reason := a.proc.Reason()
	if err != nil && reason != nil {
		reason = fmt.Errorf("%w: %w", err, reason)
	} else if reason == nil {
		reason = err
	}
	a.job.agentLost(a, reason)
}

// Request implements wire.Handler: it answers the agent.
func (a *Agent) Request(ctx context.Context, method string, params json.RawMessage) (any, error) {
	switch method {
	case rpc.Shim:
		var c rpc.ShimCall
		if err := json.Unmarshal(params, &c); err != nil {
			return nil, err
		}
		return nil, a.job.shim(ctx, c)
	case rpc.Lose:
		var l rpc.Lost
		if err := json.Unmarshal(params, &l); err != nil {
			return nil, err
		}
		a.job.lose(fmt.Errorf("%s: %w", a.Host.Name, &wire.Error{Kind: l.Kind, Text: l.Text}))
		return nil, nil
	case rpc.Resolve, rpc.Owner:
		var n rpc.Name
		if err := json.Unmarshal(params, &n); err != nil {
			return nil, err
		}
		if method == rpc.Resolve {
			return a.job.resolve(ctx, n.Addr)
		}
		return a.job.owner(ctx, n.Addr)
	}
	return nil, &wire.Error{Kind: wire.KindUnknown, Text: fmt.Sprintf("the coordinator has no method %q", method)}
}

// Event implements wire.Handler.
func (a *Agent) Event(name string, params json.RawMessage) {
	switch name {
	case rpc.EventExit:
		var e rpc.Exit
		if json.Unmarshal(params, &e) == nil {
			a.job.programEnded(a, e)
		}
	case rpc.EventWarn:
		var w rpc.Warning
		if json.Unmarshal(params, &w) == nil {
			a.job.say("%s: %s", a.Host.Name, w.Text)
		}
	}
}

// Stream implements wire.Handler: it takes output.
func (a *Agent) Stream(id wire.StreamID, data []byte, _ bool) {
	s := a.job.stderr
	if id.Role == wire.Stdout && id.Name == mainStream {
		s = a.job.stdout
	}
	s.put(chunk{data: data, written: func() {
		// If the agent has gone it wants no credit.
		_ = a.conn.SendCredit(id, len(data))
	}})
}

// Credit implements wire.Handler.
func (a *Agent) Credit(id wire.StreamID, n int) {
	if id.Name == mainStream && id.Role == wire.Stdin {
		a.stdin.Give(n)
	}
}
