package pod

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/fuse"
	"github.com/gompirun/gompirun/ckptlib/names"
)

// initName is the argument vector's first word of the process that becomes a
// pod's init.
const initName = "gompirun-pod-init"

// setupEnv carries the setup to that process.
const setupEnv = "GOMPIRUN_POD_SETUP"

// setup is what the process that becomes the init has to do before.
type setup struct {
	HostName string
	LastPID  int
	// Filter asks for the filter by which calls that name an address come to the
	// agent: only in pods that have moved.
	Filter bool
	// Clock, if not nil, are the offsets in nanoseconds of the pod's
	// CLOCK_MONOTONIC and CLOCK_BOOTTIME from the host's.
	Clock *[2]int64
	// Lazy asks for a file system that the agent serves.
	Lazy bool
}

// report is the setup's only message, sent just before the stub takes over. The
// descriptors of the filter's listener and of the lazy file system, its device and
// its root directory, come with it.
type report struct {
	Error string
	// NotLazy is why there is no lazy file system.
	NotLazy string
}

// init keeps the main goroutine on the process's first thread, where the
// runtime runs initialization: unshare(2) and seccomp(2) are of one thread, and
// /proc has a time namespace's offsets for the first only.
func init() {
	if len(os.Args) > 0 && os.Args[0] == initName {
		runtime.LockOSThread()
	}
}

// MaybeInit becomes the init of a pod if this process was started to be one,
// and then does not return. Every program that calls Start calls MaybeInit first
// of all, before it starts goroutines or reads its arguments; tests do so in
// TestMain.
func MaybeInit() {
	if len(os.Args) == 0 || os.Args[0] != initName {
		return
	}
	unix.CloseOnExec(execFD)
	err := becomeInit()
	b, _ := json.Marshal(report{Error: err.Error()})         // a string always encodes
	_ = unix.Sendmsg(HandFD, b, nil, nil, unix.MSG_NOSIGNAL) // if the agent has gone nobody is left to tell
	syscall.Exit(1)
}

func becomeInit() error {
	var s setup
	if err := json.Unmarshal([]byte(os.Getenv(setupEnv)), &s); err != nil {
		return fmt.Errorf("read the pod's setup: %w", err)
	}
	if err := mounts(); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(s.HostName)); err != nil {
		return fmt.Errorf("set the pod's host name to %q: %w", s.HostName, err)
	}
	if s.Clock != nil {
		if err := shiftClocks(s.Clock[0], s.Clock[1]); err != nil {
			return err
		}
	}
	if s.LastPID > 0 {
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(s.LastPID)), 0); err != nil { //nolint:forbidigo // a sysctl, not a file
			return fmt.Errorf("set the pod's last pid: %w", err)
		}
	}
	stub, err := stubFile()
	if err != nil {
		return err
	}
	var r report
	var lazy []int
	if s.Lazy {
		if device, root, err := fuse.Mount(); err != nil {
			r.NotLazy = err.Error()
		} else {
			lazy = []int{device, root}
		}
	}
	var rights []int
	if s.Filter {
		l, err := names.Install(len(lazy) > 0)
		if err != nil {
			return fmt.Errorf("install the address filter: %w", err)
		}
		unix.CloseOnExec(l)
		rights = append(rights, l)
	}
	rights = append(rights, lazy...)
	// The Go runtime's threads share one. A process that has none has it in common
	// with the init, for kcmp(2), and only so is told from those that share one.
	if err := unix.Unshare(unix.CLONE_SYSVSEM); err != nil {
		return fmt.Errorf("give up the list of SEM_UNDO: unshare: %w", err)
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := unix.Sendmsg(HandFD, b, unix.UnixRights(rights...), nil, unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("report to the agent: %w", err)
	}
	return syscall.Exec("/proc/self/fd/"+strconv.Itoa(stub), []string{"gompirun-pod"}, nil)
}

// mounts gives the pod its own /proc, /dev/pts and /dev/shm.
func mounts() error {
	// Slave, not private: what the host mounts later (automounted homes) appears
	// in the pod as well, and nothing of the pod's in the host.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return mountError("/", err)
	}
	for _, m := range []struct{ fs, dir, data string }{
		{"proc", "/proc", ""},
		{"devpts", "/dev/pts", "newinstance,ptmxmode=0666,mode=0620"},
		{"tmpfs", ShmDir, "mode=1777"},
	} {
		if err := unix.Mount(m.fs, m.dir, m.fs, unix.MS_NOSUID|unix.MS_NODEV*b2i(m.fs == "tmpfs"), m.data); err != nil {
			return mountError(m.fs+" on "+m.dir, err)
		}
	}
	// The POSIX message queues of the pod's ipc namespace; a host without the
	// directory has no use for them.
	if err := unix.Mount("mqueue", "/dev/mqueue", "mqueue", unix.MS_NOSUID, ""); err != nil && !errors.Is(err, unix.ENOENT) {
		return mountError("mqueue on /dev/mqueue", err)
	}
	if l, err := os.Readlink("/dev/ptmx"); err != nil || filepath.Clean("/dev/"+l) != "/dev/pts/ptmx" {
		if err := unix.Mount("/dev/pts/ptmx", "/dev/ptmx", "", unix.MS_BIND, ""); err != nil {
			return mountError("/dev/ptmx", err)
		}
	}
	if err := os.Mkdir(Dir, 0o700); err != nil {
		return err
	}
	return os.Mkdir(TmpDir, 0o700)
}

func b2i(b bool) uintptr {
	if b {
		return 1
	}
	return 0
}

func mountError(what string, err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return fmt.Errorf("mount %s in the pod: %w\n  this host restricts user namespaces: "+
			"see kernel.apparmor_restrict_unprivileged_userns (set it to 0), or, in a container, "+
			"parts of /proc that are mounted over (start it with unmasked paths)", what, err)
	}
	return fmt.Errorf("mount %s in the pod: %w", what, err)
}

// shiftClocks makes a time namespace for the children of this process. The
// offsets must be written before the first of them is born
// (time_namespaces(7), Linux 5.6).
func shiftClocks(monotonic, boottime int64) error {
	if err := unix.Unshare(unix.CLONE_NEWTIME); err != nil {
		return fmt.Errorf("make a time namespace (Linux 5.6 has them, CONFIG_TIME_NS): %w", err)
	}
	const s = 1e9
	// Nanoseconds must be 0 to 999,999,999: round the seconds down.
	floor := func(n int64) (sec, nsec int64) {
		sec, nsec = n/s, n%s
		if nsec < 0 {
			sec, nsec = sec-1, nsec+s
		}
		return sec, nsec
	}
	ms, mn := floor(monotonic)
	bs, bn := floor(boottime)
	// There is no such file for a thread: the one that made the namespace must be
	// the first, which init sees to.
	b := fmt.Sprintf("monotonic %d %d\nboottime %d %d\n", ms, mn, bs, bn)
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/timens_offsets", unix.Gettid()), []byte(b), 0); err != nil { //nolint:forbidigo // a control file of the kernel
		return fmt.Errorf("set the pod's clocks: %w", err)
	}
	return nil
}
