package launcher

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/store"
	"github.com/gompirun/gompirun/launcher/flags"
	"github.com/gompirun/gompirun/launcher/hosts"
	"github.com/gompirun/gompirun/launcher/wire"
)

// socketProcess is a simulated agent: its input is its socket.
type socketProcess struct{ net.Conn }

func (p socketProcess) CloseInput() error { return nil } // Close does it
func (p socketProcess) Reason() error     { return nil }
func (p socketProcess) Close()            { _ = p.Conn.Close() }

// simulatedJob is a job whose agents are simulated, with a store in memory.
func simulatedJob(tb testing.TB, s simAgents) (*Job, *bytes.Buffer) {
	tb.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "gompirun-sim-")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	var said bytes.Buffer
	j := newJob(Env{Stdout: io.Discard, Stderr: &said}, flags.Common{})
	j.dir = filepath.Join(dir, "ck")
	st, err := store.Create(j.dir)
	if err != nil {
		tb.Fatal(err)
	}
	j.use(st, 0)
	j.claimed = true
	spec, err := json.Marshal(s)
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), simVariable+"="+string(spec))
	cmd.Stderr = os.Stderr
	var ours []net.Conn
	for range s.Agents {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			tb.Fatal(err)
		}
		f := os.NewFile(uintptr(fds[0]), "agent")
		c, err := net.FileConn(f)
		if err != nil {
			tb.Fatal(err)
		}
		f.Close()
		ours = append(ours, c)
		cmd.ExtraFiles = append(cmd.ExtraFiles, os.NewFile(uintptr(fds[1]), "agent"))
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	for _, f := range cmd.ExtraFiles {
		f.Close()
	}
	tb.Cleanup(func() {
		j.end(0)
		var exit *exec.ExitError
		if err := cmd.Wait(); err != nil && !(errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled()) {
			tb.Errorf("the simulated agents: %v", err)
		}
	})
	for i, c := range ours {
		a := &Agent{Pod: i, Host: hosts.Host{Name: fmt.Sprintf("n%d", i)}, job: j, proc: socketProcess{c}, stdin: wire.NewFlow()}
		if a.conn, a.Hello, err = wire.Open(c, c, wire.NewHello(), true, a); err != nil {
			tb.Fatal(err)
		}
		go a.serve()
		j.agents = append(j.agents, a)
		j.record.Pods = append(j.record.Pods, PodRecord{ID: i, Ranks: 4, Host: a.Host, HostName: a.Host.Name})
		j.record.Pods[i].Addresses = append(j.record.Pods[i].Addresses, simAddr(i))
	}
	return j, &said
}

// simulated is how many agents the tests have; docs/scale.md tells of more.
const simulated = 256

func TestHundredsOfAgentsCheckpointThoughSomeAreSlow(t *testing.T) {
	j, said := simulatedJob(t, simAgents{Agents: simulated, Degree: 8, Every: 100, SlowMS: 20})
	r, err := j.checkpoint(context.Background(), false)
	if err != nil || r.Processes != 5*simulated {
		t.Fatalf("checkpoint = %+v, %v; it said %s", r, err, said)
	}
	g, err := j.opened().Load(r.Generation)
	if err == nil {
		err = g.Verify(context.Background(), true)
	}
	if err != nil || len(g.Pods()) != simulated {
		t.Errorf("the generation has %d pods (%v), want %d", len(g.Pods()), err, simulated)
	}
}

func TestSomeAgentsOfHundredsThatFailFailTheCheckpointAndNotTheJob(t *testing.T) {
	for _, fails := range []string{"suspend", "snapshot", "write"} {
		t.Run(fails, func(t *testing.T) {
			j, said := simulatedJob(t, simAgents{Agents: simulated / 2, Degree: 8, Every: 25, Fails: fails})
			_, err := j.checkpoint(context.Background(), false)
			if err == nil || isBroken(err) {
				t.Fatalf("checkpoint = %v, want an error after which the job goes on; it said %s", err, said)
			}
			text := err.Error()
			if !strings.Contains(text, fails+" on n24: no space left on device") || !strings.Contains(text, "and on 2 hosts more") ||
				strings.Count(text, "\n") > 4 {
				t.Errorf("five hosts failed and the user was told:\n%s", text)
			}
			if r, err := j.checkpoint(context.Background(), false); err != nil {
				t.Errorf("the next checkpoint = %+v, %v", r, err)
			}
		})
	}
}

func TestSomeAgentsOfHundredsThatEndEndTheJobAndTheCheckpointBeforeStays(t *testing.T) {
	j, said := simulatedJob(t, simAgents{Agents: simulated, Degree: 8, Every: 100, Dies: "drain"})
	j.use(j.opened(), 7)
	j.record.Checkpoints.CkptInterval = time.Millisecond
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	status, err := j.supervise(ctx)
	if err == nil || !strings.Contains(err.Error(), "is lost") || !strings.Contains(err.Error(), "resume it from checkpoint 7") {
		t.Errorf("supervise = %d, %v, want the loss of an agent and what to resume from; it said %s", status, err, said)
	}
}
