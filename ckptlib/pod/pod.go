package pod

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// Config says how to make a pod.
type Config struct {
	HostName string // virtual host name
	LastPID  int    // pids go on from here; 0 is from the start
	Filter   bool   // send calls that name an address to the agent
	// Clock, if not nil, are the offsets in nanoseconds of CLOCK_MONOTONIC and
	// CLOCK_BOOTTIME from the host's.
	Clock *[2]int64
	// Lazy asks for a file system that the agent serves, and for a filter that
	// sends calls to the agent which must not meet memory mapped from it.
	Lazy bool
}

// A Pod is a running pod. Its agent owns it.
type Pod struct {
	// Init is the stub's pid as this process sees it.
	Init int
	// Filter is the listener of the address filter, -1 without one. The pod owns
	// it until the caller takes it.
	Filter int
	// Lazy are the device and the root directory of the lazy file system, nil if
	// there is none; NotLazy says why. The pod owns them until the caller takes them.
	Lazy    *[2]int
	NotLazy string
	// VDSO is where the stub, and so every process born of it, has its vdso.
	VDSO tracer.Addr

	Tracer *tracer.Tracer

	// Exits tells how children of the init ended, in order; it is closed when the
	// pod has ended. It must be read, or the pod's init stops reaping.
	Exits <-chan Exit

	status *os.File // of statusFD
	hand   int      // of HandFD
	mu     sync.Mutex
	ended  chan struct{}
	kill   sync.Once
}

// Exit is how a child of the pod's init ended. PID is that of the pod.
type Exit struct {
	PID    int
	Status unix.WaitStatus
}

// Start makes a pod with no process but its init. The caller must Kill it, or
// end by its own: the pod ends with its last process once the agent has gone.
func Start(c Config) (*Pod, error) {
	b, err := json.Marshal(setup(c))
	if err != nil {
		return nil, err
	}
	status, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	hand, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	execed, execs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer execed.Close()
	theirs := []*os.File{os.NewFile(uintptr(status[1]), "status"), os.NewFile(uintptr(hand[1]), "hand"), execs}
	cmd := &exec.Cmd{
		Path:        "/proc/self/exe",
		Args:        []string{initName},
		Env:         []string{setupEnv + "=" + string(b)},
		ExtraFiles:  theirs, // they become statusFD, HandFD and execFD
		SysProcAttr: namespaces(),
	}
	err = cmd.Start()
	for _, f := range theirs {
		_ = f.Close() // the child has its own
	}
	if err != nil {
		_ = unix.Close(status[0])
		_ = unix.Close(hand[0])
		return nil, startError(err)
	}
	pidfd, err := unix.PidfdOpen(cmd.Process.Pid, 0)
	if err != nil {
		return nil, fmt.Errorf("pidfd_open of the pod's init (Linux 5.3): %w", err)
	}
	if err := unix.SetNonblock(status[0], true); err != nil {
		return nil, err
	}
	p := &Pod{
		Init: cmd.Process.Pid, Filter: -1, Tracer: tracer.New(),
		status: os.NewFile(uintptr(status[0]), "status"), hand: hand[0], ended: make(chan struct{}),
	}
	exits := make(chan Exit, 64)
	p.Exits = exits
	go p.reap(pidfd)
	if err := p.ready(execed, c); err != nil {
		p.Kill()
		return nil, err
	}
	go p.readExits(exits)
	return p, nil
}

// namespaces maps an ordinary user to himself and nobody else, which needs no
// privilege, and root's whole id space to itself.
func namespaces() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
		// For setting pids and clocks, and mounting. The exec of a process that is
		// not root in the namespace drops all others.
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_CHECKPOINT_RESTORE, unix.CAP_SYS_TIME},
		Setsid:      true, // a Ctrl-C at the launcher's terminal is the launcher's to handle
	}
	if os.Geteuid() == 0 {
		a.UidMappings = idMap("/proc/self/uid_map")
		a.GidMappings = idMap("/proc/self/gid_map")
		a.GidMappingsEnableSetgroups = true
		return a
	}
	a.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
	a.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
	return a
}

// idMap maps every id that this process's namespace has to itself.
func idMap(path string) []syscall.SysProcIDMap {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var out []syscall.SysProcIDMap
	for line := range strings.Lines(string(b)) {
		var inside, outside, n int
		if _, err := fmt.Sscan(line, &inside, &outside, &n); err == nil {
			out = append(out, syscall.SysProcIDMap{ContainerID: inside, HostID: inside, Size: n})
		}
	}
	return out
}

// startError names the setting that forbids user namespaces.
func startError(err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("make a user namespace: %w\n  this host forbids it to ordinary users: "+
			"let its administrator set kernel.unprivileged_userns_clone=1 (Debian, Ubuntu) or "+
			"kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu)", err)
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EUSERS):
		return fmt.Errorf("make a user namespace: %w\n  this host allows no more of them: "+
			"let its administrator raise user.max_user_namespaces (and max_pid_, max_mnt_, max_ipc_, max_uts_namespaces)", err)
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("make the pod's namespaces: %w\n  this kernel lacks one of CONFIG_USER_NS, PID_NS, IPC_NS, UTS_NS", err)
	}
	return fmt.Errorf("start the pod's init: %w", err)
}

