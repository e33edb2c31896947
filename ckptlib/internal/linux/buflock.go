package linux

// SOBufLock is SO_BUF_LOCK (Linux 5.14): which buffers of a socket its program has
// set, so that they do not grow. Its bits are SndBufLock and RcvBufLock.
const (
	SOBufLock  = 72
	SndBufLock = 1
	RcvBufLock = 2
)
