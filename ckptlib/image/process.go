package image

// Process is one process. PIDs are those of the pod's pid namespace; a
// process whose parent is the pod's init has PPID 1.
type Process struct {
	PID  int `json:"pid"`
	PPID int `json:"ppid"`
	PGID int `json:"pgid"`
	SID  int `json:"sid"`

	// Zombie is set for a process that has ended and not been waited for; it
	// has nothing else.
	Zombie *Zombie `json:"zombie,omitempty"`
	// Leader is set for a process whose first thread has ended while others run:
	// Threads are these.
	Leader *Zombie `json:"leader,omitempty"`
	// Stopped is the signal by which the job had stopped the process, or 0.
	// StopSeen tells that its parent has been told by wait(2).
	Stopped  int  `json:"stopped,omitempty"`
	StopSeen bool `json:"stop_seen,omitempty"`

	Exe     string   `json:"exe,omitempty"`
	Threads []Thread `json:"threads,omitempty"` // the leader first
	Signals Signals  `json:"signals"`
	Creds   Creds    `json:"creds"`
	FS      FS       `json:"fs"`
	Limits  []Limit  `json:"limits,omitempty"` // indexed by RLIMIT_*
	Timers  Timers   `json:"timers"`
	Prctl   Prctl    `json:"prctl"`

	MM       MM        `json:"mm"`
	Mappings []Mapping `json:"mappings,omitempty"` // by ascending address
	Object   ObjectID  `json:"object,omitempty"`   // pages of the private mappings

	FDs []FD `json:"fds,omitempty"` // by ascending number

	// ExitSignal is by which the parent learns of its end: 0 is SIGCHLD, NoSignal
	// none.
	ExitSignal int `json:"exit_signal,omitempty"`
	// What it has in common with the process that it is born of, its parent: FDs
	// (CLONE_FILES), FS (CLONE_FS), the actions of signals (CLONE_SIGHAND), the list
	// of SEM_UNDO (CLONE_SYSVSEM), which is among that one's then, and memory
	// (CLONE_VM), of which it has nothing here: neither MM nor Mappings nor Object.
	SharesFiles   bool `json:"shares_files,omitempty"`
	SharesFS      bool `json:"shares_fs,omitempty"`
	SharesActions bool `json:"shares_actions,omitempty"`
	SharesUndo    bool `json:"shares_undo,omitempty"`
	SharesMemory  bool `json:"shares_memory,omitempty"`
	// BornOf is another process of which it is born in its parent's place: a child
	// of the same parent, before it in the list (CLONE_PARENT). 0 is none.
	BornOf int `json:"born_of,omitempty"`
}

// NoSignal is an ExitSignal: no signal is sent.
const NoSignal = -1

// Zombie is how a process, or its first thread, ended.
type Zombie struct {
	Status int    `json:"status"` // as wait(2) gives it
	Comm   string `json:"comm"`
}

// Thread is one thread. Register blocks are the kernel's own regset bytes.
type Thread struct {
	TID       int       `json:"tid"`
	Comm      string    `json:"comm"`
	Registers []byte    `json:"registers"` // NT_PRSTATUS (user_regs_struct)
	XState    []byte    `json:"xstate"`    // NT_X86_XSTATE
	SigMask   uint64    `json:"sigmask"`
	SigStack  [3]uint64 `json:"sigstack"`          // stack_t: address, flags, size
	Pending   [][]byte  `json:"pending,omitempty"` // siginfo_t, 128 bytes each

	ClearTID   uint64 `json:"clear_tid"` // set_tid_address(2)
	RobustList uint64 `json:"robust_list,omitempty"`
	RobustLen  uint64 `json:"robust_len,omitempty"`
	Rseq       Rseq   `json:"rseq"`

	Policy     int      `json:"policy"`
	Priority   int      `json:"priority"`
	Nice       int      `json:"nice"`
	Affinity   []uint64 `json:"affinity,omitempty"`
	IOPriority int      `json:"io_priority,omitempty"` // as ioprio_get(2) gives it
	TimerSlack uint64   `json:"timer_slack,omitempty"`
	PDeathSig  int      `json:"pdeathsig,omitempty"`

	// What it has of its own (unshare(2)): a directory, descriptors. BornOf is
	// another thread of the process, before it in the list, whose own it shares.
	FS       *FS  `json:"fs,omitempty"`
	OwnFiles bool `json:"own_files,omitempty"`
	FDs      []FD `json:"fds,omitempty"` // by ascending number
	BornOf   int  `json:"born_of,omitempty"`

	Memory *MemoryPolicy `json:"memory,omitempty"` // nil is the default

	// Restart is how to go on with the system call in which the thread was.
	Restart Restart `json:"restart"`
}

