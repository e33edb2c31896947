package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// criu saves and restores process trees of one host, as root.
type criu struct{}

func (criu) missing(j *job) string {
	switch {
	case os.Geteuid() != 0:
		return "needs root"
	case j.ranks > 0:
		return "single process only"
	}
	return notOnPath("criu")
}

func (criu) version(ctx context.Context) string {
	out, err := foreground(ctx, "criu", "--version")
	if f := strings.Fields(string(out)); err == nil && len(f) > 1 {
		return f[1]
	}
	return ""
}

func (criu) start(_ context.Context, j *job) (session, error) {
	cmd, err := background(j.out, j.env, j.argv...)
	return &criuJob{plain: plain{cmd}, j: j}, err
}

type criuJob struct {
	plain
	j     *job
	count int
}

func (s *criuJob) images() string { return filepath.Join(s.j.dir, fmt.Sprint(s.count)) }

func (s *criuJob) checkpoint(ctx context.Context, last bool) (saved, error) {
	s.count++
	dir := s.images()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return saved{}, err
	}
	argv := []string{"criu", "dump", "-t", fmt.Sprint(s.cmd.Process.Pid), "--shell-job", "-D", dir, "-o", "dump.log"}
	// Restore insists on files of the size that they had: the process must not
	// write on after the last dump.
	if !last {
		argv = append(argv, "--leave-running")
	}
	if _, err := foreground(ctx, argv...); err != nil {
		return saved{}, fmt.Errorf("%w: %s", err, logged(filepath.Join(dir, "dump.log")))
	}
	done := time.Now()
	bytes, err := diskUse(dir)
	return saved{bytes: bytes, dir: dir, done: done}, err
}

func (s *criuJob) restart(ctx context.Context) (time.Time, error) {
	began := time.Now()
	dir := s.images()
	// Detached, criu ends when the process runs; that is no part of the time
	// measured, which ends with the process's first sign of life.
	_, err := foreground(ctx, "criu", "restore", "--shell-job", "-d", "-D", dir, "-o", "restore.log")
	if err != nil {
		return began, fmt.Errorf("%w: %s", err, logged(filepath.Join(dir, "restore.log")))
	}
	return began, nil
}

// logged is the last error of a log file.
func logged(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	text := "no error in its log"
	for l := range strings.Lines(string(b)) {
		if strings.Contains(l, "Error") {
			text = strings.TrimSpace(l)
		}
	}
	return text
}
