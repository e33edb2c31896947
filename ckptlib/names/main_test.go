package names

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	victimEnv = "NAMES_TEST_VICTIM"
	netnsEnv  = "NAMES_TEST_NETNS"
)

// realAddrs are the addresses of the host that the tests run on.
var realAddrs = []string{"10.89.0.11/24", "10.89.0.12/24", "10.90.0.11/24", "fd89::11/64", "fd89::12/64"}

// TestMain runs the tests in a network namespace of their own, whose loopback
// interface has the addresses of the new hosts; an ordinary user may make one in
// a user namespace.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv(victimEnv) != "":
		victimMain()
	case os.Getenv(netnsEnv) == "":
		os.Exit(inNetwork())
	}
	for _, args := range append([][]string{{"link", "set", "lo", "up"}}, addrArgs()...) {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "ip %v: %v\n%s", args, err, out)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func addrArgs() [][]string {
	var all [][]string
	for _, a := range realAddrs {
		args := []string{"addr", "add", a, "dev", "lo"}
		if a[0] == 'f' {
			args = append(args, "nodad")
		}
		all = append(all, args)
	}
	return all
}

func inNetwork() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), netnsEnv+"=1", "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: unix.SIGKILL}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "tests in a network namespace:", err)
		return 1
	}
	return 0
}
