package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib"
	"github.com/gompirun/gompirun/ckptlib/fuse"
	"github.com/gompirun/gompirun/ckptlib/mem"
	"github.com/gompirun/gompirun/ckptlib/probe"
	"github.com/gompirun/gompirun/launcher/rpc"
)

// probe tells what this host can do.
func (a *agent) probe(context.Context, nothing) ([]rpc.Finding, error) { return Probe(), nil }

// Probe tries what a job with checkpoints needs of this host. A pod is made, a
// program stopped in it, and both are removed again.
func Probe() []rpc.Finding {
	findings := []rpc.Finding{
		{Name: "kernel", OK: kernelAtLeast(5, 14), Needed: true, Detail: probe.KernelRelease() + " (5.14 or newer is needed)"},
	}
	add := func(name string, needed bool, err error, detail string) {
		f := rpc.Finding{Name: name, OK: err == nil, Needed: needed, Detail: detail}
		if err != nil {
			f.Detail = err.Error()
		}
		findings = append(findings, f)
	}
	p, err := ckptlib.Launch(ckptlib.Config{HostName: "doctor"})
	add("user namespaces", true, err, "a pod was made")
	if err == nil {
		add("ptrace and pidfd_getfd", true, suspendOnce(p), "a program was started and stopped")
		p.Kill()
	}
	add("seccomp notification", true, haveNotification(), "restarts on other hosts are possible")
	add("time namespaces", true, exists("/proc/self/ns/time"), "clocks go on after a restart")
	add("page tracking", false, mem.Probe(), "a checkpoint reads what has changed since the last one")
	add("lazy restarts", false, fuse.Probe(), "a restarted job runs before its memory is read, with --lazy")
	add("PAGEMAP_SCAN", false, havePagemapScan(), "")
	add("yama", false, yama(), "")
	return findings
}

// suspendOnce starts a program in the pod, stops it as a checkpoint does and
// lets it go.
func suspendOnce(p *ckptlib.Pod) error {
	s, err := newProgram("doctor", false)
	if err != nil {
		return err
	}
	defer s.close()
	_, err = p.Spawn(ckptlib.Command{
		Stream: "doctor", Path: "/bin/sleep", Args: []string{"sleep", "60"}, Dir: "/",
		Stdin: s.pod[0], Stdout: s.pod[1], Stderr: s.pod[2],
	})
	if err != nil {
		return err
	}
	c, err := p.Suspend()
	if err != nil {
		return err
	}
	_, err = c.Ends()
	return errors.Join(err, c.Abort())
}

func kernelAtLeast(major, minor int) bool {
	var a, b int
	if _, err := fmt.Sscanf(probe.KernelRelease(), "%d.%d", &a, &b); err != nil {
		return false
	}
	return a > major || a == major && b >= minor
}

// haveNotification asks for the action of filters that pass calls on.
func haveNotification() error {
	action := uint32(unix.SECCOMP_RET_USER_NOTIF)
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	if errno != 0 {
		return fmt.Errorf("seccomp user notification: %w; it needs CONFIG_SECCOMP_FILTER", errno)
	}
	return nil
}

func exists(path string) error {
	_, err := os.Stat(path)
	return err
}

// pagemapScan is PAGEMAP_SCAN, _IOWR('f', 16, struct pm_scan_arg) of 96 bytes.
const pagemapScan = 0xc0606610

// havePagemapScan asks about no memory at all, which the call allows.
func havePagemapScan() error {
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return err
	}
	defer f.Close()
	arg := [12]uint64{0: 96} // the size; start and end are 0
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), pagemapScan, uintptr(unsafe.Pointer(&arg))); errno != 0 {
		return fmt.Errorf("%w; Linux 6.7 has it, older kernels are asked page by page", errno)
	}
	return nil
}

// yama reads the restriction of ptrace. Level 1 allows what is needed: the pod is
// a child of its agent.
func yama() error {
	b, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope")
	if err != nil {
		return nil // the kernel has no such restriction
	}
	if level := strings.TrimSpace(string(b)); level != "0" && level != "1" {
		return fmt.Errorf("kernel.yama.ptrace_scope is %s; checkpoints need 0 or 1", level)
	}
	return nil
}
