package mem

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
)

// Key is the identity of a memory object in the kernel: device and inode.
type Key struct {
	Dev uint64 // as stat(2) encodes it
	Ino uint64
}

// SharedSet collects the shared memory objects of a pod.
type SharedSet struct {
	Root   string // the pod's root as this process sees it
	ShmDir string // the private tmpfs, a path in the pod
	shmDev uint64
	byKey  map[Key]*sharedObject
	list   []*sharedObject

	resident map[viewKey]resident
}

type sharedObject struct {
	image.Shared
	views []view
	fd    int // a duplicate of a descriptor of it, or -1
}

// view is a mapping of the object in a stopped process.
type view struct {
	pid        int
	start, end uint64
	offset     uint64
	unreadable bool
	resident   resident
}

// NewSharedSet starts a collection for a pod. The caller must Close it.
func NewSharedSet(root, shmDir string) (*SharedSet, error) {
	s := &SharedSet{Root: root, ShmDir: shmDir, byKey: map[Key]*sharedObject{}, resident: map[viewKey]resident{}}
	var st unix.Stat_t
	if err := unix.Stat(root+shmDir, &st); err != nil {
		return nil, fmt.Errorf("stat the pod's %s: %w", shmDir, err)
	}
	s.shmDev = st.Dev
	return s, nil
}

// Close closes the duplicates that the set holds.
func (s *SharedSet) Close() {
	for _, o := range s.list {
		if o.fd >= 0 {
			_ = unix.Close(o.fd) // nothing was written to it
			o.fd = -1
		}
	}
}

// add returns the object of a key, made on the first call.
func (s *SharedSet) add(k Key, kind, name string, deleted bool) *sharedObject {
	o, ok := s.byKey[k]
	if !ok {
		o = &sharedObject{Shared: image.Shared{
			ID: image.SharedID(len(s.list) + 1), Kind: kind, Name: name, Deleted: deleted,
		}, fd: -1}
		if kind == image.SharedSysV {
			o.ShmID = int(k.Ino)
		}
		s.byKey[k] = o
		s.list = append(s.list, o)
	}
	return o
}

// kindOf tells what object a name that the kernel gives belongs to; ok is false
// for a file of a disk or a device.
func (s *SharedSet) kindOf(name string, dev uint64) (kind string, ok bool) {
	switch {
	case strings.HasPrefix(name, "/SYSV"):
		return image.SharedSysV, true
	case strings.HasPrefix(name, "/memfd:"):
		return image.SharedMemfd, true
	case name == "/dev/zero" && major(dev) == 0, name == anonHuge:
		return image.SharedAnon, true
	case dev == s.shmDev:
		return image.SharedTmpfs, true
	}
	return "", false
}

// Mapping notes a shared mapping, or a private one of a named file of the
// private tmpfs, and returns its object; ok is false for a mapping of a file or
// device. A private mapping does not show what the object is: of one without a
// name it is all that is left, and belongs to the process.
func (s *SharedSet) Mapping(pid int, v *procfs.VMA) (id image.SharedID, ok bool) {
	dev, err := ParseDev(v.Dev)
	if err != nil {
		return 0, false
	}
	kind, ok := s.kindOf(v.Name, dev)
	if !ok || !v.Shared && (kind != image.SharedTmpfs || v.Deleted) {
		return 0, false
	}
	k := Key{dev, v.Inode}
	o := s.add(k, kind, v.Name, v.Deleted)
	if !v.Shared {
		return o.ID, true
	}
	s.view(pid, v, o, s.resident[viewKey{k, v.Offset, v.End - v.Start}])
	return o.ID, true
}

func (s *SharedSet) view(pid int, v *procfs.VMA, o *sharedObject, in resident) {
	o.views = append(o.views, view{pid, v.Start, v.End, v.Offset, !v.Read, in})
	o.Size = max(o.Size, int64(v.Offset+v.End-v.Start))
}

// Deleted notes a shared mapping of a deleted file of a disk, which is then saved
// and restored as memory is; ok is false for one of something else. What has no
// file system that is mounted looks like a deleted file in the root directory.
func (s *SharedSet) Deleted(pid int, v *procfs.VMA) (id image.SharedID, ok bool) {
	dev, err := ParseDev(v.Dev)
	if err != nil {
		return 0, false
	}
	var st unix.Stat_t
	for dir := path.Dir(v.Name); unix.Stat(s.Root+dir, &st) != nil; dir = path.Dir(dir) {
		if dir == "/" {
			return 0, false
		}
	}
	if st.Dev != dev {
		return 0, false
	}
	o := s.add(Key{dev, v.Inode}, image.SharedDisk, v.Name, true)
	s.view(pid, v, o, nil) // what is not in memory is on the disk
	return o.ID, true
}

