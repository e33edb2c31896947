package clustertest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Procs returns the processes that live on the host, by the numbers they have on this machine, in no particular
// order. Those in pid namespaces made on the host count, zombies and the host's own init and sshd too. A killed
// host has none.
func (c *Cluster) Procs(host int) []int {
	c.t.Helper()
	var stat unix.Stat_t
	if err := unix.Fstat(int(c.pidNS[host-1].Fd()), &stat); err != nil {
		c.t.Fatalf("reading the number of %s's pid namespace: %v", Name(host), err)
	}
	within := map[uint64]bool{stat.Ino: true}
	paths, err := filepath.Glob("/proc/[0-9]*/ns/pid")
	if err != nil {
		c.t.Fatal(err)
	}
	var pids []int
	for _, path := range paths {
		in, err := inNamespace(path, within)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it ended meanwhile
		}
		if errors.Is(err, fs.ErrPermission) {
			continue // a container's root may be denied the machine's init, but nothing that it started itself
		}
		if err != nil {
			c.t.Fatal(err)
		}
		if in {
			pid, err := strconv.Atoi(strings.Split(path, "/")[2])
			if err != nil {
				c.t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// inNamespace says whether the pid namespace at path is one that within marks true, or a descendant of one. It
// enters the namespaces that it passes on the way up, each with the same answer.
func inNamespace(path string, within map[uint64]bool) (bool, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, &os.PathError{Op: "open", Path: path, Err: err}
	}
	var passed []uint64
	answer := false
	for {
		var stat unix.Stat_t
		if err := unix.Fstat(fd, &stat); err != nil {
			unix.Close(fd)
			return false, &os.PathError{Op: "fstat", Path: path, Err: err}
		}
		passed = append(passed, stat.Ino)
		known, seen := within[stat.Ino]
		if seen {
			answer = known
			break
		}
		// EPERM is the answer at the top: the initial namespace, or the one that this process is in.
		parent, err := unix.IoctlRetInt(fd, unix.NS_GET_PARENT)
		if err == unix.EPERM {
			break
		}
		if err != nil {
			unix.Close(fd)
			return false, fmt.Errorf("asking for the parent of pid namespace %s: %w", path, err)
		}
		unix.Close(fd)
		fd = parent
	}
	unix.Close(fd)
	for _, ino := range passed {
		within[ino] = answer
	}
	return answer, nil
}

// Signal sends sig to a command that was started from Command or RootCommand: to the process on the host, which
// has another number than cmd.Process, its parent on this machine. Precondition: the command has shown that it
// runs, by output for instance; before that the signal could meet the shell that starts it.
func (c *Cluster) Signal(cmd *exec.Cmd, sig syscall.Signal) error {
	pid := cmd.Process.Pid
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return fmt.Errorf("looking for the command on the host below process %d: %w", pid, err)
	}
	children := strings.Fields(string(data))
	if len(children) != 1 {
		return fmt.Errorf("process %d has the children %q, where the command on the host should be the only one", pid, children)
	}
	child, err := strconv.Atoi(children[0])
	if err != nil {
		return fmt.Errorf("reading the children of process %d: %w", pid, err)
	}
	if err := syscall.Kill(child, sig); err != nil {
		return fmt.Errorf("sending %v to process %d: %w", sig, child, err)
	}
	return nil
}

// openNamespace holds the pid namespace of a host that has just been started.
func (c *Cluster) openNamespace(host int) {
	c.t.Helper()
	data, err := os.ReadFile(filepath.Join(c.dir, Name(host), "pid"))
	if err != nil {
		c.t.Fatal(err)
	}
	ns, err := os.Open("/proc/" + strings.TrimSpace(string(data)) + "/ns/pid")
	if err != nil {
		c.t.Fatalf("looking at the init of %s: %v", Name(host), err)
	}
	if old := c.pidNS[host-1]; old != nil {
		old.Close()
	}
	c.pidNS[host-1] = ns
}

func (c *Cluster) closeNamespaces() {
	for _, ns := range c.pidNS {
		if ns != nil {
			ns.Close()
		}
	}
}
