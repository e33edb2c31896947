package kobj

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/linux"
)

// soPassPIDF is an option of sockets that x/sys does not have (Linux 6.5).
const soPassPIDF = 76

// sockopt is a socket option whose value getsockopt(2) gives in the form in
// which setsockopt(2) takes it, apart from what set says.
type sockopt struct {
	level, name int
	size        int
	when        when
	datagram    bool // means something to datagram sockets only
	// locks, if not 0, is the bit of SO_BUF_LOCK that says that the program has set it.
	locks int
	// set, if not nil, replaces the value: nil is not to be set.
	set func([]byte) []byte
	// same, if not nil, tells that two values mean the same.
	same func(a, b []byte) bool
}

// when is at which time of a restore an option is set.
type when int

const (
	// beforeBind are those that bind(2) or connect(2) look at.
	beforeBind when = iota
	// onceMade are those of a socket that stands.
	onceMade
	// atLast are those that would be in the way of what a restore does with the
	// socket: small buffers of what was in flight, a large low-water mark of a poll.
	atLast
)

// half undoes that the kernel doubles the size of a buffer that is set.
func half(v []byte) []byte {
	return binary.NativeEndian.AppendUint32(nil, binary.NativeEndian.Uint32(v)/2)
}

func sameText(a, b []byte) bool {
	return bytes.Equal(bytes.TrimRight(a, "\x00"), bytes.TrimRight(b, "\x00"))
}

func (o *sockopt) equal(a, b []byte) bool {
	if o.same != nil {
		return o.same(a, b)
	}
	return bytes.Equal(a, b)
}

// read returns the value, nil if the socket has no such option.
func (o *sockopt) read(fd int) []byte {
	b := make([]byte, o.size)
	n := uint32(len(b))
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(o.level), uintptr(o.name),
		uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&n)), 0)
	if e != 0 || int(n) > len(b) {
		return nil
	}
	return b[:n]
}

func (o *sockopt) write(fd int, v []byte) error {
	_, _, e := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(o.level), uintptr(o.name),
		uintptr(unsafe.Pointer(&v[0])), uintptr(len(v)), 0)
	if e != 0 {
		return e
	}
	return nil
}

// applies tells whether an option means something to sockets of a family: an
// AF_INET6 socket has those of IPPROTO_IP, too.
func (o *sockopt) applies(family, typ int) bool {
	if o.datagram && typ != unix.SOCK_DGRAM {
		return false
	}
	inet := family == unix.AF_INET || family == unix.AF_INET6
	switch o.level {
	case unix.IPPROTO_TCP:
		return inet && typ == unix.SOCK_STREAM
	case unix.IPPROTO_UDP:
		return inet && typ == unix.SOCK_DGRAM
	case unix.IPPROTO_IP:
		return inet
	case unix.IPPROTO_IPV6:
		return family == unix.AF_INET6
	case unix.SOL_NETLINK:
		return family == unix.AF_NETLINK
	}
	return true
}

// defaults are the values that a fresh socket has in this network namespace, by
// family, type and protocol.
var defaults = struct {
	sync.Mutex
	m map[[3]int][][]byte
}{m: map[[3]int][][]byte{}}

func defaultOptions(family, typ, proto int) ([][]byte, error) {
	defaults.Lock()
	defer defaults.Unlock()
	key := [3]int{family, typ, proto}
	if v, ok := defaults.m[key]; ok {
		return v, nil
	}
	fd, err := unix.Socket(family, typ|unix.SOCK_CLOEXEC, proto)
	if err != nil {
		return nil, fmt.Errorf("make a socket of family %d to compare with: %w", family, err)
	}
	defer unix.Close(fd)
	v := make([][]byte, len(sockopts))
	for i := range sockopts {
		if o := &sockopts[i]; o.applies(family, typ) {
			v[i] = o.read(fd)
		}
	}
	defaults.m[key] = v
	return v, nil
}

// captureOptions records the options that a fresh socket does not have. Buffer
// sizes of TCP change by themselves; they are recorded if the program has set
// them.
func captureOptions(fd, family, typ, proto int) (image.Options, error) {
	fresh, err := defaultOptions(family, typ, proto)
	if err != nil {
		return nil, err
	}
	lock, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, linux.SOBufLock)
	if err != nil {
		lock = 0 // before Linux 5.14 nobody can tell
		if typ != unix.SOCK_STREAM || family == unix.AF_UNIX {
			lock = linux.SndBufLock | linux.RcvBufLock // their buffers do not change by themselves
		}
	}
	var all image.Options
	for i := range sockopts {
		o := &sockopts[i]
		if !o.applies(family, typ) || o.locks != 0 && lock&o.locks == 0 {
			continue
		}
		// A buffer whose size was set never changes by itself, also where it was set to
		// what is the default.
		if v := o.read(fd); v != nil && fresh[i] != nil && (o.locks != 0 || !o.equal(v, fresh[i])) {
			all = append(all, image.Option{Level: o.level, Name: o.name, Value: v})
		}
	}
	return all, nil
}

// restoreOptions sets the options whose time it is. One that the user may not set
// or the kernel does not have is a warning: a program runs without it, unless it
// is about addresses.
func restoreOptions(m *Maker, fd int, opts image.Options, now when) error {
	for _, want := range opts {
		i := slices.IndexFunc(sockopts, func(o sockopt) bool { return o.level == want.Level && o.name == want.Name })
		if i < 0 || sockopts[i].when != now || len(want.Value) == 0 {
			continue
		}
		o := &sockopts[i]
		if o.locks == 0 && o.equal(o.read(fd), want.Value) {
			continue
		}
		v := want.Value
		if o.set != nil {
			v = o.set(v)
		}
		err := o.write(fd, v)
		switch {
		case err == nil && o.set != nil && !o.equal(o.read(fd), want.Value):
			m.Warn("a socket's buffer of %d bytes got %d: raise net.core.wmem_max and net.core.rmem_max on this host",
				binary.NativeEndian.Uint32(want.Value), binary.NativeEndian.Uint32(o.read(fd)))
		case err == nil:
		case now != beforeBind:
			m.Warn("a socket's option %d of level %d is not restored on this host: %v", o.name, o.level, err)
		default:
			return fmt.Errorf("set option %d of level %d to %x: %w", o.name, o.level, v, err)
		}
	}
	return nil
}
