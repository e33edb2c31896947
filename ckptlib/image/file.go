package image

import "net/netip"

// FD is a descriptor: a number in a process's table.
type FD struct {
	Num     int    `json:"num"`
	File    FileID `json:"file"`
	CloExec bool   `json:"cloexec,omitempty"`
}

// File is an open file description: what descriptors of one or several
// processes refer to. Exactly one of the pointers is set.
type File struct {
	ID    FileID `json:"id"`
	Flags int    `json:"flags"` // F_GETFL: access mode and status flags
	Owner *Owner `json:"owner,omitempty"`
	// Locks are the file locks held through this description, and those of
	// processes that were taken through it.
	Locks []Lock `json:"locks,omitempty"`

	Regular  *Regular  `json:"regular,omitempty"`
	Pipe     *Pipe     `json:"pipe,omitempty"`
	Stdio    *Stdio    `json:"stdio,omitempty"`
	Memory   *Memory   `json:"memory,omitempty"`
	EventFD  *EventFD  `json:"eventfd,omitempty"`
	Epoll    *Epoll    `json:"epoll,omitempty"`
	TimerFD  *TimerFD  `json:"timerfd,omitempty"`
	SignalFD *SignalFD `json:"signalfd,omitempty"`
	Inotify  *Inotify  `json:"inotify,omitempty"`
	Fanotify *Fanotify `json:"fanotify,omitempty"`
	PIDFD    *PIDFD    `json:"pidfd,omitempty"`
	PTY      *PTY      `json:"pty,omitempty"`
	Unix     *Unix     `json:"unix,omitempty"`
	Inet     *Inet     `json:"inet,omitempty"`
	Netlink  *Netlink  `json:"netlink,omitempty"`
	MQueue   *MQueueFD `json:"mqueue,omitempty"`
}

// Owner is who gets SIGIO or SIGURG of a description (F_SETOWN_EX, F_SETSIG).
type Owner struct {
	Type   int `json:"type"`
	ID     int `json:"id"`
	Signal int `json:"signal,omitempty"`
}

// Regular is anything that is opened by its path: a file, a directory, a
// device such as /dev/null, a FIFO is a Pipe. The path is that of the pod.
type Regular struct {
	Path   string `json:"path"`
	Mode   uint32 `json:"mode"` // st_mode
	Offset int64  `json:"offset"`
	Size   int64  `json:"size"`
	Rdev   uint64 `json:"rdev,omitempty"`
	// Small is the whole of a small file that is open for writing.
	Small []byte `json:"small,omitempty"`
	// Content is the whole file where it was deleted and lies on a disk.
	// Inode is its number then, the same for all descriptions of it.
	Deleted bool   `json:"deleted,omitempty"`
	Content *Blob  `json:"content,omitempty"`
	Inode   uint64 `json:"inode,omitempty"`
	// Ended is set for a file in /proc of a process that has ended.
	Ended bool `json:"ended,omitempty"`
}

// Lock is an advisory lock on a file.
type Lock struct {
	Kind  string `json:"kind"` // "flock", "posix", "ofd" or "lease"
	Write bool   `json:"write,omitempty"`
	PID   int    `json:"pid,omitempty"` // of the process, for "posix" and "lease"
	Start int64  `json:"start,omitempty"`
	Len   int64  `json:"len,omitempty"` // 0: to the end, however far that moves
}

// Memory is a descriptor of a shared memory object: a memfd, or a file of the
// pod's private tmpfs.
type Memory struct {
	Shared SharedID `json:"shared"`
	Offset int64    `json:"offset"`
}

// Pipe is one end of a pipe or FIFO. Both ends name the same Inode; the bytes
// in between are with the end that has Data.
type Pipe struct {
	Inode    uint64 `json:"inode"`
	Path     string `json:"path,omitempty"`    // of a FIFO
	Mode     uint32 `json:"mode,omitempty"`    // st_mode of a FIFO
	Deleted  bool   `json:"deleted,omitempty"` // the FIFO's path no longer leads to it
	Capacity int    `json:"capacity"`
	Packet   bool   `json:"packet,omitempty"` // O_DIRECT
	Data     *Blob  `json:"data,omitempty"`
	// Packets are the lengths of the leading parts of Data after which a read
	// ends: packets (O_DIRECT). What follows them is a stream.
	Packets []int `json:"packets,omitempty"`
}

