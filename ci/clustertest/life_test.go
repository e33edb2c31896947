package clustertest

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestKillLeavesNoProcess(t *testing.T) {
	c := Up(t, 2)
	// One in a pod of the user's, one that a daemon would be, one below sshd.
	start(t, c.Command(2, "unshare", "-Urmpf", "--mount-proc", "sh", "-c", "echo up; exec cat"))
	start(t, c.Command(2, "sh", "-c", "setsid -f sh -c 'echo up; exec tail -f /dev/null'"))
	start(t, c.Command(1, "ssh", "h2", "echo up; exec cat"))
	pids := c.Procs(2)
	if got := programs(t, pids); !slices.Contains(got, "unshare") || !slices.Contains(got, "tail") || !slices.Contains(got, "sshd") || count(got, "cat") != 2 {
		t.Fatalf("Procs(2) are %q, want unshare, tail, sshd and two cats among them", got)
	}

	c.Kill(2)

	if got := c.Procs(2); len(got) != 0 {
		t.Errorf("Procs(2) after Kill(2) = %v, want none", got)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
			t.Errorf("process %d lived on the host and is still there: kill(%d, 0) = %v, want %v", pid, pid, err, syscall.ESRCH)
		}
	}
	if len(c.Procs(1)) == 0 {
		t.Errorf("Kill(2) ended h1, too")
	}
}

func TestKilledHostFallsSilent(t *testing.T) {
	c := Up(t, 2)
	start(t, c.Command(1, "ssh", "h2", "echo up; exec cat"))
	c.Kill(2)
	// The peer's address and port in the order of /proc/net/tcp, then the state: 01 is ESTABLISHED. A closed
	// connection would be in CLOSE_WAIT or gone by now, for packets between namespaces are delivered at once.
	table := output(t, c.Command(1, "cat", "/proc/net/tcp"))
	if !strings.Contains(table, "0200580A:0016 01") {
		t.Errorf("h1 has no established connection to port 22 of the killed h2 any more; its table:\n%s", table)
	}
	if err := c.Command(1, "ssh", "-o", "ConnectTimeout=1", "h2", "true").Run(); err == nil {
		t.Error("ssh h2 succeeds after Kill(2)")
	}
}

func TestStartedHostIsTheSameAndEmpty(t *testing.T) {
	c := Up(t, 2)
	if err := run(c.RootCommand(2, "touch", "/tmp/x", "/dev/shm/x", "/etc/x")); err != nil {
		t.Fatal(err)
	}
	c.Kill(2)
	c.Start(2)
	if got, want := output(t, c.Command(1, "ssh", "-o", "BatchMode=yes", "h2", "hostname")), "h2"; got != want {
		t.Errorf("ssh h2 hostname = %q after Kill(2) and Start(2), want %q", got, want)
	}
	for _, path := range []string{"/tmp/x", "/dev/shm/x", "/etc/x"} {
		if err := c.RootCommand(2, "test", "-e", path).Run(); err == nil {
			t.Errorf("%s outlived the host", path)
		}
	}
	if got := programs(t, c.Procs(2)); !slices.Contains(got, "sshd") {
		t.Errorf("Procs(2) after Start(2) are %q, want sshd among them", got)
	}
}

func TestSignalReachesTheCommandOnTheHost(t *testing.T) {
	c := Up(t, 1)
	cmd := c.Command(1, "sh", "-c", "trap 'exit 42' USR1; echo up; while :; do read -r _; done")
	start(t, cmd)
	if err := c.Signal(cmd, syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 42 {
		t.Errorf("the command ended with %v, want exit status 42", err)
	}
}

func TestSSHDThatWasEndedComesBack(t *testing.T) {
	c := Up(t, 1)
	if err := run(c.RootCommand(1, "sh", "-c", "old=$(cat /run/sshd.pid); kill $old; while kill -0 $old; do :; done")); err != nil {
		t.Fatal(err)
	}
	if err := run(c.Command(1, "timeout", "20", "sh", "-c", "until ssh -o BatchMode=yes h1 true; do :; done")); err != nil {
		t.Error(err)
	}
}

func TestDownLeavesNothing(t *testing.T) {
	links := machine(t)["links"]
	var dir string
	var pids []int
	t.Run("up", func(t *testing.T) {
		c := Up(t, 2)
		start(t, c.Command(2, "unshare", "-Urmpf", "--mount-proc", "sh", "-c", "echo up; exec cat"))
		c.Kill(1)
		dir = c.dir
		pids = c.Procs(2)
	})
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat of the instance's directory gives %v, want %v", err, fs.ErrNotExist)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
			t.Errorf("process %d outlived its cluster", pid)
		}
	}
	after := machine(t)
	for _, kind := range []string{"mounts", "processes"} {
		for _, line := range after[kind] {
			if strings.Contains(line, dir) {
				t.Errorf("of the cluster this is left among the machine's %s: %s", kind, line)
			}
		}
	}
	if got, want := after["links"], links; !slices.Equal(got, want) {
		t.Errorf("the machine's network links are %q, want %q as before", got, want)
	}
}

func TestClusterOfADeadTestIsSwept(t *testing.T) {
	c := Up(t, 1)
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	base, err := lockBase() // or a test of another package sweeps it while it comes up
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	instance := instancePrefix + strconv.Itoa(dead.Process.Pid) + "-1"
	if err := run(scriptCommand(c.script, instance, "up", "1")); err != nil {
		t.Fatal(err)
	}
	if err := sweepLocked(c.script, base); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(baseDir(), instance)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the cluster of ended process %d is still there: stat gives %v", dead.Process.Pid, err)
	}
	if err := run(c.Command(1, "true")); err != nil {
		t.Errorf("the cluster of a living test was swept, too: %v", err)
	}
}

// start starts cmd, which must print "up" first and may read its input for as long as the test runs.
func start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill() // it may have ended by itself
			_ = cmd.Wait()         // with whatever the test left it
		}
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "up\n" {
		t.Fatalf("%q prints %q (%v), want up", cmd.Args, line, err)
	}
}

// programs are the names of the programs that the processes run.
func programs(t *testing.T, pids []int) []string {
	t.Helper()
	var names []string
	for _, pid := range pids {
		comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, strings.TrimSpace(string(comm)))
	}
	return names
}

func count(names []string, name string) int {
	n := 0
	for _, s := range names {
		if s == name {
			n++
		}
	}
	return n
}

// machine is what a cluster could leave behind on this machine, by kind.
func machine(t *testing.T) map[string][]string {
	t.Helper()
	seen := map[string][]string{}
	links, err := os.ReadDir("/sys/class/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		seen["links"] = append(seen["links"], link.Name())
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	seen["mounts"] = strings.Split(string(mounts), "\n")
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range commands {
		if line, err := os.ReadFile(path); err == nil { // else it has ended
			seen["processes"] = append(seen["processes"], strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return seen
}