// MemoryPolicy is on which NUMA nodes memory is made (set_mempolicy(2)).
type MemoryPolicy struct {
	Mode  uint32   `json:"mode"`
	Nodes []uint64 `json:"nodes,omitempty"`
}

// Restart is an interrupted system call, as far as its registers do not tell.
type Restart struct {
	// Call is the number of a call that waits for a time to come, if Known;
	// the registers may only name restart_syscall(2).
	Call  int64 `json:"call,omitempty"`
	Known bool  `json:"known,omitempty"`
	// TimeLeft, if not 0, is the address of the time that a sleep has still to
	// run, to be used as its request.
	TimeLeft uint64 `json:"time_left,omitempty"`
}

// Rseq is a registration of rseq(2); Address 0 is none.
type Rseq struct {
	Address   uint64 `json:"address"`
	Size      uint32 `json:"size"`
	Signature uint32 `json:"signature"`
	Flags     uint32 `json:"flags"`
}

// Signals are the dispositions and the signals pending for the whole process.
type Signals struct {
	Actions []SigAction `json:"actions,omitempty"` // those not at their default
	Pending [][]byte    `json:"pending,omitempty"` // siginfo_t, 128 bytes each
}

// SigAction is one disposition, as rt_sigaction(2) of the kernel has it.
type SigAction struct {
	Signal   int    `json:"signal"`
	Handler  uint64 `json:"handler"`
	Flags    uint64 `json:"flags"`
	Restorer uint64 `json:"restorer"`
	Mask     uint64 `json:"mask"`
}

// Creds are the credentials as far as a user has any.
type Creds struct {
	UIDs       [4]int `json:"uids"` // real, effective, saved, file system
	GIDs       [4]int `json:"gids"`
	Groups     []int  `json:"groups,omitempty"`
	Inherited  uint64 `json:"cap_inheritable"`
	Permitted  uint64 `json:"cap_permitted"`
	Effective  uint64 `json:"cap_effective"`
	Bounding   uint64 `json:"cap_bounding"`
	Ambient    uint64 `json:"cap_ambient"`
	NoNewPrivs bool   `json:"no_new_privs,omitempty"`
	SecureBits int    `json:"secure_bits,omitempty"`
}

// FS is what a process shares by CLONE_FS.
type FS struct {
	Cwd   string `json:"cwd"`
	Umask int    `json:"umask"`
}

// Limit is a resource limit; ^0 is unlimited.
type Limit struct {
	Cur uint64 `json:"cur"`
	Max uint64 `json:"max"`
}

// Timers are interval and POSIX timers. Times are in nanoseconds.
type Timers struct {
	Interval [3]IntervalTimer `json:"interval"` // ITIMER_REAL, _VIRTUAL, _PROF
	POSIX    []PosixTimer     `json:"posix,omitempty"`
}

// IntervalTimer is a timer of setitimer(2).
type IntervalTimer struct {
	Value    int64 `json:"value"`
	Interval int64 `json:"interval"`
}

// PosixTimer is a timer of timer_create(2).
type PosixTimer struct {
	ID       int    `json:"id"`
	Clock    int    `json:"clock"`
	Notify   int    `json:"notify"`
	Signal   int    `json:"signal"`
	SigValue uint64 `json:"sig_value"`
	TID      int    `json:"tid,omitempty"` // of SIGEV_THREAD_ID
	Value    int64  `json:"value"`
	Interval int64  `json:"interval"`
	Overrun  int    `json:"overrun,omitempty"`
}

