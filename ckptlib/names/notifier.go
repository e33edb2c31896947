package names

import (
	"context"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"
)

// Peers answers what only other pods of the job know; the agent asks the
// coordinator, which asks the Table of the pod. Its methods are called from
// several goroutines at once and end when ctx does.
type Peers interface {
	// Resolve tells where a virtual name really is: what Table.Locate of the pod
	// that owns the address says. It is called for addresses in the table's
	// jobAddrs; inJob false has the call go to the address as it is.
	Resolve(ctx context.Context, virtual netip.AddrPort) (real netip.AddrPort, inJob bool, err error)
	// Owner tells which pod's socket has a real name: what Table.Own of the pods
	// on the host with that address says. It is false for names outside the job.
	Owner(ctx context.Context, real netip.AddrPort) (virtual netip.AddrPort, ok bool)
}

// A Notifier answers the calls that the filter of one pod passes on.
type Notifier struct {
	fd    int
	table *Table
	peers Peers
	// memory is asked before a call of MemoryCalls goes on.
	memory Memory

	// act is held for reading while the state of a socket is being changed, and
	// for writing between Suspend and Resume. It is taken before mu.
	act sync.RWMutex

	mu       sync.Mutex
	tasks    map[int]*task       // by thread id
	backlogs map[uint64]*backlog // by the listener's cookie
	inHand   int                 // accepted connections on the way to a process
	limit    int                 // tasks beyond which the dead are looked for
	wg       sync.WaitGroup
}

// New makes the notifier of the pod whose filter has this listener, which stays
// the caller's. A nil peers is for a pod that is a whole job, a nil memory for one
// whose memory is not read lazily.
func New(listenerFD int, table *Table, peers Peers, memory Memory) *Notifier {
	// The thread and the supervisor take turns, so the kernel does well to wake
	// one where the other ran (Linux 6.6; older ones do without).
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(listenerFD), unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
	return &Notifier{
		fd: listenerFD, table: table, peers: peers, memory: memory,
		tasks: map[int]*task{}, backlogs: map[uint64]*backlog{}, limit: 1024,
	}
}

// Run serves until ctx ends or the last process under the filter has, and then
// returns nil; it may be called once. While the listener is open and Run does
// not run, the calls wait; they go on waiting, interruptible by signals and by
// ptrace, until the owner closes the listener. From then on they fail with
// ENOSYS, for good: there is no way to give a filter another listener.
// Connections that exist are not concerned.
func (n *Notifier) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer n.end()
	defer n.wg.Wait()
	defer cancel()
	wake, err := newWake(ctx)
	if err != nil {
		return err
	}
	defer wake.close()
	l := &loop{Notifier: n, ctx: ctx, wake: wake, ended: make(chan error, 1)}
	l.start()
	return <-l.ended
}

// prune forgets threads that are gone, when their number has doubled. The caller
// holds n.mu.
func (n *Notifier) prune() {
	if len(n.tasks) < n.limit {
		return
	}
	for tid, t := range n.tasks {
		if t.current == nil && gone(tid) {
			delete(n.tasks, tid)
		}
	}
	n.limit = max(1024, 2*len(n.tasks))
}

// Suspend waits until no call is changing a socket and keeps all from doing so
// until Resume; a checkpoint calls it when the threads are stopped and before it
// looks at the sockets. It returns the number of connections that were accepted
// for a thread which was stopped before it got them. Like those that nobody has
// accepted yet, no process has them: resume, let the job run for some
// milliseconds, and suspend again.
//
// Between the two, only calls of getsockname and getpeername are answered, so
// connect, bind or accept must not be injected into a thread of the pod.
func (n *Notifier) Suspend() (undelivered int) {
	n.act.Lock()
	n.mu.Lock()
	defer n.mu.Unlock()
	undelivered = n.inHand
	for _, b := range n.backlogs {
		b.close(func(h held) bool { return gone(h.tid) })
		undelivered += len(b.held)
	}
	return undelivered
}

// Resume ends Suspend.
func (n *Notifier) Resume() { n.act.Unlock() }

// SocketNames is the Table's SocketNames that asks the peers for a remote end
// which no process of the pod has asked for yet.
func (n *Notifier) SocketNames(ctx context.Context, fd int, realLocal, realRemote string) (local, remote string) {
	if id, ok := identify(fd); ok {
		if _, r, err := kernelName(unix.SYS_GETPEERNAME, fd); err == nil {
			if _, l, err := kernelName(unix.SYS_GETSOCKNAME, fd); err == nil {
				n.remote(func(real netip.AddrPort) (netip.AddrPort, bool, bool) {
					a, ok := n.peers.Owner(ctx, real)
					return a, ok, ok || ctx.Err() == nil
				}, id, l, r)
			}
		}
	}
	return n.table.SocketNames(fd, realLocal, realRemote)
}

// end lets go of what nobody can fetch any more.
func (n *Notifier) end() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, b := range n.backlogs {
		b.close(func(held) bool { return true })
	}
	clear(n.backlogs)
}
