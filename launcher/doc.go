// Package launcher is what a job is: its hosts and their agents, the programs
// that run there, the phases of its checkpoints and restarts, and its end.
//
// The coordinator is the process that the user started. It has one agent per
// pod, over SSH or, on its own host, as a child process:
//
//	run       hosts -> agents -> pods -> the native launcher in pod 0
//	                                      its shim -> daemons in the other pods
//	          supervise: output, signals, checkpoints, the end
//
//	restart   store -> generation -> hosts -> agents
//	          Verify | Rebuild | Connect | Refill | Resume
//	          supervise
//
// A checkpoint is a plan of phases, each of them a barrier over all agents:
//
//	Prepare | Suspend | Elect | Drain | Snapshot | Refill | Resume | Write | Commit
//	         \______________ the job stands still ____________/
//
// What must hold: a generation is committed only after every agent has reported
// that its files are durable. No agent enters a phase before every agent has
// left the one before it, in order or not. A checkpoint that fails is given up
// on every agent, and the job goes on.
package launcher
