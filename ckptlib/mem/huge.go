package mem

import (
	"errors"
	"math/bits"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// anonHuge is what the kernel calls memory of huge pages that has no name
// (MAP_HUGETLB): inside it is a file of hugetlbfs.
const anonHuge = "/anon_hugepage"

// hugeMemory tells huge pages of memory from those of a hugetlbfs that is mounted.
// A private mapping of a memfd may have some of its pages from that.
func hugeMemory(v *procfs.VMA) bool {
	return v.Name == anonHuge || v.Shared && (strings.HasPrefix(v.Name, "/memfd:") || strings.HasPrefix(v.Name, "/SYSV"))
}

// hugePageOf is the size of a file's huge pages, 0 if it has none.
func hugePageOf(fd int) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil || st.Type != unix.HUGETLBFS_MAGIC {
		return 0, err
	}
	return uint64(st.Bsize), nil
}

// HugePages adds to shared memory objects the size of the huge pages that they
// are made of, which mappings tell.
func HugePages(objects []image.Shared, mappings []image.Mapping) {
	for i := range mappings {
		if m := &mappings[i]; m.HugePage != 0 && m.SharedID != 0 {
			objects[m.SharedID-1].HugePage = m.HugePage
		}
	}
}

// HugeFlags are what mmap(2), memfd_create(2) and shmget(2) take for huge pages
// of a size, each with a flag of its own for huge pages as such.
func HugeFlags(size uint64) int { return bits.TrailingZeros64(size) << 26 }

// NoHugePages tells whether err says that this host has not enough huge pages of
// a size, or not for this user. A program goes on with ordinary memory, slower.
func NoHugePages(err error) bool {
	return errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EPERM)
}

// MakeHuge makes a file of memory in huge pages, and maps all of it here: that
// takes the pages, and the file can be written to in no other way.
func MakeHuge(name string, flags int, size int64, page uint64) (fd int, view []byte, err error) {
	fd, err = unix.MemfdCreate(name, flags|unix.MFD_HUGETLB|HugeFlags(page))
	if err != nil {
		return -1, nil, err
	}
	if err = unix.Ftruncate(fd, size); err == nil && size > 0 {
		view, err = unix.Mmap(fd, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, nil, err
	}
	return fd, view, nil
}

// mapHuge maps private memory in huge pages, or in ordinary ones: where the host
// has too few, and where the memory may not be written to, for a tracer, which
// can fill other memory all the same, cannot fill huge pages then.
func mapHuge(r *tracer.Remote, im *image.Process, m *image.Mapping, src Source) error {
	err := error(unix.EPERM)
	if m.Prot&unix.PROT_WRITE != 0 {
		all := *m
		all.NoReserve = false // to be told now whether there are enough
		b := r.Batch()
		if err = mapAt(b, &all, ^uint64(0), unix.MAP_ANONYMOUS|unix.MAP_FIXED_NOREPLACE|unix.MAP_HUGETLB|uint64(HugeFlags(m.HugePage)), m.Offset); err == nil {
			err = b.Run()
		}
	}
	if err == nil || !NoHugePages(err) {
		return err
	}
	src.Warn("process %d has ordinary memory instead of %d huge pages at %#x: %v", im.PID, (m.End-m.Start)/m.HugePage, m.Start, errors.Unwrap(err))
	b := r.Batch()
	return errors.Join(mapAt(b, m, ^uint64(0), unix.MAP_ANONYMOUS|unix.MAP_FIXED_NOREPLACE, m.Offset), b.Run())
}
