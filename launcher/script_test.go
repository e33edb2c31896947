package launcher

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"github.com/gompirun/gompirun/ckptlib/store"
	"github.com/gompirun/gompirun/launcher/flags"
	"github.com/gompirun/gompirun/launcher/hosts"
	"github.com/gompirun/gompirun/launcher/wire"
)

// A script is the far side of an agent: it answers what it was told to and notes
// what it was asked. Methods without an answer succeed with nothing.
type script struct {
	answers map[string]func() (any, error)
	mu      sync.Mutex
	asked   []string
}

func (s *script) Request(_ context.Context, method string, _ json.RawMessage) (any, error) {
	s.mu.Lock()
	s.asked = append(s.asked, method)
	s.mu.Unlock()
	if f := s.answers[method]; f != nil {
		return f()
	}
	return nil, nil
}

func (s *script) Event(string, json.RawMessage)      {}
func (s *script) Stream(wire.StreamID, []byte, bool) {}
func (s *script) Credit(wire.StreamID, int)          {}

// times counts how often a method was asked.
func (s *script) times(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, m := range s.asked {
		if m == method {
			n++
		}
	}
	return n
}

// pipeProcess is a process that is only its input.
type pipeProcess struct{ in *io.PipeWriter }

func (p pipeProcess) CloseInput() error { return p.in.Close() }
func (p pipeProcess) Reason() error     { return nil }
func (p pipeProcess) Close()            { _ = p.in.Close() }

// scriptedJob is a job of one pod with a store. What it says is in the buffer
// when it has ended.
func scriptedJob(t *testing.T, s *script) (*Job, *bytes.Buffer) {
	t.Helper()
	var said bytes.Buffer
	j := newJob(Env{Stdout: io.Discard, Stderr: &said}, flags.Common{})
	j.dir = filepath.Join(t.TempDir(), "ck")
	st, err := store.Create(j.dir)
	if err != nil {
		t.Fatal(err)
	}
	j.use(st, 0)
	j.claimed = true
	toAgent, fromUs := io.Pipe()
	toUs, fromAgent := io.Pipe()
	go func() {
		c, _, err := wire.Open(toAgent, fromAgent, wire.NewHello(), false, s)
		if err == nil {
			err = c.Serve()
		}
		if err != nil {
			t.Errorf("the agent's connection: %v", err)
		}
		fromAgent.Close()
	}()
	a := &Agent{Host: hosts.Host{Name: "n1"}, job: j, proc: pipeProcess{fromUs}, stdin: wire.NewFlow()}
	if a.conn, a.Hello, err = wire.Open(toUs, fromUs, wire.NewHello(), true, a); err != nil {
		t.Fatal(err)
	}
	go a.serve()
	j.agents = []*Agent{a}
	j.record.Pods = []PodRecord{{Host: a.Host}}
	return j, &said
}

// listen is a socket for a control that nobody asks.
func listen(t *testing.T) *net.UnixListener {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "socket"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	return l
}