// Stdio is a description that leads to the launcher: Role 0, 1 and 2 are the
// job's standard input, output and error. Data is what was written to the
// input and not yet read.
type Stdio struct {
	Role   int    `json:"role"`
	Stream string `json:"stream"` // which program of the pod: its spawn name
	Kind   string `json:"kind"`   // "pipe"
	Data   *Blob  `json:"data,omitempty"`
}

// EventFD is an eventfd(2).
type EventFD struct {
	Count     uint64 `json:"count"`
	Semaphore bool   `json:"semaphore,omitempty"`
}

// Epoll is an epoll(7) set.
type Epoll struct {
	Targets []EpollTarget `json:"targets,omitempty"`
}

// EpollTarget is one registration. The kernel's key is the description and
// the number under which it was added, in process PID.
type EpollTarget struct {
	PID    int    `json:"pid"`
	Num    int    `json:"num"`
	File   FileID `json:"file"`
	Events uint32 `json:"events"`
	Data   uint64 `json:"data"`
}

// TimerFD is a timerfd; times are in nanoseconds, Value is the time left.
type TimerFD struct {
	Clock    int    `json:"clock"`
	Value    int64  `json:"value"`
	Interval int64  `json:"interval"`
	Ticks    uint64 `json:"ticks"`
	Flags    int    `json:"flags"` // TFD_TIMER_ABSTIME as given
	// Expires is when an absolute timer of the wall clock expires, in nanoseconds
	// since 1970; it does not wait for the restart. 0 is none.
	Expires int64 `json:"expires,omitempty"`
}

// SignalFD is a signalfd.
type SignalFD struct {
	Mask uint64 `json:"mask"`
}

// Inotify is an inotify instance. Events that were pending are Lost.
type Inotify struct {
	Lost    bool           `json:"lost,omitempty"`
	Watches []InotifyWatch `json:"watches,omitempty"`
}

// InotifyWatch is one watch of an inotify instance.
type InotifyWatch struct {
	WD   int    `json:"wd"`
	Mask uint32 `json:"mask"`
	Path string `json:"path"`
}

// Fanotify is a fanotify group as an ordinary user may have it. Events that were
// pending are Lost.
type Fanotify struct {
	Flags      uint32         `json:"flags"`       // of fanotify_init(2)
	EventFlags uint32         `json:"event_flags"` // likewise
	Lost       bool           `json:"lost,omitempty"`
	Marks      []FanotifyMark `json:"marks,omitempty"`
}

// FanotifyMark is what is told of one file, and what is not.
type FanotifyMark struct {
	Path    string `json:"path"`
	Flags   uint32 `json:"flags,omitempty"` // FAN_MARK_EVICTABLE, _IGNORE, _IGNORED_SURV_MODIFY
	Mask    uint64 `json:"mask,omitempty"`
	Ignored uint64 `json:"ignored,omitempty"`
}

// PIDFD is a descriptor of a process of the pod; PID 0 is one that has ended
// and been waited for.
type PIDFD struct {
	PID int `json:"pid"`
}

// PTY is one end of a pseudoterminal of the pod. Data, of a master, is what
// was written by those at the slave and not yet read.
type PTY struct {
	Index     int       `json:"index"`
	Master    bool      `json:"master"`
	Path      string    `json:"path,omitempty"`    // how a slave was opened: /dev/pts/N or /dev/tty
	Termios   []byte    `json:"termios,omitempty"` // struct termios2 of TCGETS2: the slave's settings
	Winsize   [4]uint16 `json:"winsize"`
	Locked    bool      `json:"locked,omitempty"` // TIOCSPTLCK
	Packet    bool      `json:"packet,omitempty"` // TIOCPKT
	Exclusive bool      `json:"exclusive,omitempty"`
	// HungUp is a slave whose master has been closed. PeerClosed is a master
	// whose slaves have been opened and are all closed.
	HungUp     bool `json:"hung_up,omitempty"`
	PeerClosed bool `json:"peer_closed,omitempty"`
	// Typed, of a master, is what has been written to it and not yet read by
	// those at the slave. Where the agent has the master it is with the slave.
	Typed      *Blob `json:"typed,omitempty"`
	Session    int   `json:"session,omitempty"` // of which it is the controlling terminal
	Foreground int   `json:"foreground,omitempty"`
	Data       *Blob `json:"data,omitempty"`
}