// Prctl is the state of prctl(2) and its kin for a whole process.
type Prctl struct {
	Dumpable    int    `json:"dumpable"`
	Subreaper   bool   `json:"subreaper,omitempty"`
	THPDisable  bool   `json:"thp_disable,omitempty"`
	Personality uint64 `json:"personality,omitempty"`
	// XCompPerm is the mask of extended states that the process may use
	// (ARCH_GET_XCOMP_PERM), AMX's among them.
	XCompPerm   uint64 `json:"xcomp_perm,omitempty"`
	OOMScoreAdj int    `json:"oom_score_adj,omitempty"`
	// CoreFilter is the content of /proc/PID/coredump_filter, nil if not known.
	CoreFilter *uint64 `json:"core_filter,omitempty"`
	// Membarrier is the mask of the registrations of membarrier(2).
	Membarrier uint64 `json:"membarrier,omitempty"`
}

// MM are the addresses that the kernel keeps of a process for /proc and brk(2).
type MM struct {
	StartCode  uint64 `json:"start_code"`
	EndCode    uint64 `json:"end_code"`
	StartData  uint64 `json:"start_data"`
	EndData    uint64 `json:"end_data"`
	StartBrk   uint64 `json:"start_brk"`
	Brk        uint64 `json:"brk"`
	StartStack uint64 `json:"start_stack"`
	ArgStart   uint64 `json:"arg_start"`
	ArgEnd     uint64 `json:"arg_end"`
	EnvStart   uint64 `json:"env_start"`
	EnvEnd     uint64 `json:"env_end"`
	Auxv       []byte `json:"auxv"`
}

// Mapping is one range of a process's memory. Start and End are multiples of
// the page size.
type Mapping struct {
	Start  uint64 `json:"start"`
	End    uint64 `json:"end"`
	Prot   int    `json:"prot"`             // PROT_*
	Shared bool   `json:"shared,omitempty"` // MAP_SHARED
	Name   string `json:"name,omitempty"`   // as /proc/PID/maps has it: a path, [stack], ...

	// File is the mapped file of a disk, nil for memory. Offset is in it or in
	// the shared memory object, in bytes.
	File     *MappedFile `json:"file,omitempty"`
	SharedID SharedID    `json:"shared_id,omitempty"`
	Offset   uint64      `json:"offset,omitempty"`

	GrowsDown bool  `json:"grows_down,omitempty"`
	NoReserve bool  `json:"no_reserve,omitempty"`
	Locked    bool  `json:"locked,omitempty"`
	Advice    []int `json:"advice,omitempty"` // MADV_* to give again
	// ReadOnly is set for shared memory that mprotect(2) cannot make writable: it
	// was opened, attached or sealed so.
	ReadOnly bool `json:"read_only,omitempty"`
	// HugePage is the size of the pages of hugetlbfs that it is made of, 0 if it is
	// not.
	HugePage uint64 `json:"huge_page,omitempty"`
	// Guards are the pages of MADV_GUARD_INSTALL.
	Guards []Range `json:"guards,omitempty"`
}

// Range is a range of addresses.
type Range struct {
	Start uint64 `json:"start"`
	End   uint64 `json:"end"`
}

// MappedFile is a file of the host's disks that is mapped: its identity, so
// that a restart can tell whether it is the same there.
type MappedFile struct {
	Path    string `json:"path"`
	Deleted bool   `json:"deleted,omitempty"`
	Size    int64  `json:"size"`
	Mtime   int64  `json:"mtime"` // nanoseconds
	// Ctime and Inode are of the host where it was mapped: by them a later
	// checkpoint knows that it need not be read again.
	Ctime int64  `json:"ctime,omitempty"`
	Inode uint64 `json:"inode,omitempty"`
	// Hash is the xxh3-128 of the content, in hex; "" for a file that is mapped
	// shared and writable, whose content may change. Object is a copy of it.
	Hash   string   `json:"hash,omitempty"`
	Object ObjectID `json:"object,omitempty"`
}
