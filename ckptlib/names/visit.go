package names

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/internal/linux"
)

// A visit is the service of one notification.
type visit struct {
	*loop
	req  notification
	tid  int
	task *task

	ctx        context.Context // ends when the thread is known to have been interrupted
	handedOver bool
	cancel     context.CancelFunc // this and done are set once handed over
	done       chan struct{}

	sock int // the thread's socket, a duplicate; -1 before and after
	id   identity
}

// A result is what a thread's last call of bind or connect came to. If the
// thread was interrupted before it had it, it repeats the call, which has been
// done; and it may not have had it although the kernel took the answer, if the
// interruption came at the same moment.
type result struct {
	nr     int32
	args   [6]uint64
	cookie uint64
	errno  unix.Errno
	told   int // how often the kernel took it
}

// maxTold is how often a result is told at most: the answer that told it first
// may have been lost, but hardly the second as well. A program that calls twice
// on purpose is told 0 twice, where the kernel would say EISCONN or EINVAL.
const maxTold = 2

// serve answers a call. Whatever is wrong with the call itself is left to the
// kernel to find, by letting it go on.
func (v *visit) serve() {
	defer v.leave()
	v.sock = -1
	if isMemoryCall(v.req.Nr) {
		v.memoryCall()
		return
	}
	fd, err := linux.GetFD(v.tid, int(int32(v.req.Args[0])))
	if err != nil {
		v.goOn()
		return
	}
	v.sock = fd
	defer v.giveBack()
	// From here on the thread's id is known to have been its own when it was used.
	if !stillValid(v.fd, v.req.ID) {
		return
	}
	var ok bool
	if v.id, ok = identify(fd); !ok {
		v.goOn()
		return
	}
	last := v.takeLast()
	switch v.req.Nr {
	case unix.SYS_CONNECT:
		v.connect(last)
	case unix.SYS_BIND:
		v.bind(last)
	case unix.SYS_ACCEPT, unix.SYS_ACCEPT4:
		v.accept()
	case unix.SYS_GETSOCKNAME, unix.SYS_GETPEERNAME:
		v.name()
	default:
		v.goOn()
	}
}

func (v *visit) leave() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.task.current == v {
		v.task.current = nil
		if v.task.last.nr == 0 {
			delete(v.tasks, v.tid)
		}
	}
	if v.handedOver {
		v.cancel()
		close(v.done)
	}
}

// takeLast returns the result of the thread's call before this one if that was
// the same call, and forgets it.
func (v *visit) takeLast() *result {
	v.mu.Lock()
	defer v.mu.Unlock()
	last := v.task.last
	v.task.last = result{}
	if last.nr != v.req.Nr || last.args != v.req.Args || last.cookie != v.id.cookie {
		return nil
	}
	return &last
}

// tell answers with the result of something that cannot be done twice, new or
// that of an earlier call, and remembers it.
func (v *visit) tell(errno unix.Errno, last *result) {
	r := result{nr: v.req.Nr, args: v.req.Args, cookie: v.id.cookie, errno: errno}
	if last != nil {
		r.told = last.told
	}
	if v.answer(errno) {
		r.told++
	}
	if r.told < maxTold {
		v.mu.Lock()
		v.task.last = r
		v.mu.Unlock()
	}
}

// giveBack closes the duplicate, before the thread is let go: once it has closed
// its socket the port is free, and must not be held here a moment longer.
func (v *visit) giveBack() {
	if v.sock >= 0 {
		_ = unix.Close(v.sock) // a duplicate
		v.sock = -1
	}
}

// goOn lets the kernel do the call as if there were no filter.
func (v *visit) goOn() {
	v.giveBack()
	_ = send(v.fd, response{ID: v.req.ID, Flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE})
}

// answer ends the call with 0 or an error number. It is false if the thread has
// been interrupted: it repeats the call, or is dead.
func (v *visit) answer(errno unix.Errno) bool {
	v.giveBack()
	return send(v.fd, response{ID: v.req.ID, Error: -int32(errno)}) == nil
}

// address reads the address that connect or bind was given.
func (v *visit) address() (raw []byte, a netip.AddrPort, ok bool) {
	n := int32(v.req.Args[2])
	if n < 2 || n > unix.SizeofSockaddrAny {
		return nil, a, false
	}
	raw = make([]byte, n)
	if readMemory(v.tid, v.req.Args[1], raw) != nil {
		return nil, a, false
	}
	if int(binary.NativeEndian.Uint16(raw)) != v.id.family {
		return nil, a, false // AF_UNSPEC, which ends a connection, among them
	}
	a, ok = decode(raw)
	return raw, a, ok
}

// room reads how much space a call has left for an address.
func (v *visit) room() (int32, bool) {
	n, err := readInt(v.tid, v.req.Args[2])
	return n, err == nil && n >= 0
}

// write gives the thread an address as the kernel does: as much of it as there is
// room for, and its full length.
func (v *visit) write(raw []byte, room int32) error {
	if err := writeMemory(v.tid, v.req.Args[1], raw[:min(len(raw), int(room))]); err != nil {
		return err
	}
	var n [4]byte
	binary.NativeEndian.PutUint32(n[:], uint32(len(raw)))
	return writeMemory(v.tid, v.req.Args[2], n[:])
}

func errnoOf(err error) unix.Errno {
	var errno unix.Errno
	if err != nil && !errors.As(err, &errno) {
		return unix.EIO
	}
	return errno
}
