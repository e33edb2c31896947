package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib"
	"github.com/gompirun/gompirun/launcher/rpc"
)

// startPod makes a pod with no process yet.
func (a *agent) startPod(_ context.Context, r rpc.Pod) (nothing, error) {
	a.notePod(r)
	p, err := ckptlib.Launch(a.config(r, ""))
	if err != nil {
		return nothing{}, err
	}
	return nothing{}, a.adopt(p)
}

func (a *agent) notePod(r rpc.Pod) {
	a.mu.Lock()
	a.id, a.relief = r.ID, r.Relief
	a.mu.Unlock()
}

func (a *agent) config(r rpc.Pod, policy string) ckptlib.Config {
	return ckptlib.Config{
		ID: r.ID, HostName: r.HostName, Virtual: r.Virtual, Real: r.Real,
		Peers: peers{a}, FilePolicy: policy, Warn: a.warn,
	}
}

// adopt takes a pod that has begun to live, and serves its shim.
func (a *agent) adopt(p *ckptlib.Pod) error {
	a.mu.Lock()
	busy, relief := a.pod != nil, a.relief
	if !busy {
		a.pod = p
	}
	a.mu.Unlock()
	if busy {
		p.Kill()
		return errors.New("this agent has a pod already")
	}
	go a.reportExits(p)
	if relief.Pulse {
		if err := pulse(a.ctx); err != nil {
			a.warn(fmt.Sprintf("ranks that wait keep their processors: %v", err))
		}
	}
	a.relieve(p, relief)
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program's own file: %w", err)
	}
	if err := p.LinkShim(self); err != nil {
		return fmt.Errorf("put the shim into the pod: %w", err)
	}
	l, err := p.ShimListener()
	if err != nil {
		return err
	}
	go a.serveShim(l)
	return nil
}

func (a *agent) reportExits(p *ckptlib.Pod) {
	for e := range p.Exits() {
		a.log.Debug("program ended", "stream", e.Stream, "status", e.Status)
		// If the coordinator has gone, Run ends the pod.
		_ = a.conn.Notify(rpc.EventExit, rpc.Exit{Stream: e.Stream, Status: uint32(e.Status)})
	}
}

// spawn starts a program in the pod.
func (a *agent) spawn(_ context.Context, r rpc.Program) (rpc.Spawned, error) {
	p, err := a.running()
	if err != nil {
		return rpc.Spawned{}, err
	}
	if a.program(r.Stream) != nil {
		return rpc.Spawned{}, fmt.Errorf("there is a program %s already", r.Stream)
	}
	var s *program
	if r.Terminal != nil {
		s, err = newTerminalProgram(p, r)
	} else {
		s, err = newProgram(r.Stream, r.Input)
	}
	if err != nil {
		return rpc.Spawned{}, err
	}
	pid, err := p.Spawn(ckptlib.Command{
		Stream: r.Stream, Path: r.Path, Args: r.Args, Env: r.Env, Dir: r.Dir,
		Stdin: s.pod[0], Stdout: s.pod[1], Stderr: s.pod[2], Terminal: s.terminal,
	})
	if err != nil {
		s.close()
		return rpc.Spawned{}, err
	}
	a.attach(s)
	return rpc.Spawned{PID: pid}, nil
}

// signal sends a signal to a program, or to all processes.
func (a *agent) signal(_ context.Context, r rpc.SignalRequest) (nothing, error) {
	p, err := a.running()
	if err != nil {
		return nothing{}, err
	}
	sig := unix.Signal(r.Signal)
	if r.Stream != "" {
		return nothing{}, p.Signal(r.Stream, sig, r.Group)
	}
	list, err := p.Processes()
	for _, q := range list {
		if kerr := unix.Kill(q.HostPID, sig); kerr != nil && !errors.Is(kerr, unix.ESRCH) {
			err = errors.Join(err, fmt.Errorf("send %v to process %d: %w", sig, q.PID, kerr))
		}
	}
	return nothing{}, err
}

func (a *agent) processes(context.Context, nothing) ([]rpc.Process, error) {
	p, err := a.running()
	if err != nil {
		return nil, err
	}
	list, err := p.Processes()
	out := make([]rpc.Process, len(list))
	for i, q := range list {
		out[i] = rpc.Process{PID: q.PID, HostPID: q.HostPID, Name: q.Name}
	}
	return out, err
}

// end ends the pod. Its processes have some time to do so themselves. It returns
// when all output has been sent.
func (a *agent) end(ctx context.Context, r rpc.EndRequest) (nothing, error) {
	a.mu.Lock()
	p, ckpt := a.pod, a.ckpt
	a.pod, a.ckpt = nil, nil
	var programs []*program
	for _, s := range a.programs {
		programs = append(programs, s)
	}
	a.mu.Unlock()
	if p == nil {
		return nothing{}, nil
	}
	if ckpt != nil && ckpt.Checkpoint != nil {
		a.letGo(p, ckpt)
	} else {
		awaitEmpty(ctx, p, time.Duration(r.GraceMS)*time.Millisecond)
	}
	p.Kill()
	for _, s := range programs {
		s.closePod()
	}
	a.outputs.Wait()
	for _, s := range programs {
		s.close()
	}
	return nothing{}, nil
}

// letGo gives up the ptrace stops of a pod that is to be killed: what dies while
// it is traced is a zombie until its tracer looks, and so is the pod. The signal
// is met before any instruction of the program, so nothing runs.
func (a *agent) letGo(p *ckptlib.Pod, c *checkpoint) {
	list, err := p.Processes()
	for _, q := range list {
		err = errors.Join(err, unix.Kill(q.HostPID, unix.SIGSTOP))
	}
	if err = errors.Join(err, c.Resume()); err != nil {
		a.log.Warn("the pod was not let go in order", "error", err)
	}
}

// awaitEmpty waits until the pod has no processes, at most for a time.
func awaitEmpty(ctx context.Context, p *ckptlib.Pod, limit time.Duration) {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline) && ctx.Err() == nil; {
		if list, err := p.Processes(); err != nil || len(list) == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}
