package kobj

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// Source is one open file description, seen from outside while the processes
// that hold it are stopped.
type Source struct {
	// FD is a duplicate in this process. The caller owns it; a kind must not
	// close it, consume from it or move its offset.
	FD int
	// PID and Num are one holder's pid, as this process sees it, and its number
	// there. PodPID is the same process's pid in the pod.
	PID, Num, PodPID int
	// Link is where /proc/PID/fd/Num leads: "socket:[123]", "/dev/null".
	Link string
	Stat unix.Stat_t
	// Flags are those of F_GETFL.
	Flags int
	Info  FDInfo
}

// String names the description as a user knows it.
func (s *Source) String() string {
	return fmt.Sprintf("process %d: fd %d (%s)", s.PodPID, s.Num, s.Link)
}

// A Capturer is what a kind may ask of the checkpoint that captures it.
type Capturer interface {
	// Blob saves bytes in the store.
	Blob([]byte) (image.Blob, error)
	// Shared returns the ID of the shared memory object behind a source that is
	// a memfd or a file of the pod's private tmpfs, and false for anything else.
	Shared(*Source) (image.SharedID, bool)
	// Adopt returns the ID of the description behind fd, a descriptor of this
	// process such as one peeked from a unix socket's queue. A description that
	// no process holds is captured too. Adopt takes over fd and closes it.
	Adopt(fd int) (image.FileID, error)
	// Lookup returns the description that a process of the pod has under a
	// number, for epoll: pid is the pid in the pod.
	Lookup(pid, num int) (image.FileID, bool)
	// Holders lists the processes (pids in the pod, and their pids as this
	// process sees them) that hold the source's description, with the number.
	Holders(*Source) []Holder
	// Find returns a descriptor of the pod for which match is true: match gets what
	// fstat(2) tells of it.
	Find(match func(*unix.Stat_t, Holder) bool) (Holder, bool)
	// PodPID translates a pid as this process sees it to the pod's, 0 if it is
	// not in the pod.
	PodPID(pid int) int
	// Stdio returns the stream and role of a pipe whose other end the agent
	// holds, by its inode.
	Stdio(inode uint64) (stream string, role int, ok bool)
	// Conn returns what the coordinator found out about an established TCP
	// socket of the job, by the inode of the socket; ok is false for one that
	// leads outside of the job.
	Conn(inode uint64) (c Conn, ok bool)
	// SocketNames returns the virtual local and remote address of an inet
	// socket: what the program believes. "" stays "".
	SocketNames(fd int, local, remote string) (vlocal, vremote string)
	// Tuple returns the names recorded for unix sockets and pipes by the kernel's
	// sock_diag, asked once for the whole pod: the diagnosis of a unix socket by inode.
	UnixDiag(inode uint64) (UnixDiag, bool)
	// Warn tells the user, once, of something that will be different after a
	// restart.
	Warn(format string, args ...any)
}

// Holder is one place where a description is held.
type Holder struct {
	PID, PodPID, Num int
}

// Conn is one end of a TCP connection inside the job.
type Conn struct {
	Name   string
	Dialer bool
	// Drained is what had to be read from the receive queue because the sender
	// could not empty its own; it precedes what is still in the queue.
	Drained []byte
}

// UnixDiag is what the kernel's unix_diag tells of a socket.
type UnixDiag struct {
	Inode uint64
	Peer  uint64 // 0 if there is none, or if Connected and it is gone
	Type  int
	State int // TCP_ESTABLISHED, TCP_LISTEN, TCP_CLOSE
	// Connected is that it has a peer of its own. State says established of a
	// datagram socket that somebody else is connected to, too.
	Connected bool
	Name      []byte
	Shutdown  int
	// Pending are the inodes of connections not yet accepted, of a listener.
	Pending        []uint64
	RQueue, WQueue uint32
	VFSDev, VFSIno uint32
}
