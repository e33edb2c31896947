package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ci/reaper"
)

// A site is where jobs run, one at a time.
type site interface {
	// install puts a program where the hosts see it, and returns its path there.
	install(p program) (string, error)
	// gompirun is a command on the host where the job is started.
	gompirun(env []string, args ...string) *exec.Cmd
	// place is the options that spread the ranks over the job's hosts.
	place(ranks int) []string
	// where names the job's hosts.
	where() string
	// checkpoints is the directory for them. It does not exist when a job begins.
	checkpoints() string
	// kill ends everything of the job at once, and chooses other hosts where
	// there are any.
	kill() error
	// mpichHangs tells whether a program that does not end hangs in MPI_Finalize as
	// MPICH does over several hosts without gompirun.
	mpichHangs(p program) bool
	// forget removes the checkpoints.
	forget() error
	close() error
}

func newSite(o options) (site, error) {
	if o.cluster > 0 {
		return newCluster(o)
	}
	gompirun, err := filepath.Abs(filepath.Join(o.bin, "gompirun"))
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(gompirun); err != nil {
		return nil, fmt.Errorf("%w; make build builds it, --bin says where it is", err)
	}
	dir, err := os.MkdirTemp(o.dir, "gompirun-nas-")
	return &local{path: gompirun, dir: dir}, err
}

// local is this host, without SSH.
type local struct {
	path string // of gompirun
	dir  string
}

func (*local) install(p program) (string, error) { return filepath.Abs(p.path) }

func (l *local) gompirun(env []string, args ...string) *exec.Cmd {
	cmd := exec.Command(l.path, args...)
	cmd.Dir = l.dir
	cmd.Env = append(os.Environ(), env...)
	if os.Geteuid() == 0 {
		cmd.Env = append(cmd.Env, "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1")
	}
	// An interrupt is for this process, which ends the job then.
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	return cmd
}

func (*local) place(int) []string { return []string{"--oversubscribe"} }

func (*local) where() string { return "this host" }

func (l *local) checkpoints() string { return filepath.Join(l.dir, "ck") }

// kill relies on nothing but the jobs being below this process.
func (*local) kill() error {
	reaper.EndAll()
	return nil
}

func (*local) mpichHangs(program) bool { return false }

func (l *local) forget() error { return os.RemoveAll(l.checkpoints()) }

func (l *local) close() error {
	reaper.EndAll()
	return os.RemoveAll(l.dir)
}
