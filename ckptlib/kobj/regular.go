package kobj

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// regularKind is whatever is opened again by its path: a file, a directory, a
// device without a state. It is the last row, and says what is not supported.
var regularKind = Kind{
	Name:    "file",
	Match:   func(*Source) bool { return true },
	Capture: captureRegular,
	Has:     func(f *image.File) bool { return f.Regular != nil },
	Restore: restoreRegular,
	Settle:  settleRegular,
}

// stateless are the devices that are the same wherever they are opened.
var stateless = map[uint64]bool{
	unix.Mkdev(1, 3): true, // null
	unix.Mkdev(1, 5): true, // zero
	unix.Mkdev(1, 7): true, // full
	unix.Mkdev(1, 8): true, // random
	unix.Mkdev(1, 9): true, // urandom
}

func captureRegular(c Capturer, s *Source, f *image.File) error {
	if err := supported(s); err != nil {
		return err
	}
	name, deleted := s.path()
	if deleted && s.Stat.Nlink > 0 && s.Stat.Mode&unix.S_IFMT == unix.S_IFREG {
		if other, ok := s.otherName(); ok {
			name, deleted = other, false
		}
	}
	r := &image.Regular{Path: name, Mode: s.Stat.Mode, Offset: s.Info.Pos, Size: s.Stat.Size}
	if s.Stat.Mode&unix.S_IFMT == unix.S_IFCHR || s.Stat.Mode&unix.S_IFMT == unix.S_IFBLK {
		r.Rdev = s.Stat.Rdev
	}
	if s.ofEnded(name) {
		r.Ended, deleted = true, false
	}
	if r.Deleted = deleted; deleted {
		r.Inode = s.Stat.Ino
		if err := captureDeleted(c, s, r); err != nil {
			return err
		}
	}
	f.Regular = r
	r.Small = readSmall(s, f)
	return nil
}

// supported says what cannot be opened again.
func supported(s *Source) error {
	switch s.Stat.Mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFDIR:
		// Memory without a path is given one that nothing can be at.
		nowhere := strings.HasPrefix(s.Link, "/memfd:") || strings.HasPrefix(s.Link, "/secretmem")
		if strings.HasPrefix(s.Link, "/") && (!nowhere || s.leadsHere(s.Link)) {
			return nil
		}
	case unix.S_IFCHR:
		if strings.HasPrefix(s.Link, "/") && (stateless[s.Stat.Rdev] || s.Flags&unix.O_PATH != 0) {
			return nil
		}
	default:
		if strings.HasPrefix(s.Link, "/") && s.Flags&unix.O_PATH != 0 {
			return nil
		}
	}
	return &UnsupportedError{Source: s.String(), Hint: hint(s.Link)}
}

// hints are remedies, by how the link begins.
var hints = []struct{ prefix, hint string }{
	{"/dev/infiniband/", "run the job over TCP (Open MPI: --mca pml ob1 --mca btl tcp,self,sm; MPICH: FI_PROVIDER=tcp or UCX_TLS=tcp,sm,self)"},
	{"/dev/ipath", "run the job over TCP"},
	{"/dev/hfi1", "run the job over TCP (Open MPI: --mca pml ob1 --mca btl tcp,self,sm)"},
	{"/dev/cxi", "run the job over TCP (FI_PROVIDER=tcp)"},
	{"/dev/nvidia", "run the job without GPUs (CUDA_VISIBLE_DEVICES=)"},
	{"/dev/dri/", "run the job without GPUs"},
	{"/dev/kfd", "run the job without GPUs (ROCR_VISIBLE_DEVICES=)"},
	{"/dev/knem", "turn it off (Open MPI: --mca btl_sm_use_knem 0)"},
	{"/dev/xpmem", "turn it off (UCX_TLS=^xpmem; Open MPI: --mca smsc ^xpmem)"},
	{"anon_inode:[io_uring]", "let the program use ordinary reads and writes (libuv: UV_USE_IO_URING=0)"},
	{"anon_inode:[userfaultfd]", "let the program handle its page faults otherwise"},
	{"anon_inode:[perf_event]", "run the job without the profiler"},
	{"anon_inode:bpf", "run the job without the tracer"},
	{"anon_inode:dma", "run the job without GPUs"},
	{"socket:[", "the job's sockets may be of IPv4, IPv6, the unix family and netlink"},
	{"/dev/tty", "run the job with its standard streams redirected"},
	{"/dev/pts/", "it is a terminal outside of the job: redirect it"},
	{"/dev/console", "redirect it"},
	{"/memfd:", "it is not shared memory that can be mapped again"},
}

