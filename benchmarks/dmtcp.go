package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// dmtcp saves and restores jobs by a library that it preloads into every
// process.
type dmtcp struct {
	options []string // for its launches
}

func (dmtcp) missing(*job) string {
	return notOnPath("dmtcp_coordinator", "dmtcp_launch", "dmtcp_command", "dmtcp_restart")
}

func (dmtcp) version(ctx context.Context) string {
	out, err := foreground(ctx, "dmtcp_launch", "--version")
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(out), "\n")
	if f := strings.Fields(first); len(f) > 0 {
		return f[len(f)-1]
	}
	return ""
}

// mpiEnv is what DMTCP needs so as not to crash at the start of Debian's MPIs:
// it does not follow UCX's hooks in memory calls nor hwloc's shared topology.
var mpiEnv = []string{
	"UCX_MEM_EVENTS=n", "UCX_TLS=posix,cma,tcp,self", "HWLOC_COMPONENTS=x86,stop",
	"OMPI_MCA_pml=ob1", "OMPI_MCA_btl=tcp,self",
}

func (d dmtcp) start(ctx context.Context, j *job) (session, error) {
	s := &dmtcpJob{j: j, images: filepath.Join(j.dir, "ckpt"), env: j.env}
	if j.ranks > 0 {
		s.env = append(append([]string(nil), j.env...), mpiEnv...)
	}
	if err := os.Mkdir(s.images, 0o700); err != nil {
		return nil, err
	}
	if err := s.coordinate(ctx); err != nil {
		return nil, err
	}
	argv := append(s.at("dmtcp_launch"), "--ckptdir", s.images, "-q", "-q")
	argv = append(argv, d.options...)
	var err error
	s.cmd, err = background(j.out, s.env, append(argv, j.mpirun()...)...)
	return s, err
}

type dmtcpJob struct {
	j      *job
	images string
	env    []string
	port   string
	cmd    *exec.Cmd
}

// at is a command with the address of the coordinator.
func (s *dmtcpJob) at(name string) []string { return []string{name, "-h", "127.0.0.1", "-p", s.port} }

// coordinate starts a coordinator on a free port and waits until it answers.
func (s *dmtcpJob) coordinate(ctx context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	_, s.port, _ = net.SplitHostPort(l.Addr().String())
	if err := l.Close(); err != nil {
		return err
	}
	if _, err := background(filepath.Join(s.j.dir, "coordinator"), nil, "dmtcp_coordinator", "--ckptdir", s.j.dir, "-p", s.port, "-q", "-q"); err != nil {
		return err
	}
	for end := time.Now().Add(stepTime); ; time.Sleep(10 * time.Millisecond) {
		_, err := foreground(ctx, append(s.at("dmtcp_command"), "-s")...)
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

func (s *dmtcpJob) checkpoint(ctx context.Context, _ bool) (saved, error) {
	if _, err := foreground(ctx, append(s.at("dmtcp_command"), "-bc")...); err != nil {
		return saved{}, err
	}
	done := time.Now()
	bytes, err := diskUse(s.images)
	return saved{bytes: bytes, dir: s.images, done: done}, err
}

func (s *dmtcpJob) restart(ctx context.Context) (began time.Time, err error) {
	images, err := filepath.Glob(filepath.Join(s.images, "*.dmtcp"))
	if err != nil || len(images) == 0 {
		return began, fmt.Errorf("no images in %s: %w", s.images, err)
	}
	if err := s.coordinate(ctx); err != nil {
		return began, err
	}
	// A coordinator that has to be started is no part of the restart.
	began = time.Now()
	argv := append(s.at("dmtcp_restart"), "--ckptdir", s.images, "-q", "-q")
	s.cmd, err = background(s.j.out, s.env, append(argv, images...)...)
	return began, err
}

func (s *dmtcpJob) wait(ctx context.Context) error { return wait(ctx, s.cmd, runTime) }
