// Package agent is what runs on each host of a job: it owns one pod and does
// what the coordinator asks, which is on the other end of its standard input
// and output (packages wire and rpc). Its standard error is its log.
//
// When the coordinator has gone, the input ends, and the agent ends the pod with
// all of its processes: no job outlives the command that started it. The
// checkpoints stay.
package agent
