package flags

import (
	"syscall"
	"time"
)

// MPI names a family of MPI implementations, as --mpi does.
type MPI string

// The values of --mpi.
const (
	MPIAuto MPI = "auto"    // the program decides
	MPICH   MPI = "mpich"   // MPICH and its kin, started by Hydra
	OpenMPI MPI = "openmpi" // Open MPI, started by its mpirun
	MPINone MPI = "none"    // no MPI: one process
)

// TTY says when a program gets a terminal.
type TTY string

// The values of --tty.
const (
	TTYAuto TTY = "auto" // one process, and the user has one
	TTYYes  TTY = "yes"
	TTYNo   TTY = "no"
)

// Yield says where ranks that wait are made to give their processor up.
type Yield string

// The values of --yield.
const (
	YieldAuto Yield = "auto" // on hosts with more ranks than processors
	YieldYes  Yield = "yes"
	YieldNo   Yield = "no"
)

// A Run is a job to start: gompirun [options] PROGRAM [ARGS] [: ...].
type Run struct {
	// Contexts are the programs of the job in the order of the line, at
	// least one; all but MPMD jobs have exactly one.
	Contexts []Context

	// Hosts are the words of the -host options, each a list for
	// hosts.ParseList. In a job with several contexts they hold for those
	// contexts that have none of their own.
	Hosts []string
	// Hostfiles are the paths of the -hostfile options.
	Hostfiles []string
	// PerNode is the number of ranks on each host, 0 if not given.
	PerNode int
	// Oversubscribe allows more ranks than slots.
	Oversubscribe bool

	// GlobalEnv are the changes to the environment of every context.
	GlobalEnv []EnvVar
	// EnvMode says what the contexts inherit before GlobalEnv is applied.
	EnvMode EnvMode
	// MCA are the parameters of --mca, name and value, in order.
	MCA [][2]string
	// MPI is the family asked for, MPIAuto by default.
	MPI MPI
	// Native are options handed to the native launcher: the name they have
	// in this package's table, and the value, empty for switches.
	Native [][2]string
	// TTY is TTYAuto by default.
	TTY TTY
	// Iface is the network interface for the job's own traffic, empty for
	// the MPI's choice.
	Iface string

	Checkpointing
	Common
}

// A Context is one program of a job and how it is to run.
type Context struct {
	// NP is the number of ranks, 0 if not given.
	NP int
	// Env are the changes to this context's environment, in order.
	Env []EnvVar
	// EnvMode is EnvDefault where the context follows the run.
	EnvMode EnvMode
	// Wdir is the working directory, empty for the caller's.
	Wdir string
	// Hosts are the words of this context's own -host options. They are
	// empty where the run's Hosts hold.
	Hosts []string
	// Program is the word that names the program, as given.
	Program string
	// Args are the program's arguments without its name.
	Args []string
}

// EnvMode says which variables a program inherits.
type EnvMode int

// The modes of -envall, -envnone and their -genv forms.
const (
	EnvDefault EnvMode = iota // not given: as EnvAll
	EnvAll                    // the caller's whole environment
	EnvNone                   // nothing but what is set by options
)

// An EnvVar is one change to an environment.
type EnvVar struct {
	// Name is the variable. With Inherit it may end in "*" and then stands
	// for every variable of the caller that begins so.
	Name string
	// Value is the value to set; unused with Inherit.
	Value string
	// Inherit takes the value from the caller's environment; a variable that
	// is not set there is left alone.
	Inherit bool
}

// CkptMode says what a checkpoint makes the job wait for.
type CkptMode string

// The values of --ckpt-mode.
const (
	CkptPrecopy CkptMode = "precopy" // until what has changed in the last moment is copied, or as CkptFork
	CkptFork    CkptMode = "fork"    // until copies of the processes are made
	CkptStop    CkptMode = "stop"    // until everything is written
)

// Compression names how pages are stored.
type Compression string

// The values of --ckpt-compress.
const (
	CompressAuto Compression = "auto"
	CompressNone Compression = "none"
	CompressS2   Compression = "s2"
	CompressZstd Compression = "zstd"
)

// Checkpointing is how a job is checkpointed while it runs.
type Checkpointing struct {
	// CkptDir is the checkpoint directory; ckpt-NAME by default, after the
	// first program.
	CkptDir string
	// CkptInterval is the time between two checkpoints, 0 for none but those
	// asked for.
	CkptInterval time.Duration
	// CkptIntervalAuto asks for an interval computed from the cost of the
	// checkpoints; CkptInterval is 0 then.
	CkptIntervalAuto bool
	// CkptKeep is how many generations are kept, 0 for all.
	CkptKeep int
	// CkptMode is CkptPrecopy by default.
	CkptMode CkptMode
	// CkptCompress is CompressAuto by default.
	CkptCompress Compression
	// CkptStage is a directory of each host to which checkpoints go first, empty
	// for none.
	CkptStage string
	// CkptUntracked has every page read at each checkpoint, changed or not.
	CkptUntracked bool
	// CkptVerify has the bytes of pages with equal keys compared.
	CkptVerify bool
	// CkptOn are the signals that cause a checkpoint: nil if not given,
	// empty for --ckpt-on none.
	CkptOn []syscall.Signal
}

// Common are the options that a run and a restart share.
type Common struct {
	// Verbose counts -v, 0 to 3.
	Verbose int
	// Quiet leaves only errors and the job's own output.
	Quiet bool
	// TagOutput labels each line of output with its rank.
	TagOutput bool
	// TimestampOutput labels each line of output with the time.
	TimestampOutput bool
	// Timeout is how long the job may run, 0 for ever.
	Timeout time.Duration
	// SSHConfig is a configuration file for SSH in place of the user's.
	SSHConfig string
	// Yield is YieldAuto by default.
	Yield Yield
	// Notes are sentences about options that were accepted without effect.
	Notes []string
	// Given holds the table's name of each option that was on the command
	// line, so that a restart can tell what to change from what to keep.
	Given map[string]bool
}
