package kobj

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/conn"
)

// struct inet_diag_req_v2 and inet_diag_msg (linux/inet_diag.h): where things are.
const (
	inetReqSize     = 56
	inetReqProtocol = 1
	inetReqStates   = 4

	inetMsgSize   = 72
	inetMsgFamily = 0
	inetMsgState  = 1
	inetMsgSPort  = 4
	inetMsgDPort  = 6
	inetMsgSrc    = 8
	inetMsgDst    = 24
	inetMsgInode  = 68
)

// DumpOrphans lists the TCP connections of this network namespace that no
// program has any more and that still have bytes, or a FIN, to send: a program
// wrote and ended, and its peer has not read. Nobody can capture those bytes. An
// agent reports them with its other ends, so that conn.HalfOpen finds who has yet
// to read them. Their Inode is 0. Any user may ask.
func DumpOrphans() ([]conn.End, error) {
	var all []conn.End
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		request := make([]byte, inetReqSize)
		request[0], request[inetReqProtocol] = byte(family), unix.IPPROTO_TCP
		binary.NativeEndian.PutUint32(request[inetReqStates:], 1<<conn.StateFinWait1|1<<conn.StateLastAck|1<<conn.StateClosing)
		err := sockDiag(request, func(b []byte) error {
			if len(b) < inetMsgSize {
				return fmt.Errorf("read from sock_diag: %d bytes are no inet_diag_msg", len(b))
			}
			if binary.NativeEndian.Uint32(b[inetMsgInode:]) != 0 {
				return nil
			}
			of := int(b[inetMsgFamily])
			all = append(all, conn.End{
				State:  b[inetMsgState],
				Local:  diagAddr(of, b[inetMsgSrc:], b[inetMsgSPort:]),
				Remote: diagAddr(of, b[inetMsgDst:], b[inetMsgDPort:]),
			})
			return nil
		})
		// The list of a host where connections come and go is good enough: those
		// of the stopped job do not.
		if err != nil && !errors.Is(err, errDumpInterrupted) {
			return nil, fmt.Errorf("list TCP connections: %w", err)
		}
	}
	return all, nil
}

func diagAddr(family int, addr, port []byte) netip.AddrPort {
	p := binary.BigEndian.Uint16(port)
	if family == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(addr[:4])), p)
	}
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(addr[:16])), p)
}
