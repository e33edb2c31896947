package names

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// rfc2133Len is the length of a sockaddr_in6 without the scope, which the kernel
// still takes (SIN6_LEN_RFC2133 in net/ipv6/af_inet6.c).
const rfc2133Len = 24

// plain is the form in which addresses are compared and kept: an IPv4 address is
// one whatever family the socket has, and the scope of a link-local address,
// which means nothing on another host, is left out.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(plainAddr(a.Addr()), a.Port())
}

func plainAddr(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// decode reads a sockaddr_in or sockaddr_in6, in plain form. It is false for
// other families and for what the kernel would refuse as too short.
func decode(raw []byte) (netip.AddrPort, bool) {
	if len(raw) < 2 {
		return netip.AddrPort{}, false
	}
	switch family := binary.NativeEndian.Uint16(raw); {
	case family == unix.AF_INET && len(raw) >= unix.SizeofSockaddrInet4:
		a := netip.AddrFrom4([4]byte(raw[4:8]))
		return netip.AddrPortFrom(a, binary.BigEndian.Uint16(raw[2:])), true
	case family == unix.AF_INET6 && len(raw) >= rfc2133Len:
		a := netip.AddrFrom16([16]byte(raw[8:24]))
		return plain(netip.AddrPortFrom(a, binary.BigEndian.Uint16(raw[2:]))), true
	}
	return netip.AddrPort{}, false
}

// encode returns like with another address and port, and everything else, flow
// label and scope, as it was; a zone in a gives the scope. It is false if the
// family of like cannot hold the address.
func encode(like []byte, a netip.AddrPort) ([]byte, bool) {
	raw := append([]byte(nil), like...)
	binary.BigEndian.PutUint16(raw[2:], a.Port())
	addr := a.Addr()
	if binary.NativeEndian.Uint16(raw) == unix.AF_INET {
		if !addr.Unmap().Is4() {
			return nil, false
		}
		v4 := addr.Unmap().As4()
		copy(raw[4:], v4[:])
		return raw, true
	}
	if addr.Is4() && addr.IsUnspecified() && like[18] != 0xff {
		addr = netip.IPv6Unspecified() // the name of a socket that is not bound
	}
	v6 := addr.As16() // an IPv4 address becomes a mapped one
	copy(raw[8:], v6[:])
	if i := scope(addr.Zone()); i != 0 && len(raw) >= unix.SizeofSockaddrInet6 {
		binary.NativeEndian.PutUint32(raw[24:], i)
	}
	return raw, true
}

// scope is the interface index of a zone, 0 if there is none of that name.
func scope(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if i, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(i)
	}
	if i, err := net.InterfaceByName(zone); err == nil {
		return uint32(i.Index)
	}
	return 0
}

// closest is the one of addrs that has the family of peer and the longest prefix
// in common with it, the first of equals: where a host has several networks,
// that is the one its kernel would have used. It is the first of addrs if peer
// is not valid, and not valid if no address has the family.
func closest(addrs []netip.Addr, peer netip.Addr) netip.Addr {
	var best netip.Addr
	length := -1
	for _, a := range addrs {
		if !peer.IsValid() {
			return a
		}
		if a.Is4() != peer.Is4() {
			continue
		}
		if n := commonBits(a, peer); n > length {
			best, length = a, n
		}
	}
	return best
}

func commonBits(a, b netip.Addr) int {
	n := 0
	x, y := a.As16(), b.As16()
	for i := range x {
		if x[i] == y[i] {
			n += 8
			continue
		}
		for d := x[i] ^ y[i]; d&0x80 == 0; d <<= 1 {
			n++
		}
		break
	}
	return n
}
