package rpc

import (
	"net/netip"

	"github.com/gompirun/gompirun/ckptlib/conn"
	"github.com/gompirun/gompirun/ckptlib/store"
)

// Dir is a checkpoint directory as the coordinator sees it. Mark is the name of
// a file in it and Content what the file holds: a directory of the same name on
// another disk does not have it.
type Dir struct {
	Path    string `json:"path"`
	Mark    string `json:"mark"`
	Content string `json:"content"`
}

// File is a program that is to be executed in a directory, relative to which
// its path may be.
type File struct {
	Path string `json:"path"`
	Dir  string `json:"dir"` // absolute
}

// Pod says which pod the agent is to make.
type Pod struct {
	ID       int          `json:"id"`
	HostName string       `json:"host_name"` // virtual
	Virtual  []netip.Addr `json:"virtual"`
	// Real are the host's addresses, the one that others reach it by first.
	Real   []netip.Addr `json:"real"`
	Relief Relief       `json:"relief,omitzero"`
}

// Relief is what an agent does on a host with more ranks than processors.
type Relief struct {
	// Slack lets the timers of the pod's processes be late, so that many that sleep for
	// moments are woken together.
	Slack bool `json:"slack,omitempty"`
	// Pulse has the kernel choose anew, many times in each of its ticks, which
	// process of this host runs. One agent of a host does so.
	Pulse bool `json:"pulse,omitempty"`
	// Slices has the pod's processes ask for long slices, as a pulse wants it.
	Slices bool `json:"slices,omitempty"`
}

// Program is a program to start in the pod.
type Program struct {
	Stream string   `json:"stream"` // its name for life
	Path   string   `json:"path"`   // absolute
	Args   []string `json:"args"`
	Env    []string `json:"env"`
	Dir    string   `json:"dir"`
	// Input tells whether bytes will come for its standard input; otherwise that
	// is /dev/null.
	Input bool `json:"input"`
	// Terminal, if not nil, is what the program gets in place of pipes: all it
	// prints is standard output then.
	Terminal *Terminal `json:"terminal,omitempty"`
}

// Terminal is what a new terminal has of the user's. Without Modes it has those
// that the kernel gives it.
type Terminal struct {
	Window Window `json:"window"`
	Modes  *Modes `json:"modes,omitempty"`
}

// Window is the size of a terminal's window, in characters and in pixels.
type Window struct {
	Rows    uint16 `json:"rows"`
	Columns uint16 `json:"columns"`
	Width   uint16 `json:"width"`
	Height  uint16 `json:"height"`
}

// Modes are a terminal's settings, as termios(3) has them.
type Modes struct {
	Iflag uint32 `json:"iflag"`
	Oflag uint32 `json:"oflag"`
	Lflag uint32 `json:"lflag"`
	Chars []byte `json:"chars"` // c_cc
}

// ResizeRequest tells the terminal of a program that the user's window has another
// size. With Redraw it is another window: programs on it shall draw anew.
type ResizeRequest struct {
	Stream string `json:"stream"`
	Window Window `json:"window"`
	Redraw bool   `json:"redraw,omitempty"`
}

// Spawned is a program that was started.
type Spawned struct {
	PID int `json:"pid"` // in the pod
}

// SignalRequest sends a signal to a program, to its process group, or to every
// process of the pod where Stream is empty.
type SignalRequest struct {
	Stream string `json:"stream"`
	Signal int    `json:"signal"`
	Group  bool   `json:"group"`
}

// Process is a process of a pod.
type Process struct {
	PID     int    `json:"pid"`
	HostPID int    `json:"host_pid"`
	Name    string `json:"name"`
}

// EndRequest ends the pod: its processes have GraceMS milliseconds to end by
// themselves.
type EndRequest struct {
	GraceMS int64 `json:"grace_ms"`
}

// Exit is how a program ended: Status as wait(2) gives it.
type Exit struct {
	Stream string `json:"stream"`
	Status uint32 `json:"status"`
}

// Warning is a sentence for the user.
type Warning struct {
	Text string `json:"text"`
}

