package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gompirun/gompirun/ci/reaper"
)

// homeOnHosts is the directory that all test hosts share, as they know it.
const homeOnHosts = "/home/mpi"

// cluster is a set of test hosts (ci/cluster). A job has half of them; the ones
// next in turn are those that a restart goes to.
type cluster struct {
	script   string
	instance string
	home     string // the shared directory, as this machine knows it
	hosts    int
	turn     int
}

func newCluster(o options) (_ *cluster, err error) {
	c := &cluster{instance: fmt.Sprintf("nas-%d", os.Getpid()), hosts: o.cluster}
	if c.script, err = filepath.Abs("ci/cluster"); err != nil {
		return nil, err
	}
	if _, err := os.Stat(c.script); err != nil {
		return nil, fmt.Errorf("%w; --cluster works in the root of gompirun's own tree", err)
	}
	if _, err := c.cluster("up", strconv.Itoa(c.hosts)); err != nil {
		return nil, err
	}
	facts, err := c.cluster("env")
	for line := range strings.Lines(facts) {
		if home, ok := strings.CutPrefix(strings.TrimSpace(line), "CLUSTER_HOME="); ok {
			c.home = home
		}
	}
	if err == nil {
		err = c.copy(filepath.Join(o.bin, "gompirun"), "gompirun")
	}
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// cluster runs ci/cluster to its end and returns what it said.
func (c *cluster) cluster(args ...string) (string, error) {
	cmd := c.command(args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("ci/cluster %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

func (c *cluster) command(args ...string) *exec.Cmd {
	cmd := exec.Command(c.script, args...)
	cmd.Env = append(os.Environ(), "GOMPIRUN_CLUSTER="+c.instance)
	return cmd
}

// copy puts a program into the directory that the hosts share.
func (c *cluster) copy(from, name string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	to := filepath.Join(c.home, name)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// installed is the path of a program on the hosts. No other cluster has one of
// this name.
func (c *cluster) installed(p program) string {
	return path.Join(homeOnHosts, c.instance, p.family, filepath.Base(p.path))
}

func (c *cluster) install(p program) (string, error) {
	to := c.installed(p)
	return to, c.copy(p.path, strings.TrimPrefix(to, homeOnHosts))
}

// inTurn are the hosts of the job.
func (c *cluster) inTurn() (names []string) {
	n := c.hosts / 2
	for i := range n {
		names = append(names, "h"+strconv.Itoa((c.turn*n+i)%c.hosts+1))
	}
	return names
}

func (c *cluster) gompirun(env []string, args ...string) *exec.Cmd {
	argv := append([]string{"exec", c.inTurn()[0], "env"}, env...)
	argv = append(argv, homeOnHosts+"/gompirun")
	return c.command(append(argv, args...)...)
}

func (c *cluster) place(ranks int) []string {
	hosts := c.inTurn()
	slots := (ranks + len(hosts) - 1) / len(hosts)
	for i := range hosts {
		hosts[i] += ":" + strconv.Itoa(slots)
	}
	return []string{"--host", strings.Join(hosts, ",")}
}

func (c *cluster) where() string { return strings.Join(c.inTurn(), ",") }

func (*cluster) checkpoints() string { return homeOnHosts + "/ck" }

// kill is a power cut. The hosts come back empty, for the turn after the next.
func (c *cluster) kill() error {
	hosts := c.inTurn()
	for _, verb := range []string{"kill", "start"} {
		for _, h := range hosts {
			if _, err := c.cluster(verb, h); err != nil {
				return err
			}
		}
	}
	c.turn++
	return nil
}

func (c *cluster) mpichHangs(p program) bool {
	var ranks []string
	for _, pid := range reaper.Processes() {
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if err == nil && exe == c.installed(p) {
			ranks = append(ranks, strconv.Itoa(pid))
		}
	}
	// It tells by its status, and where the ranks are is told nowhere here.
	return exec.Command(filepath.Join(filepath.Dir(c.script), "mpich-hang"), ranks...).Run() == nil
}

func (c *cluster) forget() error { return os.RemoveAll(filepath.Join(c.home, "ck")) }

func (c *cluster) close() error {
	_, err := c.cluster("down")
	return err
}
