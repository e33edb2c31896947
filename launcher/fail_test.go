package launcher

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gompirun/gompirun/ci/torture"
	"github.com/gompirun/gompirun/launcher/agent"
	"github.com/gompirun/gompirun/launcher/flags"
	"github.com/gompirun/gompirun/launcher/hosts"
	"github.com/gompirun/gompirun/launcher/rpc"
	"github.com/gompirun/gompirun/launcher/wire"
)

// patience bounds the wait for anything.
const patience = 60 * time.Second

// A pair is a job of two pods with real agents, whose programs talk with each
// other all the time.
type pair struct {
	t      *testing.T
	job    *Job
	relays []*relay
	lines  chan string
}

// newPair is a job with its agents and nothing in them yet.
func newPair(t *testing.T, dir string) *pair {
	t.Helper()
	out, w := io.Pipe()
	p := &pair{t: t, lines: make(chan string, 1000)}
	// There is an input: what the test sends.
	p.job = newJob(Env{Stdin: strings.NewReader(""), Stdout: w, Stderr: io.Discard, Dir: dir}, flags.Common{})
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	here, err := agent.Hello()
	if err != nil {
		t.Fatal(err)
	}
	p.job.fleet = &fleet{here: here}
	for i := range 2 {
		real := netip.AddrFrom4([4]byte{127, 0, 0, byte(2 + i)})
		a, r := relayed(t, p.job, i, fmt.Sprintf("n%d", i+1), real)
		p.job.agents, p.relays = append(p.job.agents, a), append(p.relays, r)
		p.job.fleet.hosts = append(p.job.fleet.hosts, a.Host)
		p.job.record.Pods = append(p.job.record.Pods, PodRecord{ID: i, HostName: a.Host.Name, Addresses: a.Real, Ranks: 1, Host: hosts.Host{Name: a.Host.Name}})
	}
	p.job.dir = filepath.Join(dir, "ck")
	if p.job.control, err = listenControl(p.job.dir); err != nil {
		t.Fatal(err)
	}
	return p
}

// launch starts the programs.
func (p *pair) launch(ctx context.Context, dir string) {
	p.t.Helper()
	j := p.job
	j.record.Format, j.record.Checkpoints.CkptCompress = RecordFormat, flags.CompressNone
	if err := errors.Join(j.startPods(ctx), j.openStore(ctx)); err != nil {
		p.t.Fatal(err)
	}
	close(j.running)
	for i, a := range j.agents {
		err := a.call(ctx, rpc.Spawn, rpc.Program{
			Stream: []string{mainStream, "daemon-1"}[i], Path: filepath.Join(dir, "torture"), Dir: dir, Input: i == 0,
			Args: []string{"torture", "1", "tcp", "pipes", "shared", "timers", "memory"},
			Env:  podEnv([]string{fmt.Sprintf("PMI_RANK=%d", i), "PMI_SIZE=2", "TORTURE_ADDRESS=127.0.0.2"}),
		}, nil)
		if err != nil {
			p.t.Fatal(err)
		}
	}
}

// line waits for a line of the program.
func (p *pair) line(word string) string {
	p.t.Helper()
	for limit := time.After(patience); ; {
		select {
		case l := <-p.lines:
			if strings.HasPrefix(l, "broken ") {
				p.t.Fatal(l)
			}
			if strings.HasPrefix(l, word+" ") {
				return l
			}
		case <-limit:
			p.t.Fatalf("the program did not say %q within %v", word, patience)
		}
	}
}

func (p *pair) check() torture.Counts {
	p.t.Helper()
	if err := p.job.agents[0].conn.SendStream(wire.StreamID{Name: mainStream, Role: wire.Stdin}, []byte("check\n"), false); err != nil {
		p.t.Fatal(err)
	}
	return torture.Parse(p.t, p.line("check"))
}

// unharmed waits until every process of both programs has gone on.
func (p *pair) unharmed() {
	p.t.Helper()
	first := p.check()
	for limit := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		behind := p.check().Behind(first)
		if len(behind) == 0 {
			return
		}
		if time.Now().After(limit) {
			p.t.Fatalf("nothing more of %v in %v", behind, patience)
		}
	}
}

// restarted ends the job and restarts it from its newest checkpoint.
func (p *pair) restarted(ctx context.Context, dir string) *pair {
	p.t.Helper()
	p.job.end(0)
	q := newPair(p.t, dir)
	r := &flags.Restart{Target: flags.Target{Dir: "ck"}, Files: flags.FilesTruncate}
	g, err := q.job.choose(ctx, r)
	if err == nil {
		err = q.job.revive(ctx, r, g)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return q
}

func (p *pair) packs() []string {
	p.t.Helper()
	list, err := filepath.Glob(filepath.Join(p.job.dir, "packs", "*"))
	if err != nil {
		p.t.Fatal(err)
	}
	return list
}

// Each phase fails on the first agent and on the last, before the agent has done its
// part and after. What is left of it must not be in the way of the job, nor of its
// next checkpoint, nor of a restart from that.
func TestJobAndItsNextCheckpointAreUnharmedWhereverOneFails(t *testing.T) {
	dir := t.TempDir()
	torture.Compile(t, filepath.Join(dir, "torture"))
	ctx := t.Context()
	p := newPair(t, dir)
	p.launch(ctx, dir)
	p.line("ready")
	made := func() {
		t.Helper()
		if _, err := p.job.checkpoint(ctx, false); err != nil {
			t.Fatal(err)
		}
	}
	failed := func(phase Phase, where string, cause error) {
		t.Helper()
		before := p.packs()
		_, err := p.job.checkpoint(ctx, false)
		var e *PhaseError
		if !errors.As(err, &e) || e.Phase != phase || e.Where != where || !strings.Contains(err.Error(), cause.Error()) || isBroken(err) {
			t.Fatalf("the checkpoint = %v, want that %s failed on %q: %v", err, phase, where, cause)
		}
		if after := p.packs(); !slices.Equal(before, after) {
			t.Errorf("the failed checkpoint has left %q, and there were %q", after, before)
		}
		p.unharmed()
	}
	made()
	p.unharmed()
	for _, m := range []struct {
		phase  Phase
		method string
	}{
		{Prepare, rpc.Prepare},
		{Suspend, rpc.Suspend},
		{Elect, rpc.Elect},
		{Drain, rpc.Pair},
		{Drain, rpc.Drain},
		{Snapshot, rpc.Snapshot},
		{Resume, rpc.Resume},
		{Write, rpc.Write},
	} {
		for i, a := range p.job.agents {
			where := a.Host.Name
			cause := fmt.Errorf("%s on purpose", m.method)
			fail := func() error { return cause }
			p.relays[i].failOnce(m.method, false, fail)
			failed(m.phase, where, cause)
			p.relays[i].failOnce(m.method, true, fail)
			failed(m.phase, where, cause)
			made()
			p = p.restarted(ctx, dir)
			p.unharmed()
		}
	}
	// All agents have written, and something is where the manifest should be.
	var wrote atomic.Int32
	for _, r := range p.relays {
		r.failOnce(rpc.Write, true, func() error {
			if wrote.Add(1) < int32(len(p.relays)) {
				return nil
			}
			list, err := filepath.Glob(filepath.Join(p.job.dir, "gen", "*"))
			if err != nil {
				return err
			}
			return os.Mkdir(filepath.Join(list[len(list)-1], "manifest.json"), 0o700)
		})
	}
	failed(Commit, "", errors.New("commit generation"))
	made()
	p = p.restarted(ctx, dir)
	p.unharmed()
	p.job.end(0)
}