// ShimCall is what a native launcher asked of the shim: to run a command on a
// host.
type ShimCall struct {
	Args []string `json:"args"`
}

// Name is an address.
type Name struct {
	Addr netip.AddrPort `json:"addr"`
}

// Owned is an address and whether it is one of the job's.
type Owned struct {
	Addr netip.AddrPort `json:"addr"`
	OK   bool           `json:"ok"`
}

// Finding is the answer of one probe.
type Finding struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Needed bool   `json:"needed"` // without it nothing works
	Detail string `json:"detail,omitempty"`
}

// Generation says where a checkpoint goes. Known is the generation whose pages
// need not be written again, 0 for none. With Stop all memory is read before the
// job runs on.
type Generation struct {
	Dir      string `json:"dir"`
	Number   int    `json:"number"`
	Known    int    `json:"known"`
	Compress string `json:"compress"`
	Stop     bool   `json:"stop"`
	Precopy  bool   `json:"precopy"` // memory that does not change fast is read in the phase prepare
	// Untracked has all pages read, and Verify the bytes of equal ones compared.
	Untracked bool `json:"untracked"`
	Verify    bool `json:"verify"`
	// Stage is a directory of the host to which pages go first; "" is none, and
	// Write has the Result. Else Deliver has it.
	Stage string `json:"stage,omitempty"`
}

// Drained is how far the connections of a pod are drained.
type Drained struct {
	Stuck   []conn.ID `json:"stuck"`   // whose peers must be read
	Pending int       `json:"pending"` // ends with bytes on the way
}

// Result is what a pod's part of a checkpoint came to.
type Result struct {
	Files        []store.FileInfo `json:"files"`
	BytesLogical int64            `json:"bytes_logical"`
	BytesChanged int64            `json:"bytes_changed"`
	BytesWritten int64            `json:"bytes_written"`
	Processes    int              `json:"processes"`
	Ranks        int              `json:"ranks"`
	Warnings     []string         `json:"warnings,omitempty"`
	// Inputs are the standard inputs of programs that have a pipe, by stream.
	Inputs map[string]Input `json:"inputs,omitempty"`
}

// Input is how much of its standard input a program has been given since its pod
// was started or restarted: it has read that, or it is in the pipe.
type Input struct {
	Bytes int64 `json:"bytes"`
	Ended bool  `json:"ended,omitempty"` // nothing more will come
}

// Restart says which pod the agent is to restart.
type Restart struct {
	Pod        Pod    `json:"pod"`
	Dir        string `json:"dir"`
	Generation int    `json:"generation"`
	FilePolicy string `json:"file_policy"`
	// PathMap are OLD=NEW of what is elsewhere on this host.
	PathMap []string `json:"path_map,omitempty"`
	// Lazy has the pod run before its memory is read.
	Lazy bool `json:"lazy,omitempty"`
	// DryRun says that nothing comes after Verify.
	DryRun bool `json:"dry_run,omitempty"`
}

// Lost says why a pod is about to be ended by its agent; Kind is that of an
// error.
type Lost struct {
	Kind string `json:"kind,omitempty"`
	Text string `json:"text"`
}

// Verified is what an agent found in an image.
type Verified struct {
	Processes int      `json:"processes"`
	Warnings  []string `json:"warnings,omitempty"`
}

// ConnEnd is an end of a connection that Connect has to make.
type ConnEnd struct {
	ID     conn.ID `json:"id"`
	Family int     `json:"family"`
}

// Rebuilt is where a pod's agent accepts connections of the others, and the
// ends that the pod has.
type Rebuilt struct {
	Addrs conn.Addrs `json:"addrs"`
	Ends  []ConnEnd  `json:"ends"`
	// Inputs are the programs that take standard input, by their streams.
	Streams []string `json:"streams"`
}

// Connections tells where to reach the other end of each of the Ends of Rebuilt, in
// their order, and the secret of this restart.
type Connections struct {
	Peers []netip.AddrPort `json:"peers"`
	Token []byte           `json:"token"`
}