func hint(link string) string {
	for _, h := range hints {
		if strings.HasPrefix(link, h.prefix) {
			return h.hint
		}
	}
	if strings.HasPrefix(link, "/dev/") {
		return "the device has a state of which the kernel tells nothing: close it before the checkpoint"
	}
	return "close it before the checkpoint"
}

func restoreRegular(m *Maker, f *image.File) (int, error) {
	if f.Regular.Deleted {
		return restoreDeleted(m, f)
	}
	if f.Regular.Ended {
		return restoreEnded(f)
	}
	fd, err := openRegular(m, f)
	if err != nil {
		return -1, err
	}
	if f.Flags&unix.O_PATH != 0 {
		return fd, nil // has neither offset nor status
	}
	if err := seek(m, fd, f.Regular); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return withStatus(fd, nil, f.Flags)
}

// openRegular looks at what the path leads to before it opens it: a device
// may do something at its opening, and a FIFO wait for a partner.
func openRegular(m *Maker, f *image.File) (int, error) {
	r := f.Regular
	look, err := m.openRoot(r.Path, unix.O_PATH|f.Flags&unix.O_NOFOLLOW|lookFlags(r))
	if errors.Is(err, unix.ENOENT) {
		return -1, fmt.Errorf("%s does not exist on this host: bring the file here, as it was at the checkpoint or later, and restart again: %w", r.Path, err)
	}
	if err != nil {
		return -1, err
	}
	defer unix.Close(look)
	var st unix.Stat_t
	if err := unix.Fstat(look, &st); err != nil {
		return -1, fmt.Errorf("stat %s: %w", r.Path, err)
	}
	if st.Mode&unix.S_IFMT != r.Mode&unix.S_IFMT || r.Rdev != 0 && st.Rdev != r.Rdev {
		return -1, fmt.Errorf("%s is another kind of file than at the checkpoint (mode %#o, was %#o)", r.Path, st.Mode, r.Mode)
	}
	if err := checkSize(m, f, st.Size); err != nil {
		return -1, err
	}
	if f.Flags&unix.O_PATH != 0 {
		return dup(look)
	}
	fd, err := m.openRoot(r.Path, openFlags(f.Flags))
	if errors.Is(err, unix.EINVAL) && f.Flags&unix.O_DIRECT != 0 {
		m.Warn("%s is on a file system without O_DIRECT here: it is read and written through the page cache", r.Path)
		f.Flags &^= unix.O_DIRECT
		fd, err = m.openRoot(r.Path, openFlags(f.Flags))
	}
	return fd, err
}

// lookFlags keeps the look at a symbolic link that was itself opened from
// following it.
func lookFlags(r *image.Regular) int {
	if r.Mode&unix.S_IFMT == unix.S_IFLNK {
		return unix.O_NOFOLLOW
	}
	return 0
}

func seek(m *Maker, fd int, r *image.Regular) error {
	if r.Offset == 0 {
		return nil
	}
	_, err := unix.Seek(fd, r.Offset, unix.SEEK_SET)
	if err == nil {
		return nil
	}
	if r.Mode&unix.S_IFMT == unix.S_IFDIR {
		// A position in a directory is a cookie of the file system.
		m.Warn("%s cannot be listed on from where the program was: it is listed again from its beginning (%v)", r.Path, err)
		return nil
	}
	return fmt.Errorf("set the offset of %s to %d: %w", r.Path, r.Offset, err)
}
