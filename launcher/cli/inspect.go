package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/store"
	"github.com/gompirun/gompirun/launcher"
	"github.com/gompirun/gompirun/launcher/flags"
)

// inspection is what `inspect --json` prints.
type inspection struct {
	Generation int              `json:"generation"`
	Created    time.Time        `json:"created"`
	Command    []string         `json:"command"`
	Dir        string           `json:"dir"`
	Family     flags.MPI        `json:"family"`
	User       string           `json:"user"`
	Facts      launcher.Facts   `json:"facts"`
	Pods       []podInspection  `json:"pods"`
	Files      []store.FileInfo `json:"files"`
}

type podInspection struct {
	ID        int                 `json:"id"`
	HostName  string              `json:"host_name"`
	Addresses []string            `json:"addresses"`
	Kernel    string              `json:"kernel"`
	Processes []processInspection `json:"processes"`
}

type processInspection struct {
	PID      int    `json:"pid"`
	PPID     int    `json:"ppid"`
	Exe      string `json:"exe"`
	Threads  int    `json:"threads"`
	FDs      int    `json:"fds"`
	Mappings int    `json:"mappings"`
	Bytes    uint64 `json:"bytes"` // of address space
	Zombie   bool   `json:"zombie,omitempty"`
}

// inspect describes one generation.
func inspect(ctx context.Context, env Env, i *flags.Inspect) error {
	st, err := store.Open(env.absolute(i.Dir))
	if err != nil {
		return err
	}
	g, err := launcher.ChooseGeneration(ctx, st, i.Generation, i.Dir)
	if err != nil {
		return &launcher.StatusError{Status: launcher.StatusNoRestart, Err: err}
	}
	record, err := launcher.ReadRecord(st)
	if err != nil {
		return err
	}
	out := inspection{
		Generation: g.Manifest.Generation, Created: g.Manifest.Created, Command: record.Command, Dir: record.Dir,
		Family: record.Family, User: record.User, Files: g.Manifest.Files,
	}
	if out.Facts, err = launcher.ReadFacts(&g.Manifest); err != nil {
		return err
	}
	for _, id := range g.Pods() {
		b, err := g.ReadImage(id, store.KindJSON)
		if err != nil {
			return err
		}
		im, err := image.Decode(b)
		if err != nil {
			return err
		}
		out.Pods = append(out.Pods, inspectPod(im))
	}
	if i.JSON {
		return printJSON(env.Stdout, out)
	}
	printInspection(env, out)
	return nil
}

func inspectPod(im *image.Pod) podInspection {
	p := podInspection{ID: im.ID, HostName: im.HostName, Addresses: im.Addresses, Kernel: im.Kernel}
	for i := range im.Processes {
		q := &im.Processes[i]
		out := processInspection{
			PID: q.PID, PPID: q.PPID, Exe: q.Exe, Threads: len(q.Threads), FDs: len(q.FDs),
			Mappings: len(q.Mappings), Zombie: q.Zombie != nil,
		}
		for _, m := range q.Mappings {
			out.Bytes += m.End - m.Start
		}
		p.Processes = append(p.Processes, out)
	}
	return p
}

func printInspection(env Env, in inspection) {
	f := in.Facts
	env.printf("checkpoint %d of %s\n", in.Generation, in.Created.Local().Format("2006-01-02 15:04:05"))
	env.printf("  %s\n  in %s, by %s, MPI: %s\n", strings.Join(in.Command, " "), in.Dir, in.User, in.Family)
	env.printf("  %d ranks, %d processes, %s of memory, %s changed, %s written; paused %s, durable after %.1f s\n",
		f.Ranks, f.Processes, launcher.Bytes(f.BytesLogical), launcher.Bytes(f.BytesChanged), launcher.Bytes(f.BytesWritten), launcher.Millis(f.PauseMS), float64(f.DurationMS)/1000)
	if f.Input != nil && f.Input.Bytes > 0 {
		env.printf("  %d bytes of standard input\n", f.Input.Bytes)
	}
	for _, p := range in.Pods {
		env.printf("pod %d: %s (%s), Linux %s\n", p.ID, p.HostName, strings.Join(p.Addresses, " "), p.Kernel)
		for _, q := range p.Processes {
			what := filepath.Base(q.Exe)
			if q.Zombie {
				what = "(ended)"
			}
			env.printf("  %6d %-24s %s\n", q.PID, what,
				fmt.Sprintf("%d threads, %d descriptors, %d mappings, %s", q.Threads, q.FDs, q.Mappings, launcher.Bytes(int64(q.Bytes))))
		}
	}
}
