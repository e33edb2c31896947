package conn

// States of a TCP socket, as TCP_INFO and sock_diag number them
// (include/net/tcp_states.h).
const (
	StateEstablished uint8 = iota + 1
	StateSynSent
	StateSynRecv
	StateFinWait1
	StateFinWait2
	StateTimeWait
	StateClose
	StateCloseWait
	StateLastAck
	StateListen
	StateClosing
	StateNewSynRecv
)
