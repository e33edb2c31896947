package kobj

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// errDumpInterrupted is a dump that the kernel marks as inconsistent, because
// sockets came and went while it ran.
var errDumpInterrupted = errors.New("the list changed while it was read")

// sockDiag sends a request to the kernel's sock_diag(7), which any user may, and
// calls each for the body of every answer. It is about the network namespace of
// the calling thread.
func sockDiag(request []byte, each func(body []byte) error) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return fmt.Errorf("open a sock_diag socket: %w", err)
	}
	defer unix.Close(fd)
	const sockDiagByFamily = 20
	msg := make([]byte, unix.NLMSG_HDRLEN, unix.NLMSG_HDRLEN+len(request))
	binary.NativeEndian.PutUint32(msg[0:], uint32(cap(msg)))
	binary.NativeEndian.PutUint16(msg[4:], sockDiagByFamily)
	binary.NativeEndian.PutUint16(msg[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	if err := unix.Sendto(fd, append(msg, request...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("ask sock_diag: %w", err)
	}
	buf := make([]byte, 1<<18)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("read from sock_diag: %w", err)
		}
		if done, err := eachMessage(buf[:n], each); done || err != nil {
			return err
		}
	}
}

// eachMessage goes through the netlink messages of one datagram.
func eachMessage(b []byte, each func([]byte) error) (done bool, err error) {
	for len(b) >= unix.NLMSG_HDRLEN {
		size := int(binary.NativeEndian.Uint32(b))
		if size < unix.NLMSG_HDRLEN || size > len(b) {
			return true, fmt.Errorf("read from sock_diag: a message of %d bytes in %d", size, len(b))
		}
		body := b[unix.NLMSG_HDRLEN:size]
		if binary.NativeEndian.Uint16(b[6:])&unix.NLM_F_DUMP_INTR != 0 {
			err = errDumpInterrupted
		}
		switch binary.NativeEndian.Uint16(b[4:]) {
		case unix.NLMSG_DONE:
			return true, err
		case unix.NLMSG_ERROR:
			if len(body) < 4 {
				return true, errors.New("read from sock_diag: an error message without a number")
			}
			return true, fmt.Errorf("ask sock_diag: %w", unix.Errno(-int32(binary.NativeEndian.Uint32(body))))
		default:
			if e := each(body); e != nil {
				return true, e
			}
		}
		b = b[min((size+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1), len(b)):]
	}
	return false, err
}

// eachAttribute goes through netlink attributes.
func eachAttribute(b []byte, each func(kind int, value []byte)) {
	for len(b) >= unix.SizeofRtAttr {
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofRtAttr || size > len(b) {
			return
		}
		each(int(binary.NativeEndian.Uint16(b[2:])), b[unix.SizeofRtAttr:size])
		b = b[min((size+3)&^3, len(b)):]
	}
}
