// Package rpc says what the coordinator of a job and its agents ask of each
// other: names of methods and the plain data that goes with them. Package wire
// carries it.
//
// One agent serves one pod. The coordinator calls, in this order:
//
//	run      CheckProgram? StartPod CheckDir? Spawn...    End
//	restart  CheckDir  Verify Rebuild Connect RefillConns ResumeRestart   End
//
// and for each checkpoint
//
//	Prepare Suspend Elect Pair Drain... ReadQueues... Snapshot Settle... Refill Resume Write Deliver?
//
// or Abort at any point of it; Signal and Resize at any time. The agent calls Shim, Resolve, Owner and Lose, and
// sends the events Exit and Warn.
package rpc

// Methods of agents.
const (
	CheckDir     = "check-dir"     // Dir -> nothing
	CheckProgram = "check-program" // File -> nothing
	StartPod     = "start-pod"     // Pod -> nothing
	Spawn        = "spawn"         // Program -> Spawned
	Signal       = "signal"        // SignalRequest -> nothing
	Resize       = "resize"        // ResizeRequest -> nothing
	Processes    = "processes"     // nothing -> []Process
	Locate       = "locate"        // Name -> Name
	Own          = "own"           // Name -> Owned
	End          = "end"           // EndRequest -> nothing, once all output has been sent
	Probe        = "probe"         // nothing -> []Finding

	Prepare    = "prepare"     // Generation -> nothing
	Suspend    = "suspend"     // nothing -> nothing
	Elect      = "elect"       // nothing -> conn.Ends, all of the pod, in its binary form
	Pair       = "pair"        // []conn.Partner, in the order of what Elect has answered -> nothing
	Drain      = "drain"       // nothing -> Drained
	ReadQueues = "read-queues" // []conn.ID -> nothing
	TakenEnds  = "taken-ends"  // nothing -> []conn.ID
	Settle     = "settle"      // []conn.ID -> Drained
	Snapshot   = "snapshot"    // nothing -> nothing
	Refill     = "refill"      // []conn.ID -> nothing
	Resume     = "resume"      // nothing -> nothing
	Write      = "write"       // nothing -> Result
	Deliver    = "deliver"     // nothing -> Result
	Abort      = "abort"       // nothing -> nothing
	Discard    = "discard"     // nothing -> nothing: what prepare has left, after the last try

	Verify        = "verify"         // Restart -> Verified
	Rebuild       = "rebuild"        // nothing -> Rebuilt
	Connect       = "connect"        // Connections -> nothing
	RefillConns   = "refill-conns"   // nothing -> nothing
	ResumeRestart = "resume-restart" // nothing -> nothing
	AbortRestart  = "abort-restart"  // nothing -> nothing
)

// Methods of the coordinator.
const (
	Shim    = "shim"    // ShimCall -> nothing
	Resolve = "resolve" // Name -> Owned
	Owner   = "owner"   // Name -> Owned
	Lose    = "lose"    // Lost -> nothing
)

// Events of agents.
const (
	EventExit = "exit" // Exit
	EventWarn = "warn" // Warning
)