// File notes a descriptor and returns its object; ok is false for one that is
// no memory. link is where /proc/PID/fd/N leads; fd stays the caller's.
func (s *SharedSet) File(fd int, st *unix.Stat_t, link string) (id image.SharedID, ok bool, err error) {
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return 0, false, nil
	}
	name, deleted := strings.CutSuffix(link, " (deleted)")
	kind, ok := s.kindOf(name, st.Dev)
	if !ok {
		if s.byKey[Key{st.Dev, st.Ino}] == nil {
			return 0, false, nil
		}
		kind = image.SharedDisk // it is mapped, too
	}
	o := s.add(Key{st.Dev, st.Ino}, kind, name, deleted)
	o.Size, o.Mode, o.Deleted = st.Size, st.Mode, st.Nlink == 0 // it may have another name
	if kind == image.SharedMemfd {
		if o.HugePage, err = hugePageOf(fd); err != nil {
			return 0, false, fmt.Errorf("fstatfs of %s: %w", link, err)
		}
		if o.Seals, err = unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0); err != nil {
			return 0, false, fmt.Errorf("F_GET_SEALS of %s: %w", link, err)
		}
	}
	if o.fd < 0 {
		// Opened anew for reading: the descriptor may be write-only.
		f, err := unix.Open("/proc/self/fd/"+strconv.Itoa(fd), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return 0, false, fmt.Errorf("open %s to read it: %w", link, err)
		}
		o.fd = f
	}
	return o.ID, true, nil
}

// Named notes a regular file of the private tmpfs that has a name there.
func (s *SharedSet) Named(rel string, st *unix.Stat_t) (image.SharedID, error) {
	name := path.Join(s.ShmDir, rel)
	o := s.add(Key{st.Dev, st.Ino}, image.SharedTmpfs, name, false)
	o.Name, o.Deleted, o.Size, o.Mode = name, false, st.Size, st.Mode
	if o.fd < 0 {
		f, err := unix.Open(s.Root+name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
		if err != nil {
			return 0, fmt.Errorf("open %s to read it: %w", name, err)
		}
		o.fd = f
	}
	return o.ID, nil
}

// Segment notes a System V segment and returns its object, which may have no
// mapping: then attach says where the caller has mapped it to be read.
func (s *SharedSet) Segment(dev uint64, shmid int, size int64) (id image.SharedID, mapped bool) {
	for _, o := range s.list {
		if o.Kind == image.SharedSysV && o.ShmID == shmid {
			o.Size = max(o.Size, size) // of huge pages there may be more than was asked for
			return o.ID, len(o.views) > 0
		}
	}
	o := s.add(Key{dev, uint64(shmid)}, image.SharedSysV, "", true)
	o.Size = size
	return o.ID, false
}

// AddView tells where else an object can be read: at addr in pid, as a whole.
func (s *SharedSet) AddView(id image.SharedID, pid int, addr uint64) error {
	vmas, err := procfs.Maps(pid, true)
	for i := range vmas {
		if v := &vmas[i]; v.Start == addr {
			o := s.list[id-1]
			o.views = append(o.views, view{pid: pid, start: v.Start, end: v.End})
			o.Size, o.HugePage = max(o.Size, int64(v.End-v.Start)), v.HugePage
			return nil
		}
	}
	return errors.Join(err, fmt.Errorf("process %d has nothing mapped at %#x", pid, addr))
}

// Objects lists what was collected, by ID, each with its page object.
func (s *SharedSet) Objects(first image.ObjectID) []image.Shared {
	out := make([]image.Shared, len(s.list))
	for i, o := range s.list {
		o.Object = first + image.ObjectID(i)
		out[i] = o.Shared
	}
	return out
}

// ParseDev turns the "fe:01" of /proc/PID/maps into stat(2)'s encoding.
func ParseDev(s string) (uint64, error) {
	ma, mi, _ := strings.Cut(s, ":")
	a, err := strconv.ParseUint(ma, 16, 32)
	if err != nil {
		return 0, err
	}
	i, err := strconv.ParseUint(mi, 16, 32)
	return unix.Mkdev(uint32(a), uint32(i)), err
}

func major(dev uint64) uint32 { return unix.Major(dev) }
