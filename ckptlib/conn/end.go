package conn

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
)

// End is one TCP socket of a job that has a peer, or listens, as its agent found
// it.
type End struct {
	Inode uint64 // of the socket, unique within NetID; 0 of one that no program has any more
	// NetID names the network namespace that the socket is in, over all hosts:
	// the kernel's boot id and the inode of the namespace. Loopback addresses
	// mean something within one NetID only.
	NetID string
	// Local and Remote are the real addresses. IPv4 addresses that are mapped
	// into IPv6 are taken as the IPv4 addresses they are.
	Local  netip.AddrPort
	Remote netip.AddrPort
	State  uint8 // one of the State... constants
}

// ID is what an end is called whose partner is near or far. It depends on nothing
// but the addresses and the namespace, so it is the same at every checkpoint.
func (e *End) ID(p Partner) ID {
	var id ID
	_, id.Dialer = e.route()
	dialer, acceptor := plain(e.Local), plain(e.Remote)
	if !id.Dialer {
		dialer, acceptor = acceptor, dialer
	}
	b := make([]byte, 0, 96)
	b = append(dialer.AppendTo(b), '-')
	b = acceptor.AppendTo(b)
	if p == Near {
		b = append(append(b, '@'), e.NetID...)
	}
	id.Name = string(b)
	return id
}

// route is the addresses of a connection, as both of its ends write them: first
// those of the end that dials at a restart, which may be any as long as both know.
// Such arrays are compared at once, which netip's addresses are not.
type route [2][18]byte

// route returns that of an end, and whether it is the one that dials.
func (e *End) route() (r route, dials bool) {
	local, remote := bytesOf(e.Local), bytesOf(e.Remote)
	if bytes.Compare(local[:], remote[:]) < 0 {
		return route{local, remote}, true
	}
	return route{remote, local}, false
}

func bytesOf(a netip.AddrPort) (b [18]byte) {
	ip := a.Addr().As16()
	copy(b[:], ip[:])
	binary.BigEndian.PutUint16(b[16:], a.Port())
	return b
}

// local tells whether a connection cannot leave its host.
func (e *End) local() bool {
	return e.Local.Addr().IsLoopback() || e.Remote.Addr().IsLoopback()
}

func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// Ends are those of one pod, which are all in one network namespace.
//
// A job in which all are connected with all has n² of them for n ranks, and the
// coordinator reads them while the job stands still. So they have a binary form:
// one byte with the length of NetID and NetID, then for each end
//
//	offset bytes
//	0      1     State
//	1      8     Inode, little endian
//	9      18    Local: the address as one of IPv6, and the port, big endian
//	27     18    Remote
type Ends []End

const endSize = 45

// MarshalBinary implements encoding.BinaryMarshaler.
func (e Ends) MarshalBinary() ([]byte, error) {
	net := ""
	if len(e) > 0 {
		net = e[0].NetID
	}
	if len(net) > 255 {
		return nil, errors.New("the name of the network namespace is longer than 255 bytes")
	}
	b := make([]byte, 0, 1+len(net)+len(e)*endSize)
	b = append(append(b, byte(len(net))), net...)
	for i := range e {
		b = append(b, e[i].State)
		b = binary.LittleEndian.AppendUint64(b, e[i].Inode)
		for _, a := range []netip.AddrPort{e[i].Local, e[i].Remote} {
			raw := bytesOf(a)
			b = append(b, raw[:]...)
		}
	}
	return b, nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler. An address that is not
// valid comes back as the unspecified one of IPv6.
func (e *Ends) UnmarshalBinary(b []byte) error {
	errNone := errors.New("these are no ends of connections")
	if len(b) == 0 {
		return errNone
	}
	begin := 1 + int(b[0])
	if len(b) < begin || (len(b)-begin)%endSize != 0 {
		return errNone
	}
	net, b := string(b[1:begin]), b[begin:]
	*e = make(Ends, 0, len(b)/endSize)
	for ; len(b) > 0; b = b[endSize:] {
		*e = append(*e, End{
			NetID: net, State: b[0], Inode: binary.LittleEndian.Uint64(b[1:]),
			Local: addrPort(b[9:]), Remote: addrPort(b[27:]),
		})
	}
	return nil
}

func addrPort(b []byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b)).Unmap(), binary.BigEndian.Uint16(b[16:]))
}
