// Package conn carries the TCP connections between the pods of a job over a
// checkpoint and a restart.
//
// The kernel shows an ordinary user the bytes that a socket has received and its
// program has not read, but not those that wait to be sent. So a checkpoint
// drains: while every process of the job stands still, the kernels deliver until
// nothing is unsent, and all that was in flight lies in receive queues, where
// Peek copies it without consuming. Only where a receive queue is full does its
// agent really read from it (Drainer.Read) to let the sender go on.
//
// Who is connected to whom follows from addresses alone: Match pairs the ends
// that all agents of a job report, and the name of each follows from its addresses,
// too. An ID, a name and which of the two ends, is how everything here is called.
//
// A restart makes each connection anew (Join), and then both cases are the same:
// the receive queues must be filled again, and only the other end's agent can do
// that, by writing. Exchange gives each end's bytes to the agent of the other
// end, over the connection itself; Refill writes them back into it. While this
// goes on nobody reads, so all of it must fit into the two kernels' buffers:
// room.go says how an ordinary user gets as much of them as the job had.
//
// No function here changes the flags of a descriptor, which belong to the
// program; everything is done with MSG_DONTWAIT. Nothing is safe for concurrent
// use on the same descriptor.
package conn
