package launcher

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"testing"

	"github.com/gompirun/gompirun/launcher/agent"
	"github.com/gompirun/gompirun/launcher/hosts"
	"github.com/gompirun/gompirun/launcher/wire"
)

// A relay stands between the coordinator and an agent, both of them real, and
// passes on what they say, but for what it is to let fail.
type relay struct {
	up, down *wire.Conn // to the coordinator, to the agent

	mu     sync.Mutex
	method string // that fails once; "" is none
	done   bool   // only after the agent has done it
	cause  func() error
}

// failOnce has a request fail, before it comes to the agent or after the agent has
// done it, if cause returns an error.
func (r *relay) failOnce(method string, done bool, cause func() error) {
	r.mu.Lock()
	r.method, r.done, r.cause = method, done, cause
	r.mu.Unlock()
}

// fails returns the error of a request that is to fail now.
func (r *relay) fails(method string, done bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.method != method || r.done != done {
		return nil
	}
	r.method = ""
	return r.cause()
}

// side is one side's view of a relay.
type side struct {
	*relay
	to func(*relay) *wire.Conn
}

func (s side) Request(ctx context.Context, method string, params json.RawMessage) (any, error) {
	if err := s.fails(method, false); err != nil {
		return nil, err
	}
	var result wire.Answer
	if err := s.to(s.relay).Call(ctx, method, params, &result); err != nil {
		return nil, err
	}
	if err := s.fails(method, true); err != nil {
		return nil, err
	}
	return result, nil
}

// What cannot be passed on is for a side that has gone.
func (s side) Event(name string, params json.RawMessage) { _ = s.to(s.relay).Notify(name, params) }

func (s side) Stream(id wire.StreamID, data []byte, end bool) {
	_ = s.to(s.relay).SendStream(id, data, end)
}

func (s side) Credit(id wire.StreamID, n int) { _ = s.to(s.relay).SendCredit(id, n) }

// relayed starts an agent in this process, and its relay.
func relayed(t *testing.T, j *Job, pod int, name string, real netip.Addr) (*Agent, *relay) {
	t.Helper()
	here, err := agent.Hello()
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{}
	agentIn, toAgent := io.Pipe()
	fromAgent, agentOut := io.Pipe()
	relayIn, toRelay := io.Pipe()
	fromRelay, relayOut := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := agent.Run(context.Background(), agentIn, agentOut, slog.New(slog.DiscardHandler)); err != nil {
			t.Errorf("agent %s ended with %v", name, err)
		}
		agentOut.Close()
	}()
	if r.down, _, err = wire.Open(fromAgent, toAgent, here, true, side{r, func(r *relay) *wire.Conn { return r.up }}); err != nil {
		t.Fatal(err)
	}
	opened := make(chan error, 1)
	go func() {
		var err error
		r.up, _, err = wire.Open(relayIn, relayOut, here, false, side{r, func(r *relay) *wire.Conn { return r.down }})
		opened <- err
	}()
	a := &Agent{Pod: pod, Host: hosts.Host{Name: name}, Real: []netip.Addr{real}, job: j, proc: pipeProcess{toRelay}, stdin: wire.NewFlow()}
	if a.conn, a.Hello, err = wire.Open(fromRelay, toRelay, here, true, a); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	// How a connection ends is for its two ends to judge.
	go func() { _ = r.down.Serve(); relayOut.Close() }()
	go func() { _ = r.up.Serve(); toAgent.Close() }()
	go a.serve()
	t.Cleanup(func() {
		a.ending.Store(true)
		toRelay.Close()
		<-ended
	})
	return a, r
}
