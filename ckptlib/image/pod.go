package image

import "iter"

// Pod is one pod: a process domain with its namespaces, processes, open files
// and shared memory.
type Pod struct {
	Format int    `json:"format"`
	ID     int    `json:"id"`
	Arch   string `json:"arch"`
	Kernel string `json:"kernel"`
	CPU    CPU    `json:"cpu"`
	VDSO   string `json:"vdso"` // xxh3-128 of the kernel's vdso, in hex
	// VDSOCode is the vdso itself, for a restart under another kernel.
	VDSOCode []byte `json:"vdso_code,omitempty"`
	UID      int    `json:"uid"`
	GID      int    `json:"gid"`
	LastPID  int    `json:"last_pid"`

	// HostName and Addresses are virtual: those of the host where the pod was
	// first started, kept for life.
	HostName  string   `json:"host_name"`
	Addresses []string `json:"addresses"`

	Clock Clock `json:"clock"`

	// Processes are in an order in which each parent precedes its children.
	Processes []Process `json:"processes"`
	Files     []File    `json:"files"`
	// Programs are the processes that the launcher started, with the names by
	// which it knows them.
	Programs []Program `json:"programs"`
	// Terminals are the pseudoterminals whose masters the agent holds.
	Terminals []Terminal `json:"terminals,omitempty"`
	Shared    []Shared   `json:"shared,omitempty"`
	// Tree is the pod's private tmpfs on /dev/shm, parents before children.
	Tree []Node `json:"tree,omitempty"`
	SysV SysV   `json:"sysv"`
	// MQueues are the POSIX message queues of the pod's IPC namespace.
	MQueues []MQueue `json:"mqueues,omitempty"`
}

// MQueue is a POSIX message queue. Name has no slash; that of one that was
// unlinked leads nowhere.
type MQueue struct {
	ID       uint64      `json:"id"`
	Name     string      `json:"name"`
	Deleted  bool        `json:"deleted,omitempty"`
	Mode     uint32      `json:"mode"`
	MaxMsg   int64       `json:"max_msg"`
	MsgSize  int64       `json:"msg_size"`
	Messages []MQMessage `json:"messages,omitempty"` // as they are received
}

// MQMessage is one message of a POSIX message queue.
type MQMessage struct {
	Priority uint32 `json:"priority,omitempty"`
	Data     []byte `json:"data"`
}

// Program is a process that the launcher started in the pod.
type Program struct {
	PID    int    `json:"pid"`
	Stream string `json:"stream"`
}

// Terminal is a pseudoterminal of the pod whose master the agent holds, for the
// program Stream.
type Terminal struct {
	Index  int    `json:"index"`
	Stream string `json:"stream"`
}

// Clock is the pod's time at the checkpoint, in nanoseconds. The time namespace
// of a restarted pod goes on from Monotonic and Boottime.
type Clock struct {
	Monotonic int64 `json:"monotonic"`
	Boottime  int64 `json:"boottime"`
	Realtime  int64 `json:"realtime"`
}

// CPU is what the processes may have found out about their processor: a
// restart is refused on one that lacks a feature.
type CPU struct {
	Vendor   string   `json:"vendor"`
	Model    string   `json:"model"`
	Features []string `json:"features"` // as /proc/cpuinfo names them, sorted
	// XStateSize is the size in bytes of the NT_X86_XSTATE register set, and
	// XFeatures its mask of state components (XCR0).
	XStateSize int    `json:"xstate_size"`
	XFeatures  uint64 `json:"xfeatures"`
}

// Node is a file of the pod's private tmpfs.
type Node struct {
	Path  string `json:"path"` // relative to the mount, "." is its root
	Mode  uint32 `json:"mode"` // st_mode
	Size  int64  `json:"size,omitempty"`
	Rdev  uint64 `json:"rdev,omitempty"`
	Link  string `json:"link,omitempty"` // of a symbolic link
	Mtime int64  `json:"mtime"`          // nanoseconds
	// Shared is the memory behind a regular file; two names of one inode (hard
	// links) hold the same.
	Shared SharedID `json:"shared,omitempty"`
}

// Shared is a memory object that several mappings, descriptors or names may
// share: System V shared memory, shared anonymous memory, a memfd, a file of
// the private tmpfs.
type Shared struct {
	ID   SharedID `json:"id"`
	Kind string   `json:"kind"` // one of the Shared... constants
	// Name is the path in the pod of a tmpfs file (its last one, when it is
	// deleted) or the name of a memfd.
	Name    string   `json:"name,omitempty"`
	Deleted bool     `json:"deleted,omitempty"`
	Mode    uint32   `json:"mode,omitempty"`
	Size    int64    `json:"size"`
	Object  ObjectID `json:"object"`
	ShmID   int      `json:"shm_id,omitempty"` // of SharedSysV: the index in SysV.Shm by ID
	Seals   int      `json:"seals,omitempty"`  // of SharedMemfd: F_GET_SEALS
	// HugePage is the size of the pages of hugetlbfs that it is made of, 0 if it is
	// not.
	HugePage uint64 `json:"huge_page,omitempty"`
}

// Kinds of shared memory objects.
const (
	SharedAnon  = "anon"  // mmap(MAP_SHARED|MAP_ANONYMOUS)
	SharedMemfd = "memfd" // memfd_create(2)
	SharedTmpfs = "tmpfs" // a file of the pod's private tmpfs, named or deleted
	SharedSysV  = "sysv"  // shmget(2)
	SharedDisk  = "disk"  // a deleted file of a disk that is mapped shared
)

// SysV is the content of the pod's System V IPC namespace.
type SysV struct {
	Shm []ShmSegment `json:"shm,omitempty"`
	Sem []SemSet     `json:"sem,omitempty"`
	Msg []MsgQueue   `json:"msg,omitempty"`
}

// ShmSegment is a System V shared memory segment.
type ShmSegment struct {
	ID     int      `json:"id"`
	Key    int32    `json:"key"`
	Mode   uint32   `json:"mode"`
	Size   int64    `json:"size"`
	Dest   bool     `json:"dest,omitempty"` // marked for deletion (SHM_DEST)
	Shared SharedID `json:"shared"`
}

// SemSet is a System V semaphore set.
type SemSet struct {
	ID     int      `json:"id"`
	Key    int32    `json:"key"`
	Mode   uint32   `json:"mode"`
	Values []uint16 `json:"values"`
	// Undo is what the ends of processes will do to the values (SEM_UNDO).
	Undo []SemUndo `json:"undo,omitempty"`
}

// SemUndo is what is added to a semaphore when a process ends.
type SemUndo struct {
	PID    int `json:"pid"`
	Num    int `json:"num"`
	Adjust int `json:"adjust"`
}

// MsgQueue is a System V message queue.
type MsgQueue struct {
	ID       int      `json:"id"`
	Key      int32    `json:"key"`
	Mode     uint32   `json:"mode"`
	MaxBytes uint64   `json:"max_bytes"`
	Messages []SysMsg `json:"messages,omitempty"`
}

// SysMsg is one message of a System V message queue.
type SysMsg struct {
	Type int64  `json:"type"`
	Data []byte `json:"data"`
}

// Tables yields every table of descriptors with the pid of its process, or the id
// of the thread that it is the own of.
func (p *Pod) Tables() iter.Seq2[int, []FD] {
	return func(yield func(int, []FD) bool) {
		for i := range p.Processes {
			q := &p.Processes[i]
			if !yield(q.PID, q.FDs) {
				return
			}
			for j := range q.Threads {
				if th := &q.Threads[j]; th.OwnFiles && !yield(th.TID, th.FDs) {
					return
				}
			}
		}
	}
}
