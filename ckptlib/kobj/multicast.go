package kobj

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// Options of multicast(7) with a value of its own: linux/in.h.
const (
	mcastJoin       = 42 // struct group_req
	mcastBlock      = 43 // struct group_source_req
	mcastJoinSource = 46 // likewise
	mcastFilter     = 48 // struct group_filter
	mcastExclude    = 0

	// Where things are in these structures: an interface, then addresses.
	groupAt, sourceAt, groupReqSize, groupSourceReqSize = 8, 136, 136, 264
	filterMode, filterCount, filterSources              = 136, 140, 144

	sockaddrStorage = 128
	mostSources     = 64
)

// captureGroups records the multicast groups that a datagram socket has joined.
// The kernel lists the groups of the host; of which of them a socket is a
// member, it answers when it is asked for the sources.
func captureGroups(s *Source, n *image.Inet) error {
	all, err := hostGroups()
	if err != nil {
		return err
	}
	for _, g := range all {
		if g.Group.Is6() && n.Family != unix.AF_INET6 {
			continue
		}
		b := make([]byte, filterSources+mostSources*sockaddrStorage)
		binary.NativeEndian.PutUint32(b, uint32(g.index))
		putSockaddr(b[groupAt:], g.Group)
		binary.NativeEndian.PutUint32(b[filterCount:], mostSources)
		size := uint32(len(b))
		_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(s.FD), uintptr(groupLevel(g.Group)), mcastFilter,
			uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&size)), 0)
		if e == unix.EADDRNOTAVAIL || e == unix.EINVAL || e == unix.ENOPROTOOPT {
			continue // not a member
		}
		if e != 0 {
			return fmt.Errorf("ask for the filter of multicast group %s: %w", g.Group, e)
		}
		m := g.Membership
		m.Exclude = binary.NativeEndian.Uint32(b[filterMode:]) == mcastExclude
		for i := range min(int(binary.NativeEndian.Uint32(b[filterCount:])), mostSources) {
			m.Sources = append(m.Sources, sockaddrIP(b[filterSources+i*sockaddrStorage:]))
		}
		n.Groups = append(n.Groups, m)
	}
	return nil
}

// restoreGroups joins them again. A host without the interface is no reason not
// to go on.
func restoreGroups(m *Maker, fd int, n *image.Inet) {
	for _, g := range n.Groups {
		if err := joinGroup(fd, g); err != nil {
			m.Warn("a socket is not a member of the multicast group %s on %s any more: %v", g.Group, g.Interface, err)
		}
	}
}

func joinGroup(fd int, g image.Membership) error {
	i, err := net.InterfaceByName(g.Interface)
	if err != nil {
		return err
	}
	req := make([]byte, groupSourceReqSize)
	binary.NativeEndian.PutUint32(req, uint32(i.Index))
	putSockaddr(req[groupAt:], g.Group)
	set := func(option, size int) error {
		_, _, e := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(groupLevel(g.Group)), uintptr(option), uintptr(unsafe.Pointer(&req[0])), uintptr(size), 0)
		if e != 0 {
			return e
		}
		return nil
	}
	option := mcastJoinSource
	if g.Exclude {
		if err := set(mcastJoin, groupReqSize); err != nil {
			return err
		}
		option = mcastBlock
	}
	for _, s := range g.Sources {
		putSockaddr(req[sourceAt:], s)
		if err := set(option, groupSourceReqSize); err != nil {
			return err
		}
	}
	return nil
}

func groupLevel(group netip.Addr) int {
	if group.Is4() {
		return unix.IPPROTO_IP
	}
	return unix.IPPROTO_IPV6
}

// putSockaddr writes an address as a struct sockaddr_in or sockaddr_in6.
func putSockaddr(b []byte, a netip.Addr) {
	if a.Is4() {
		binary.NativeEndian.PutUint16(b, unix.AF_INET)
		copy(b[4:], a.AsSlice())
		return
	}
	binary.NativeEndian.PutUint16(b, unix.AF_INET6)
	copy(b[8:], a.AsSlice())
}

func sockaddrIP(b []byte) netip.Addr {
	if binary.NativeEndian.Uint16(b) == unix.AF_INET {
		return netip.AddrFrom4([4]byte(b[4:8]))
	}
	return netip.AddrFrom16([16]byte(b[8:24]))
}

// hostGroup is a group that somebody on this host has joined.
type hostGroup struct {
	image.Membership
	index int
}

// hostGroups reads /proc/net/igmp and igmp6.
func hostGroups() (all []hostGroup, err error) {
	for name, parse := range map[string]func(words []string, last *hostGroup) (group string, ok bool){
		// "2 eth0 : 1 V3", then a line "FB0000E0 1 0:00000000 0" for each group.
		"igmp": func(w []string, last *hostGroup) (string, bool) {
			if len(w) > 1 && len(w[0]) < 8 {
				last.Interface = strings.TrimSuffix(w[1], ":")
				return "", false
			}
			return w[0], true
		},
		// "2 eth0 ff020000000000000000000000000001 1 0000000C 0"
		"igmp6": func(w []string, last *hostGroup) (string, bool) {
			if len(w) < 3 {
				return "", false
			}
			last.Interface = w[1]
			return w[2], true
		},
	} {
		f, err := os.Open("/proc/thread-self/net/" + name)
		if errors.Is(err, os.ErrNotExist) {
			continue // a kernel without the family
		}
		if err != nil {
			return nil, err
		}
		var last hostGroup
		for lines := bufio.NewScanner(f); lines.Scan(); {
			words := strings.Fields(lines.Text())
			if len(words) == 0 {
				continue
			}
			group, ok := parse(words, &last)
			b, err := hex.DecodeString(group)
			if !ok || err != nil {
				continue // a heading
			}
			if name == "igmp" {
				slices.Reverse(b) // it is printed as a number
			}
			if last.Group, ok = netip.AddrFromSlice(b); !ok {
				continue
			}
			if i, err := net.InterfaceByName(last.Interface); err == nil {
				last.index = i.Index
				all = append(all, last)
			}
		}
		_ = f.Close() // only read
	}
	return all, nil
}
