// Package clustertest gives a test hosts to run jobs on: the ones that ci/cluster makes of namespaces on this
// machine, each with its own network, process numbers, shared memory, /tmp and sshd, and one home directory that
// all of them share. They need root; a test that asks for them without it is skipped.
//
//	c := clustertest.Up(t, 2)
//	out, err := c.Command(1, "ssh", "h2", "hostname").Output()
//
// Hosts are numbered from 1, as their names are. A host's /tmp is its own: programs under test go into Home.
package clustertest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
)

// User is the ordinary user that every host has, and that Command runs as.
const User = "mpi"

// HomeOnHosts is the path by which the hosts know the directory that Home names on this machine.
const HomeOnHosts = "/home/" + User

// A Cluster is a set of test hosts. Its methods may be called from several goroutines, each host's Kill and Start
// from one at a time; those that return no error end the test when something is wrong.
type Cluster struct {
	t        testing.TB
	script   string
	dir      string // of the instance, on this machine
	instance string
	pidNS    []*os.File // of host i+1, held open so that its number is not given to another namespace
}

// instances counts the clusters of this test binary.
var instances atomic.Int32

// Up makes the hosts 1 to n, at most 200, which takes some 200 ms and 20 ms more for each, and removes them when
// the test ends. Clusters of test binaries that died before they could do so are removed first. Without root the
// test is skipped.
func Up(t testing.TB, n int) *Cluster {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: test hosts are network namespaces")
	}
	script, err := findScript()
	if err != nil {
		t.Fatal(err)
	}
	if err := sweep(script); err != nil {
		t.Fatal(err)
	}
	instance := fmt.Sprintf("%s%d-%d", instancePrefix, os.Getpid(), instances.Add(1))
	c := &Cluster{t: t, script: script, dir: filepath.Join(baseDir(), instance), instance: instance}
	c.must("up", strconv.Itoa(n))
	t.Cleanup(func() {
		c.closeNamespaces()
		c.must("down")
	})
	c.pidNS = make([]*os.File, n)
	for host := 1; host <= n; host++ {
		c.openNamespace(host)
	}
	return c
}

// Command is a command for the host, run as User in his home directory with the environment of a login, not with
// this process's. Where there is no such program it exits with 127, where the host is not running with 125.
// Killing its process ends the command on the host, but not what the command left in the background;
// any other signal goes to it by Signal.
func (c *Cluster) Command(host int, args ...string) *exec.Cmd {
	return c.command(append([]string{"exec", Name(host)}, args...)...)
}

// RootCommand is Command as root.
func (c *Cluster) RootCommand(host int, args ...string) *exec.Cmd {
	return c.command(append([]string{"exec", "--root", Name(host)}, args...)...)
}

// Kill cuts the host off its network and then ends all its processes, and returns when the last is gone. The other
// hosts hear nothing of it: no connection is closed, they only fall silent.
func (c *Cluster) Kill(host int) {
	c.t.Helper()
	c.must("kill", Name(host))
}

// Start boots a killed host: same name, address and host key, the shared home, all else empty.
func (c *Cluster) Start(host int) {
	c.t.Helper()
	c.must("start", Name(host))
	c.openNamespace(host)
}

// Name is the host's name, h1 for host 1.
func Name(host int) string { return "h" + strconv.Itoa(host) }

// Addr is the host's IPv4 address. Clusters that are up at the same time use the same ones without meeting.
func (c *Cluster) Addr(host int) string { return "10.88.0." + strconv.Itoa(host) }

// Home is the hosts' shared home directory as a path on this machine. It is on a disk.
func (c *Cluster) Home() string { return filepath.Join(c.dir, "home") }

// command is ci/cluster with args, for this instance.
func (c *Cluster) command(args ...string) *exec.Cmd {
	return scriptCommand(c.script, c.instance, args...)
}

func (c *Cluster) must(args ...string) {
	c.t.Helper()
	if err := run(c.command(args...)); err != nil {
		c.t.Fatal(err)
	}
}

func scriptCommand(script, instance string, args ...string) *exec.Cmd {
	cmd := exec.Command(script, args...)
	cmd.Env = append(os.Environ(), "GOMPIRUN_CLUSTER="+instance)
	return cmd
}

// run runs cmd, and returns what it said in the error.
func run(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("running %q: %w: %s", cmd.Args, err, bytes.TrimSpace(out))
	}
	return nil
}

// findScript looks for ci/cluster upwards from the working directory, which in a test is the package's own.
func findScript() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("looking for ci/cluster: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		script := filepath.Join(dir, "ci", "cluster")
		if info, err := os.Stat(script); err == nil && info.Mode().IsRegular() {
			return script, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("looking for ci/cluster: not in %s nor above it; run the test inside the module", start)
		}
	}
}

// baseDir is where ci/cluster keeps its instances.
func baseDir() string {
	if dir := os.Getenv("GOMPIRUN_CLUSTER_DIR"); dir != "" {
		return dir
	}
	return "/var/lib/gompirun-cluster"
}
