package names

import (
	"errors"

	"golang.org/x/sys/unix"
)

// deliver gives an accepted connection to the thread, or holds it for the next
// accept if the thread was interrupted meanwhile. That a thread has a connection
// is certain, unlike other answers: it puts the descriptor into its table itself
// before the kernel reports success.
func (v *visit) deliver(conn int, flags uint64, room int32) {
	raw, real, err := kernelName(unix.SYS_GETPEERNAME, conn)
	if err != nil {
		// Reset meanwhile: accept returns it all the same, without a name.
		raw = make([]byte, unix.SizeofSockaddrInet4)
		if v.id.family == unix.AF_INET6 {
			raw = make([]byte, unix.SizeofSockaddrInet6)
		}
		raw[0] = byte(v.id.family)
	} else if id, ok := identify(conn); ok {
		if _, local, err := kernelName(unix.SYS_GETSOCKNAME, conn); err == nil {
			if named, ok := encode(raw, v.remote(v.peer, id, local, real)); ok {
				raw = named
			}
		}
	}
	// The descriptor is still nobody else's, so its flags may be set.
	err = unix.SetNonblock(conn, flags&unix.SOCK_NONBLOCK != 0)
	if err != nil || !v.change() {
		v.putDown(conn, false)
		return
	}
	defer v.act.RUnlock()
	v.putDown(conn, v.give(conn, flags, raw, room))
}

// give is the end of deliver; it reports whether the thread has what it gets.
func (v *visit) give(conn int, flags uint64, name []byte, room int32) bool {
	if err := v.write(name, room); err != nil {
		v.answer(errnoOf(err)) // the kernel, too, finds this out after it has accepted
		return true
	}
	a := addFD{ID: v.req.ID, SrcFD: uint32(conn)}
	if flags&unix.SOCK_CLOEXEC != 0 {
		a.NewFDFlags = unix.O_CLOEXEC
	}
	v.giveBack()
	err := giveFD(v.fd, a)
	if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ESRCH) {
		v.answer(errnoOf(err)) // EMFILE: the process has no room for it now
	}
	return err == nil
}