// ready takes the setup's report and waits until the stub has taken over.
func (p *Pod) ready(execed *os.File, c Config) error {
	buf, oob := make([]byte, 64<<10), make([]byte, 128)
	n, oobn, _, _, err := unix.Recvmsg(p.hand, buf, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return fmt.Errorf("hear from the pod's init: %w", err)
	}
	if n == 0 {
		return errors.New("the pod's init ended before it had set the pod up")
	}
	var r report
	if err := json.Unmarshal(buf[:n], &r); err != nil {
		return fmt.Errorf("hear from the pod's init: %w", err)
	}
	if r.Error != "" {
		return errors.New(r.Error)
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return err
	}
	var fds []int
	for _, m := range msgs {
		got, err := unix.ParseUnixRights(&m)
		if err != nil {
			return err
		}
		fds = append(fds, got...)
	}
	if c.Filter && len(fds) > 0 {
		p.Filter, fds = fds[0], fds[1:]
	}
	if len(fds) == 2 {
		p.Lazy = &[2]int{fds[0], fds[1]}
	}
	p.NotLazy = r.NotLazy
	return p.awaitStub(execed)
}

// awaitStub waits for the exec of the stub, which closes the init's end of a
// pipe, and finds the vdso.
func (p *Pod) awaitStub(execed *os.File) error {
	if _, err := execed.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("wait for the pod's init: %w", err)
	}
	// The pipe closes in the middle of execve(2); a stop is after it.
	return p.Tracer.Do(func(tr tracer.Tracing) error {
		if err := p.stopInit(tr); err != nil {
			return err
		}
		vmas, err := procfs.Maps(p.Init, false)
		if err != nil {
			return err
		}
		for _, v := range vmas {
			if v.Name == "[vdso]" {
				p.VDSO = tracer.Addr(v.Start)
			}
		}
		return tr.Detach(p.Init)
	})
}

// stopInit seizes and stops the stub. The caller detaches it.
func (p *Pod) stopInit(tr tracer.Tracing) error {
	if err := tr.Seize(p.Init, tracer.Parent); err != nil {
		return err
	}
	if err := tr.Interrupt(p.Init); err != nil {
		return err
	}
	_, err := tr.WaitStop(p.Init)
	return err
}

// readExits turns the stub's records into Exits.
func (p *Pod) readExits(out chan<- Exit) {
	defer close(out)
	var b [8]byte
	for {
		n, err := p.status.Read(b[:])
		if err != nil || n < len(b) {
			return // the stub has ended
		}
		out <- Exit{
			PID:    int(int32(binary.LittleEndian.Uint32(b[:4]))),
			Status: unix.WaitStatus(binary.LittleEndian.Uint32(b[4:])),
		}
	}
}

// reap closes ended when the init has ended. It polls a pidfd: a wait for the
// init on any thread of this process would take the stops that the tracer waits
// for (wait(2) reports a tracee's stops whatever was asked for).
func (p *Pod) reap(pidfd int) {
	defer unix.Close(pidfd)
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, -1)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	_, _ = unix.Wait4(p.Init, nil, unix.WALL|unix.WNOHANG, nil) // how it ended says nothing
	close(p.ended)
}

// ring wakes the stub when it waits for the agent because it had no children.
func (p *Pod) ring() error {
	_, err := p.status.Write(make([]byte, 8))
	return err
}

// Kill ends every process of the pod and waits until none is left. It may be
// called again.
func (p *Pod) Kill() { p.kill.Do(p.end) }

func (p *Pod) end() {
	_ = unix.Kill(p.Init, unix.SIGKILL) // it may have ended already
	// A traced process's end is its tracer's to hear of, and the init waits for
	// every process of its namespace: without a tracer there is nobody else.
	p.Tracer.Close()
	<-p.ended
	_ = p.status.Close()
	_ = unix.Close(p.hand)
	if p.Filter >= 0 {
		_ = unix.Close(p.Filter)
	}
	if p.Lazy != nil {
		_ = unix.Close(p.Lazy[0])
		_ = unix.Close(p.Lazy[1])
	}
}

// Ended is closed when the pod's init, and so every process of it, has ended.
func (p *Pod) Ended() <-chan struct{} { return p.ended }

// Root is the path by which this process sees the pod's root directory.
func (p *Pod) Root() string { return fmt.Sprintf("/proc/%d/root", p.Init) }

// Listen makes the socket in the pod's directory on which the shim calls.
func (p *Pod) Listen(name string) (*net.UnixListener, error) {
	path := p.Root() + Dir + "/" + name
	_ = os.Remove(path) // of the pod's last life
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen in the pod: %w", err)
	}
	l.SetUnlinkOnClose(false)
	return l, nil
}
