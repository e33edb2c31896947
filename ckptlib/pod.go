package ckptlib

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/names"
	"github.com/gompirun/gompirun/ckptlib/pod"
	"github.com/gompirun/gompirun/ckptlib/proc"
)

// Config says what a pod is within its job and on its host.
type Config struct {
	ID       int    // 0 is the head
	HostName string // virtual, kept for life
	// Virtual are the addresses that the pod keeps for life: at a launch, the
	// host's. Real are this host's, the one that others reach it by first.
	Virtual, Real []netip.Addr
	// JobAddrs tells for every virtual address of the job its pod.
	JobAddrs map[netip.Addr]int
	// Peers asks the job's other pods; needed by a restart only.
	Peers names.Peers
	// FilePolicy is what a restart does with a file open for writing that is
	// not as long as it was: "truncate", "keep" or "fail".
	FilePolicy string
	// PathMap says what a restart finds elsewhere than it was.
	PathMap image.PathMap
	// Lazy has a restart let the pod run before its memory is read, if the host
	// allows that. Lost, if not nil, is told why a pod was ended whose memory could
	// not be read afterwards, just before it is.
	Lazy bool
	Lost func(error)
	// Warn, if not nil, is told what the user should know.
	Warn func(string)
}

func (c *Config) warn(format string, args ...any) {
	if c.Warn != nil {
		c.Warn(fmt.Sprintf(format, args...))
	}
}

// A Pod is a running pod.
type Pod struct {
	c     Config
	pod   *pod.Pod
	waits proc.Waits
	twins proc.Twins
	held  held
	track tracking
	size  int64 // of its memory at the last checkpoint, in bytes
	// table and notifier translate addresses; nil in a pod that has not moved.
	table    *names.Table
	notifier *names.Notifier
	clock    [2]int64 // offsets of the pod's clocks, nanoseconds
	stop     context.CancelFunc
	exits    chan Exit
	// lazy is what has not been read yet after a restart, nil if there never was
	// any; reading is closed when nobody reads it in any more.
	lazy    *lazy
	reading chan struct{}
	losing  sync.Once

	mu      sync.Mutex
	streams map[int]string   // by the pid of the program
	stdio   map[uint64]stdio // by the inode of the pipe
	early   map[int]unix.WaitStatus
	// terminals are those whose masters this process holds.
	terminals []*Terminal
	busy      bool // a checkpoint is under way
}

// stdio is a pipe between the pod and its agent.
type stdio struct {
	stream string
	role   int
}

// Exit is how a program that Spawn started has ended.
type Exit struct {
	Stream string
	PID    int // in the pod
	Status unix.WaitStatus
}

// Launch makes a pod with no process yet. The caller must Kill it in the end.
func Launch(c Config) (*Pod, error) {
	p, err := pod.Start(pod.Config{HostName: c.HostName})
	if err != nil {
		return nil, fmt.Errorf("make a pod: %w", err)
	}
	return newPod(c, p), nil
}

func newPod(c Config, p *pod.Pod) *Pod {
	q := &Pod{
		c: c, pod: p, stop: func() {}, exits: make(chan Exit, 16),
		streams: map[int]string{}, stdio: map[uint64]stdio{}, early: map[int]unix.WaitStatus{},
	}
	go q.watch()
	return q
}

// watch sorts the ends of programs from those of orphans. A program may end
// before Spawn has noted it.
func (p *Pod) watch() {
	for e := range p.pod.Exits {
		p.mu.Lock()
		stream, ok := p.streams[e.PID]
		delete(p.streams, e.PID)
		if !ok {
			p.early[e.PID] = e.Status
		}
		p.mu.Unlock()
		if ok {
			p.exits <- Exit{stream, e.PID, e.Status}
		}
	}
	close(p.exits)
}

// Command is a program to start in a pod.
type Command struct {
	// Stream names the program for life: it tells its standard input and output
	// from those of other programs of the pod, also after restarts.
	Stream string
	Path   string // absolute
	Args   []string
	Env    []string
	Dir    string
	// The pod's ends of pipes, or files. They stay the caller's.
	Stdin, Stdout, Stderr *os.File
	// Terminal, if not nil, is what the program has in their place, and for its
	// controlling terminal. It must be of this pod.
	Terminal *Terminal
}

// Spawn starts a program and returns its pid in the pod. A *pod.ExecError says
// that its file or directory is at fault.
func (p *Pod) Spawn(c Command) (int, error) {
	files := [3]*os.File{c.Stdin, c.Stdout, c.Stderr}
	if t := c.Terminal; t != nil {
		files = [3]*os.File{t.slave, t.slave, t.slave}
	}
	var fds [3]int
	for i, f := range files {
		fds[i] = int(f.Fd())
	}
	if err := p.noteStdio(c.Stream, files); err != nil {
		return 0, err
	}
	pid, err := p.pod.Spawn(pod.Command{Path: c.Path, Args: c.Args, Env: c.Env, Dir: c.Dir, Stdio: fds, Terminal: c.Terminal != nil})
	if err != nil {
		return 0, err
	}
	p.mu.Lock()
	if t := c.Terminal; t != nil {
		t.stream = c.Stream
		p.terminals = append(p.terminals, t)
	}
	status, ended := p.early[pid]
	delete(p.early, pid)
	if !ended {
		p.streams[pid] = c.Stream
	}
	p.mu.Unlock()
	if ended {
		p.exits <- Exit{c.Stream, pid, status}
	}
	return pid, nil
}

