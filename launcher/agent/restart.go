package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib"
	"github.com/gompirun/gompirun/ckptlib/conn"
	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/store"
	"github.com/gompirun/gompirun/launcher/rpc"
)

// verify looks whether a pod can be restarted here.
func (a *agent) verify(_ context.Context, r rpc.Restart) (rpc.Verified, error) {
	im, err := a.begin(r)
	if err != nil {
		return rpc.Verified{}, err
	}
	warnings, err := ckptlib.Verify(im)
	return rpc.Verified{Processes: len(im.Processes), Warnings: warnings}, err
}

// begin reads the image of a pod, and begins the restart if it is to be one.
func (a *agent) begin(r rpc.Restart) (*image.Pod, error) {
	st, err := store.Open(r.Dir)
	if err != nil {
		return nil, err
	}
	g, err := st.Load(r.Generation)
	if err != nil {
		return nil, err
	}
	if r.DryRun {
		im, _, err := ckptlib.LoadImage(g, r.Pod.ID, r.PathMap)
		return im, err
	}
	a.notePod(r.Pod)
	config := a.config(r.Pod, r.FilePolicy)
	if config.JobAddrs, err = jobAddrs(st); err != nil {
		return nil, err
	}
	config.PathMap, config.Lazy, config.Lost = r.PathMap, r.Lazy, a.lose
	restart, err := ckptlib.Begin(config, st, g)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.restart = restart
	a.mu.Unlock()
	return restart.Image(), nil
}

// rebuild makes the pod anew, all but its connections.
func (a *agent) rebuild(context.Context, nothing) (rpc.Rebuilt, error) {
	restart, err := a.rebuilt()
	if err != nil {
		return rpc.Rebuilt{}, err
	}
	im := restart.Image()
	streams := map[string][3]*os.File{}
	names := streamsOf(im)
	for _, name := range names {
		if onTerminal(im, name) {
			continue // its terminal is made with the pod
		}
		p, err := newProgram(name, true)
		if err != nil {
			return rpc.Rebuilt{}, err
		}
		streams[name] = p.pod
		a.attach(p)
	}
	if err := restart.Rebuild(streams); err != nil {
		return rpc.Rebuilt{}, err
	}
	out := rpc.Rebuilt{
		Addrs:   conn.Addrs{Inet: restart.Address(unix.AF_INET), Inet6: restart.Address(unix.AF_INET6)},
		Streams: names,
	}
	for _, e := range restart.Conns() {
		out.Ends = append(out.Ends, rpc.ConnEnd{ID: e.ID, Family: e.Family})
	}
	return out, nil
}

// jobAddrs reads whose the addresses of the job are.
func jobAddrs(st *store.Store) (map[netip.Addr]int, error) {
	b, err := st.ReadJob()
	if err != nil {
		return nil, err
	}
	var job struct {
		Pods []rpc.PodAddrs `json:"pods"`
	}
	if err := json.Unmarshal(b, &job); err != nil {
		return nil, fmt.Errorf("read job.json: %w", err)
	}
	return rpc.JobAddrs(job.Pods), nil
}

// streamsOf names the programs of a pod, also those that have ended and left
// their streams to others.
func streamsOf(im *image.Pod) []string {
	set := map[string]bool{}
	for _, p := range im.Programs {
		set[p.Stream] = true
	}
	for _, f := range im.Files {
		if f.Stdio != nil {
			set[f.Stdio.Stream] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// onTerminal tells whether a program's streams are a terminal.
func onTerminal(im *image.Pod, stream string) bool {
	return slices.ContainsFunc(im.Terminals, func(t image.Terminal) bool { return t.Stream == stream })
}

// rebuilt is the restart under way.
func (a *agent) rebuilt() (*ckptlib.Restart, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.restart == nil {
		return nil, errors.New("no restart is under way")
	}
	return a.restart, nil
}

func (a *agent) connect(ctx context.Context, r rpc.Connections) (nothing, error) {
	restart, err := a.rebuilt()
	if err != nil {
		return nothing{}, err
	}
	if len(r.Token) != 32 {
		return nothing{}, fmt.Errorf("the token has %d bytes, not 32", len(r.Token))
	}
	return nothing{}, restart.Connect(ctx, r.Peers, [32]byte(r.Token))
}

func (a *agent) refillConns(ctx context.Context, _ nothing) (nothing, error) {
	restart, err := a.rebuilt()
	if err != nil {
		return nothing{}, err
	}
	return nothing{}, restart.Refill(ctx)
}

func (a *agent) resumeRestart(context.Context, nothing) (nothing, error) {
	restart, err := a.rebuilt()
	if err != nil {
		return nothing{}, err
	}
	p, err := restart.Resume()
	if err != nil {
		return nothing{}, err
	}
	a.mu.Lock()
	a.restart = nil
	a.mu.Unlock()
	a.attachTerminals(p)
	err = a.adopt(p)
	p.ReadBehind()
	return nothing{}, err
}

func (a *agent) abortRestart(context.Context, nothing) (nothing, error) {
	a.mu.Lock()
	restart := a.restart
	a.restart = nil
	a.mu.Unlock()
	if restart != nil {
		restart.Abort()
	}
	return nothing{}, nil
}
