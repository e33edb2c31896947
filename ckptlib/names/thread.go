package names

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

func readMemory(tid int, addr uint64, b []byte) error {
	return transfer(unix.SYS_PROCESS_VM_READV, tid, addr, b)
}

func writeMemory(tid int, addr uint64, b []byte) error {
	return transfer(unix.SYS_PROCESS_VM_WRITEV, tid, addr, b)
}

func transfer(nr uintptr, tid int, addr uint64, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	local := unix.Iovec{Base: &b[0], Len: uint64(len(b))}
	remote := unix.RemoteIovec{Base: uintptr(addr), Len: len(b)}
	n, _, errno := unix.Syscall6(nr, uintptr(tid), uintptr(unsafe.Pointer(&local)), 1, uintptr(unsafe.Pointer(&remote)), 1, 0)
	if errno != 0 {
		return errno
	}
	if int(n) != len(b) {
		return unix.EFAULT
	}
	return nil
}

func readInt(tid int, addr uint64) (int32, error) {
	var b [4]byte
	err := readMemory(tid, addr, b[:])
	return int32(binary.NativeEndian.Uint32(b[:])), err
}

// nameCall is connect or bind with the bytes of an address.
func nameCall(nr uintptr, fd int, raw []byte) error {
	_, _, errno := unix.Syscall(nr, uintptr(fd), uintptr(unsafe.Pointer(&raw[0])), uintptr(len(raw)))
	if errno != 0 {
		return errno
	}
	return nil
}

// kernelName is getsockname or getpeername.
func kernelName(nr uintptr, fd int) ([]byte, netip.AddrPort, error) {
	var buf [unix.SizeofSockaddrAny]byte
	n := uint32(len(buf))
	_, _, errno := unix.Syscall(nr, uintptr(fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(unsafe.Pointer(&n)))
	if errno != 0 {
		return nil, netip.AddrPort{}, errno
	}
	a, ok := decode(buf[:n])
	if !ok {
		return nil, netip.AddrPort{}, unix.EAFNOSUPPORT
	}
	return buf[:n], a, nil
}