// noteStdio remembers which pipes lead to the agent.
func (p *Pod) noteStdio(stream string, files [3]*os.File) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for role, f := range files {
		var st unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &st); err != nil {
			return fmt.Errorf("standard stream %d of %s: %w", role, stream, err)
		}
		if st.Mode&unix.S_IFMT == unix.S_IFIFO {
			p.stdio[st.Ino] = stdio{stream, role}
		}
	}
	return nil
}

// programs lists the running programs, by pid.
func (p *Pod) programs() []image.Program {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []image.Program
	for pid, s := range p.streams {
		out = append(out, image.Program{PID: pid, Stream: s})
	}
	slices.SortFunc(out, func(a, b image.Program) int { return a.PID - b.PID })
	return out
}

// Exits tells how programs ended. It is closed when the pod has ended, and
// must be read.
func (p *Pod) Exits() <-chan Exit { return p.exits }

// ProcessInfo is a process of a pod, for messages.
type ProcessInfo struct {
	PID     int    `json:"pid"`      // in the pod
	HostPID int    `json:"host_pid"` // as the agent sees it
	Name    string `json:"name"`
}

// Processes lists the processes of a pod that are alive, but for its init.
func (p *Pod) Processes() ([]ProcessInfo, error) {
	var out []ProcessInfo
	var visit func(pid int)
	visit = func(pid int) {
		children, err := procfs.Children(pid)
		if err != nil {
			return // it has ended
		}
		for _, c := range children {
			st, err := procfs.ReadStatus(fmt.Sprintf("/proc/%d", c))
			if err == nil && (st.State != 'Z' || outlived(c)) {
				out = append(out, ProcessInfo{st.PodPID, c, st.Name})
			}
			visit(c)
		}
	}
	visit(p.pod.Init)
	return out, nil
}

// Threads lists the threads of the processes of a pod and of its init, from which
// the programs to come inherit, as the agent sees them.
func (p *Pod) Threads() ([]int, error) {
	list, err := p.Processes()
	if err != nil {
		return nil, err
	}
	out, err := procfs.Tasks(p.pod.Init)
	for _, q := range list {
		tids, _ := procfs.Tasks(q.HostPID) // none if it has ended
		out = append(out, tids...)
	}
	return out, err
}

// outlived tells whether threads run on in a process whose first one has ended.
func outlived(pid int) bool {
	tids, err := procfs.Tasks(pid)
	return err == nil && len(tids) > 1
}

// Signal sends a signal to a program, or to its process group.
func (p *Pod) Signal(stream string, sig unix.Signal, group bool) error {
	p.mu.Lock()
	pid := 0
	for n, s := range p.streams {
		if s == stream {
			pid = n
		}
	}
	p.mu.Unlock()
	list, err := p.Processes()
	if err != nil {
		return err
	}
	for _, q := range list {
		if q.PID != pid {
			continue
		}
		to := q.HostPID
		if group {
			to = -to // a program leads its group: Spawn makes a session
		}
		if err := unix.Kill(to, sig); err != nil {
			return fmt.Errorf("send %v to process %d: %w", sig, pid, err)
		}
		return nil
	}
	return fmt.Errorf("send %v to %s: it has ended", sig, stream)
}

// ShimListener listens on the socket in the pod on which the shim calls.
func (p *Pod) ShimListener() (*net.UnixListener, error) { return p.pod.Listen("ctl") }

// LinkShim makes the shim's name in the pod lead to a program.
func (p *Pod) LinkShim(binary string) error {
	link := p.pod.Root() + pod.Dir + "/shim"
	if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Symlink(binary, link)
}

// Locate tells where a virtual address of this pod really is, for other pods.
func (p *Pod) Locate(virtual netip.AddrPort) netip.AddrPort {
	if p.table == nil {
		return virtual
	}
	return p.table.Locate(virtual)
}

// Own tells the virtual name of a real address that a socket of this pod has;
// ok is false if none has it.
func (p *Pod) Own(real netip.AddrPort) (virtual netip.AddrPort, ok bool) {
	if p.table == nil {
		return real, false
	}
	return p.table.Own(real)
}

// Kill ends every process of the pod and waits until none is left.
func (p *Pod) Kill() {
	p.stop()
	p.pod.Kill()
	p.endLazy()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.busy { // else they are the checkpoint's
		_ = p.track.drop(p.track.draft)
		p.track.close()
	}
}
