package conn

import (
	"fmt"
	"time"
)

// HalfClosedError says that a connection cannot be drained and put back now: one
// end has ended its side while bytes are still on their way to a reader whose
// queue is full. The job must run on for some milliseconds, so that the reader
// can read, before the checkpoint is tried again.
type HalfClosedError struct {
	ID     ID
	Unsent int // bytes
}

func (e *HalfClosedError) Error() string {
	return fmt.Sprintf("connection %s is closing with %d bytes still on their way to a reader whose queue is full: "+
		"let the job run on until they have been read, then checkpoint it again", e.ID, e.Unsent)
}

// RoomError says that the bytes that were in flight do not fit into the buffers
// of a connection.
type RoomError struct {
	ID                     ID
	Bytes, Written         int
	SendBuffer, RecvBuffer int // of this end, in bytes, as the kernel counts them
}

func (e *RoomError) Error() string {
	return fmt.Sprintf("connection %s takes no more than %d of the %d bytes that were in flight (send buffer of this end: %d bytes): "+
		"raise net.ipv4.tcp_rmem and net.ipv4.tcp_wmem on its two hosts to what the job's old hosts had",
		e.ID, e.Written, e.Bytes, e.SendBuffer)
}

// StallError says that nothing moved on a connection for too long.
type StallError struct {
	ID    ID
	Doing string // "exchange the queues of"
	For   time.Duration
	Left  int // bytes not moved
}

func (e *StallError) Error() string {
	return fmt.Sprintf("%s connection %s: nothing moved for %v with %d bytes left: is the agent of the other end (%s) still running?",
		e.Doing, e.ID, e.For, e.Left, e.ID.Peer())
}
