// Package pod makes pods: process domains that an ordinary user may create.
//
// A pod is a user, pid, mount, ipc, uts and time namespace. Its init is not this
// program, whose Go runtime would need thread ids that belong to the job, but a
// stub of forty instructions: it reaps, reports how the job's processes ended,
// and ends when the job and the agent both have. Every process of the pod is
// made by an injected clone in the stub or in one of its descendants, at a
// launch (Spawn) as at a restart.
//
// A pod sees its host's files, but for its own /proc, /dev/pts and a tmpfs on
// /dev/shm, in which Dir holds what is the launcher's: the directory that is the
// job's TMPDIR, and the socket on which the shim finds the agent. All of it goes
// with the last process of the pod, whoever dies first and how.
package pod

// Paths in every pod.
const (
	ShmDir = "/dev/shm"            // the pod's private tmpfs
	Dir    = ShmDir + "/.gompirun" // the launcher's part of it
	TmpDir = Dir + "/tmp"          // the job's TMPDIR
)
