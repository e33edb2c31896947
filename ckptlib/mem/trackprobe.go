package mem

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Probe tells whether this kernel tracks pages for this user, nil if so.
func Probe() error { return tracked() }

var tracked = sync.OnceValue(func() error {
	t, err := ownTracker()
	if err != nil {
		return err
	}
	defer t.Close()
	if err := t.follows(); err != nil {
		return fmt.Errorf("%w: %w", ErrUntracked, err)
	}
	return nil
})

// ownTracker makes a Tracker for this process.
func ownTracker() (*Tracker, error) {
	fd, _, e := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|unix.O_NONBLOCK|uffdUserModeOnly, 0, 0)
	if e != 0 {
		return nil, fmt.Errorf("%w: userfaultfd: %w", ErrUntracked, e)
	}
	return newTracker(int(fd), nil)
}

// follows moves a watched page of this process, and tells whether it counts as
// changed where it is then. From Linux 6.7 until "mm: clear uffd-wp PTE/PMD state on
// mremap()" (6.13 and later ones of the long-term series) it kept its mark, and what
// was written to it there went unseen.
func (t *Tracker) follows() (err error) {
	const all = 2 * PageSize
	from, err := unix.MmapPtr(-1, 0, nil, all, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return os.NewSyscallError("mmap", err)
	}
	defer func() { err = errors.Join(err, os.NewSyscallError("munmap", unix.MunmapPtr(from, all))) }()
	*(*byte)(from) = 1
	to := unsafe.Add(from, PageSize)
	s, err := NewScanner(os.Getpid())
	if err != nil {
		return err
	}
	defer s.Close()
	old, now := uint64(uintptr(from)), uint64(uintptr(to))
	if err := t.register(&watchable{start: old, end: old + PageSize}); err != nil {
		return err
	}
	if err := s.Protect(old, old+PageSize, false); err != nil {
		return err
	}
	if _, err := unix.MremapPtr(from, PageSize, to, PageSize, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED); err != nil {
		return os.NewSyscallError("mremap", err)
	}
	if err := t.register(&watchable{start: now, end: now + PageSize}); err != nil {
		return err
	}
	found, err := s.Private(now, now+PageSize, false, false)
	if err == nil && bytesOf(found.Changed) != PageSize {
		err = errors.New("this kernel takes a page for unchanged that mremap has moved (Linux 6.13 does not)")
	}
	return err
}
