package mpi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// shimName is the name under which the test binary acts as the shim.
const shimName = "mpi-test-shim"

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == shimName {
		os.Exit(beShim())
	}
	os.Exit(m.Run())
}

// A request is what the shim passes on.
type request struct {
	From string
	Args []string
}

// beShim hands its arguments over the socket beside its own file and exits as
// soon as they have been taken.
func beShim() int {
	from, err := os.Hostname()
	if err != nil {
		return 1
	}
	c, err := net.Dial("unix", filepath.Join(filepath.Dir(os.Args[0]), "shim.sock"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer c.Close()
	if json.NewEncoder(c).Encode(request{from, os.Args[1:]}) != nil {
		return 1
	}
	if answer, err := io.ReadAll(c); err != nil || string(answer) != "started" {
		return 1
	}
	return 0
}

// A cluster is an instance of ci/cluster with a server for the shim.
type cluster struct {
	script string
	env    []string
	home   string // outside
	inside string // the same directory on the hosts

	mu       sync.Mutex
	plan     Plan
	aliases  map[string]string
	requests []request
	daemons  sync.WaitGroup
}

// startCluster makes n test hosts, which takes root. Instances have names of
// their own, so that others may be up.
func startCluster(t *testing.T, n int) *cluster {
	t.Helper()
	script, err := filepath.Abs("../../ci/cluster")
	if err != nil {
		t.Fatal(err)
	}
	switch _, err := os.Stat(script); {
	case testing.Short():
		t.Skip("test hosts are not made under -short")
	case os.Geteuid() != 0:
		t.Skip("test hosts are namespaces: run as root")
	case err != nil:
		t.Fatal(err)
	}
	c := &cluster{script: script, env: append(os.Environ(), fmt.Sprintf("GOMPIRUN_CLUSTER=mpitest%d", os.Getpid()))}
	if out, err := c.run("up", fmt.Sprint(n)); err != nil {
		t.Fatalf("ci/cluster up: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := c.run("down"); err != nil {
			t.Errorf("ci/cluster down: %v\n%s", err, out)
		}
		c.daemons.Wait()
	})
	facts, err := c.run("env")
	if err != nil {
		t.Fatalf("ci/cluster env: %v\n%s", err, facts)
	}
	for _, line := range strings.Split(facts, "\n") {
		k, v, _ := strings.Cut(line, "=")
		switch k {
		case "CLUSTER_HOME":
			c.home = v
		case "CLUSTER_HOME_ON_HOSTS":
			c.inside = v
		}
	}
	for i := 1; i <= n; i++ {
		c.alias(fmt.Sprintf("10.88.0.%d", i), fmt.Sprintf("h%d", i))
	}
	c.serve(t)
	return c
}

func (c *cluster) run(args ...string) (string, error) {
	cmd := exec.Command(c.script, args...)
	cmd.Env = c.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// serve installs the shim in the hosts' home and answers it.
func (c *cluster) serve(t *testing.T) {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.home, shimName), self, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(c.home, "shim.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := os.Chmod(path, 0o777); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if err := c.answer(conn); err != nil {
				t.Errorf("serving the shim: %v", err)
			}
			conn.Close()
		}
	}()
}

// answer starts the daemon asked for in its own session, its input empty.
func (c *cluster) answer(conn net.Conn) error {
	var r request
	if err := json.NewDecoder(bufio.NewReader(conn)).Decode(&r); err != nil {
		return err
	}
	host, command, err := ParseShim(r.Args)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.requests = append(c.requests, r)
	if real, ok := c.aliases[host]; ok {
		host = real
	}
	cmd := c.command(context.Background(), host, append(append([]string{"env", "-i"}, c.plan.Env...), "/bin/sh", "-c", command))
	c.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return err
	}
	c.daemons.Add(1)
	go func() {
		defer c.daemons.Done()
		// A daemon's status is the native launcher's business.
		_ = cmd.Wait()
	}()
	_, err = conn.Write([]byte("started"))
	return err
}

// alias lets the shim know a host by another name.
func (c *cluster) alias(name, host string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.aliases == nil {
		c.aliases = make(map[string]string)
	}
	c.aliases[name] = host
}

func (c *cluster) command(ctx context.Context, host string, argv []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.script, append([]string{"exec", host}, argv...)...)
	cmd.Env = c.env
	return cmd
}

// launch runs a plan on a host and returns its output, its status and what the
// shim was asked meanwhile.
func (c *cluster) launch(t *testing.T, host string, p Plan) (string, int, []request) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	c.mu.Lock()
	c.plan, c.requests = p, nil
	c.mu.Unlock()
	cmd := c.command(ctx, host, append(append([]string{"env", "-i"}, p.Env...), p.Argv...))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatalf("%q: %v", p.Argv, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return out.String(), cmd.ProcessState.ExitCode(), c.requests
}

// compile builds testdata/ring.c with a family's compiler into a directory
// and returns the program's path.
func compile(t *testing.T, compiler, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "ring."+strings.TrimPrefix(compiler, "mpicc."))
	if out, err := exec.Command(compiler, "-I../../ci/include", "-o", path, "testdata/ring.c").CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", compiler, err, out)
	}
	return path
}
