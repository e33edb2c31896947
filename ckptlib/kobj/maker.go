package kobj

import (
	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// A Maker is what a kind needs of the restart that restores it.
type Maker struct {
	Pod *image.Pod
	// Root is an O_PATH descriptor of the pod's root directory: paths of the
	// image are opened below it (openat2(2) with RESOLVE_IN_ROOT), so that the
	// descriptions have the pod's mounts and links.
	Root int
	// Blob reads bytes of the store.
	Blob func(image.Blob) ([]byte, error)
	// Pages reads bytes of the store in pieces, without those of holes. The last
	// piece may be longer than the rest of the bytes.
	Pages func(b image.Blob, each func(off int64, b []byte) error) error
	// Shared opens a shared memory object with the given open flags. The
	// descriptor is the caller's.
	Shared func(id image.SharedID, flags int) (int, error)
	// MQueue opens a POSIX message queue with the given open flags. The descriptor
	// is the caller's.
	MQueue func(id uint64, flags int) (int, error)
	// File returns this process's descriptor of a description that has been
	// restored, to be used and not closed.
	File func(image.FileID) (int, error)
	// Stdio returns this process's end for a stream and role, to be duplicated.
	Stdio func(stream string, role int) (int, error)
	// PIDOf translates a pid of the pod to this process's view.
	PIDOf func(pid int) (int, error)
	// Syscall runs a system call in a process of the pod (its leader thread), or in a
	// thread, for what only it can do. The arguments that are []byte are put into the
	// process's memory and replaced by their address.
	Syscall func(pid int, nr uintptr, args ...any) (uint64, error)
	// Conn returns the socket that Connect made for one end of a connection, to
	// be taken over; a connected TCP socket.
	Conn func(name string, dialer bool) (int, error)
	// Listener tells the translator of a listening or bound inet socket that
	// was restored: virtual address and the real one it got.
	Bound func(fd int, virtual string) error
	// RealAddr translates a virtual local address of the image to one that can be
	// bound on this host.
	RealAddr func(virtual string) string
	// RealPeer translates the virtual address that a UDP socket was connected to.
	// It may be nil: then the address is taken as it is.
	RealPeer func(virtual string) string
	// FilePolicy is what becomes of a file open for writing: "truncate" to its
	// recorded size, "keep", or "fail" if it differs.
	FilePolicy string
	// Warn tells the user of something that is different from before.
	Warn func(format string, args ...any)

	stash map[string]int
	done  map[string]bool
}

// once tells whether name is asked for the first time, for what is done with
// the first of several descriptions of one object.
func (m *Maker) once(name string) bool {
	if m.done[name] {
		return false
	}
	if m.done == nil {
		m.done = map[string]bool{}
	}
	m.done[name] = true
	return true
}

// Stash keeps a descriptor until Take asks for it under the same name, for
// ends that are made in pairs.
func (m *Maker) Stash(name string, fd int) {
	if m.stash == nil {
		m.stash = map[string]int{}
	}
	m.stash[name] = fd
}

// Take returns a stashed descriptor and forgets it.
func (m *Maker) Take(name string) (int, bool) {
	fd, ok := m.stash[name]
	delete(m.stash, name)
	return fd, ok
}

// Close closes what was stashed and not taken: the ends that no process holds.
func (m *Maker) Close() {
	for name, fd := range m.stash {
		_ = unix.Close(fd) // nothing was written to it
		delete(m.stash, name)
	}
}
