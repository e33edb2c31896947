package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// gompirun is the launcher, with options for its runs.
type gompirun struct {
	path           string
	options        []string
	restartOptions []string
}

func (g gompirun) missing(*job) string { return notOnPath(g.path) }

func (g gompirun) version(ctx context.Context) string {
	out, err := foreground(ctx, g.path, "--version")
	if f := strings.Fields(string(out)); err == nil && len(f) > 1 {
		return f[1]
	}
	return ""
}

func (g gompirun) start(_ context.Context, j *job) (session, error) {
	dir := filepath.Join(j.dir, "ckpt")
	argv := append([]string{g.path, "--ckpt-dir", dir}, g.options...)
	if j.every > 0 {
		argv = append(argv, "--ckpt-interval", j.every.String())
	}
	if j.ranks == 0 {
		argv = append(argv, "--mpi", "none")
	} else {
		argv = append(argv, "--mpi", j.mpi, "-np", fmt.Sprint(j.ranks), "--oversubscribe")
	}
	cmd, err := background(j.out, j.env, append(argv, j.argv...)...)
	return &gompirunJob{g: g, j: j, dir: dir, cmd: cmd}, err
}

type gompirunJob struct {
	g   gompirun
	j   *job
	dir string
	cmd *exec.Cmd
}

// generation is the part of `ls --json` that is of interest here.
type generation struct {
	BytesChanged int64   `json:"bytes_changed"`
	BytesWritten int64   `json:"bytes_written"`
	PauseMS      float64 `json:"pause_ms"`
	Complete     bool    `json:"complete"`
}

func (s *gompirunJob) checkpoint(ctx context.Context, _ bool) (saved, error) {
	if _, err := foreground(ctx, s.g.path, "checkpoint", s.dir); err != nil {
		return saved{}, err
	}
	done := time.Now()
	out, err := foreground(ctx, s.g.path, "ls", "--json", s.dir)
	if err != nil {
		return saved{}, err
	}
	var list []generation
	if err := json.Unmarshal(out, &list); err != nil {
		return saved{}, fmt.Errorf("gompirun ls --json: %w", err)
	}
	if len(list) == 0 || !list[len(list)-1].Complete {
		return saved{}, errors.New("gompirun checkpoint left no complete generation")
	}
	last := list[len(list)-1]
	memory, err := s.agentMemory()
	if err != nil {
		return saved{}, err
	}
	return saved{bytes: last.BytesWritten, changed: last.BytesChanged, memory: memory, reported: time.Duration(last.PauseMS * float64(time.Millisecond)), done: done}, nil
}

// agentMemory is the largest resident set that an agent has had, in bytes.
func (s *gompirunJob) agentMemory() (most int64, err error) {
	for _, pid := range programs(s.g.path) {
		dir := fmt.Sprintf("/proc/%d/", pid)
		args, err := os.ReadFile(dir + "cmdline")
		if err != nil || !bytes.Contains(args, []byte("\x00agent\x00")) {
			continue
		}
		status, err := os.ReadFile(dir + "status")
		if err != nil {
			continue // it has ended
		}
		if _, line, ok := bytes.Cut(status, []byte("\nVmHWM:")); ok {
			var kib int64
			if _, err := fmt.Sscan(string(line), &kib); err != nil {
				return 0, fmt.Errorf("%sstatus: %w", dir, err)
			}
			most = max(most, kib<<10)
		}
	}
	return most, nil
}

func (s *gompirunJob) restart(context.Context) (began time.Time, err error) {
	began = time.Now()
	argv := append([]string{s.g.path, "restart"}, s.g.restartOptions...)
	s.cmd, err = background(s.j.out, s.j.env, append(argv, s.dir)...)
	return began, err
}

func (s *gompirunJob) wait(ctx context.Context) error { return wait(ctx, s.cmd, runTime) }
