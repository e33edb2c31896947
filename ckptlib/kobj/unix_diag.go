package kobj

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// States of UnixDiag, which are those of TCP.
const (
	stateEstablished = 1
	stateClose       = 7
	stateListen      = 10
)

// struct unix_diag_req and unix_diag_msg (linux/unix_diag.h): where things are.
const (
	unixReqSize   = 24
	unixReqStates = 4
	unixReqShow   = 12
	unixMsgSize   = 16
	unixMsgType   = 1
	unixMsgState  = 2
	unixMsgIno    = 4

	unixShowAll = 1<<0 | 1<<1 | 1<<2 | 1<<3 | 1<<4 // name, inode, peer, pending, queue lengths

	unixAttrName     = 0
	unixAttrVFS      = 1
	unixAttrPeer     = 2
	unixAttrIcons    = 3
	unixAttrRQLen    = 4
	unixAttrShutdown = 6
)

// DumpUnix asks the kernel for all unix sockets of this network namespace, by
// inode. Any user may. Sockets that no descriptor refers to (not yet accepted)
// have no inode and are not in it. A dump of a host where sockets come and go is
// read again a few times until it is consistent; those of a stopped pod are in
// any of them, so the last is taken then.
func DumpUnix() (map[uint64]UnixDiag, error) {
	request := make([]byte, unixReqSize)
	request[0] = unix.AF_UNIX
	binary.NativeEndian.PutUint32(request[unixReqStates:], ^uint32(0))
	binary.NativeEndian.PutUint32(request[unixReqShow:], unixShowAll)
	for try := 1; ; try++ {
		all := map[uint64]UnixDiag{}
		err := sockDiag(request, func(b []byte) error {
			if len(b) < unixMsgSize {
				return fmt.Errorf("read from sock_diag: %d bytes are no unix_diag_msg", len(b))
			}
			if d := parseUnixDiag(b); d.Inode != 0 {
				all[d.Inode] = d
			}
			return nil
		})
		switch {
		case err == nil, errors.Is(err, errDumpInterrupted) && try == 4:
			return all, nil
		case errors.Is(err, errDumpInterrupted):
		case errors.Is(err, unix.ENOENT):
			return nil, fmt.Errorf("list unix sockets: this kernel lacks the module unix_diag (CONFIG_UNIX_DIAG): load it: %w", err)
		default:
			return nil, fmt.Errorf("list unix sockets: %w", err)
		}
	}
}

func parseUnixDiag(b []byte) UnixDiag {
	word := func(b []byte) uint32 {
		if len(b) < 4 {
			return 0
		}
		return binary.NativeEndian.Uint32(b)
	}
	d := UnixDiag{Type: int(b[unixMsgType]), State: int(b[unixMsgState]), Inode: uint64(word(b[unixMsgIno:]))}
	eachAttribute(b[unixMsgSize:], func(kind int, v []byte) {
		switch kind {
		case unixAttrName:
			d.Name = cleanName(v)
		case unixAttrVFS:
			if len(v) >= 8 {
				d.VFSIno, d.VFSDev = word(v), word(v[4:])
			}
		case unixAttrPeer:
			d.Peer, d.Connected = uint64(word(v)), true
		case unixAttrIcons:
			for ; len(v) >= 4; v = v[4:] {
				d.Pending = append(d.Pending, uint64(word(v)))
			}
		case unixAttrRQLen:
			if len(v) >= 8 {
				d.RQueue, d.WQueue = word(v), word(v[4:])
			}
		case unixAttrShutdown:
			if len(v) >= 1 {
				d.Shutdown = int(v[0])
			}
		}
	})
	return d
}

// cleanName copies a name as the kernel has it. A path ends in a zero byte
// there; an abstract name may have any bytes.
func cleanName(v []byte) []byte {
	if len(v) > 0 && v[0] != 0 {
		if i := bytes.IndexByte(v, 0); i >= 0 {
			v = v[:i]
		}
	}
	if len(v) == 0 {
		return nil
	}
	return bytes.Clone(v)
}