// Options are socket options: level, name and value as getsockopt(2) gives it.
type Options []Option

// Option is one socket option.
type Option struct {
	Level int    `json:"level"`
	Name  int    `json:"name"`
	Value []byte `json:"value"`
}

// Unix is a socket of the AF_UNIX family.
type Unix struct {
	Type  int    `json:"type"` // SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET
	Inode uint64 `json:"inode"`
	State string `json:"state"` // "unbound", "listening", "connected", "reset"
	// Name is the bound name, raw: a path, or a zero byte and an abstract name.
	Name []byte `json:"name,omitempty"`
	// PathDeleted: the path no longer leads to this socket.
	PathDeleted bool `json:"path_deleted,omitempty"`
	// Mode are the permissions of the file at a bound path.
	Mode uint32 `json:"mode,omitempty"`
	// Peer is the inode of the socket it is connected to, 0 if that is gone.
	// PeerName is the name of a datagram peer outside the pod (/dev/log).
	Peer     uint64  `json:"peer,omitempty"`
	PeerName []byte  `json:"peer_name,omitempty"`
	Backlog  int     `json:"backlog,omitempty"`
	Shutdown int     `json:"shutdown,omitempty"` // 1 read, 2 write, 3 both
	Options  Options `json:"options,omitempty"`
	// Queue is what has arrived here and not been read, oldest first.
	Queue []Message `json:"queue,omitempty"`
}

// Message is a unit of a unix socket's queue: a datagram, a record, or a run
// of stream bytes with the descriptors and credentials that came with it.
type Message struct {
	From  []byte   `json:"from,omitempty"` // sender's name, of a datagram
	Data  Blob     `json:"data"`
	Files []FileID `json:"files,omitempty"`
	PID   int      `json:"pid,omitempty"` // SCM_CREDENTIALS
}

// Inet is a socket of AF_INET or AF_INET6. Addresses are virtual: what the
// program believes. They are in netip.AddrPort's text form.
type Inet struct {
	Family   int     `json:"family"`
	Type     int     `json:"type"`
	Protocol int     `json:"protocol"`
	State    string  `json:"state"` // "closed", "bound", "listening", "connected", "reset"
	Local    string  `json:"local,omitempty"`
	Remote   string  `json:"remote,omitempty"`
	Backlog  int     `json:"backlog,omitempty"`
	Options  Options `json:"options,omitempty"`
	// Groups are the multicast groups that it has joined.
	Groups []Membership `json:"groups,omitempty"`

	// Conn names a connection inside the job, the same for its two ends in
	// whichever pods; "" is a connection that leads outside of the job.
	Conn string `json:"conn,omitempty"`
	// Dialer is the end that makes the connection anew at a restart.
	Dialer bool `json:"dialer,omitempty"`
	// Queue is what has arrived here and not been read.
	Queue *Blob `json:"queue,omitempty"`
	// ShutRead, ShutWrite: this end has been shut down. PeerClosed: the other
	// end sent its FIN.
	ShutRead   bool `json:"shut_read,omitempty"`
	ShutWrite  bool `json:"shut_write,omitempty"`
	PeerClosed bool `json:"peer_closed,omitempty"`
}

// Membership is a multicast group that a socket has joined on an interface, for
// what comes from some sources, or from all but some.
type Membership struct {
	Interface string       `json:"interface"`
	Group     netip.Addr   `json:"group"`
	Exclude   bool         `json:"exclude,omitempty"`
	Sources   []netip.Addr `json:"sources,omitempty"`
}

// MQueueFD is a descriptor of a POSIX message queue, Pod.MQueues by ID.
type MQueueFD struct {
	Queue uint64 `json:"queue"`
}

// Netlink is a socket of AF_NETLINK with nothing in its queue.
type Netlink struct {
	Type     int     `json:"type"`
	Protocol int     `json:"protocol"`
	Port     uint32  `json:"port,omitempty"` // nl_pid that it is bound to
	Groups   []int   `json:"groups,omitempty"`
	Options  Options `json:"options,omitempty"`
}
