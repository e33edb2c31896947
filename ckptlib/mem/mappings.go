package mem

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
)

// advice maps VmFlags of /proc/PID/smaps (proc(5)) to what madvise(2) is to be
// told again.
var advice = []struct {
	flag string
	call int
}{
	{"sr", unix.MADV_SEQUENTIAL},
	{"rr", unix.MADV_RANDOM},
	{"dc", unix.MADV_DONTFORK},
	{"dd", unix.MADV_DONTDUMP},
	{"mg", unix.MADV_MERGEABLE},
	{"hg", unix.MADV_HUGEPAGE},
	{"nh", unix.MADV_NOHUGEPAGE},
	{"wf", unix.MADV_WIPEONFORK},
}

// Kernel reports whether a mapping is the kernel's own: it has no content to
// save.
func Kernel(name string) bool {
	switch name {
	case "[vdso]", "[vvar]", "[vvar_vclock]", "[vsyscall]":
		return true
	}
	return false
}

// UnsupportedError says that a mapping cannot be checkpointed.
type UnsupportedError struct {
	PID  int // in the pod
	Name string
	Hint string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("process %d: its mapping of %s cannot be checkpointed; %s", e.PID, e.Name, e.Hint)
}

// Capture describes the mappings of a stopped process. Shared memory objects go
// to set, mapped files to files. Where the VmFlags have not been read, Complete
// has to follow.
func Capture(pid, podPID int, vmas []procfs.VMA, set *SharedSet, files *FileSet) ([]image.Mapping, error) {
	out := make([]image.Mapping, 0, len(vmas))
	for i := range vmas {
		v := &vmas[i]
		if v.Name == "[vsyscall]" {
			continue // every process has it, at the same place
		}
		m := image.Mapping{Start: v.Start, End: v.End, Name: v.Name, Shared: v.Shared, Prot: prot(v)}
		if Kernel(v.Name) {
			out = append(out, m)
			continue
		}
		if err := setFlags(&m, podPID, v); err != nil {
			return nil, err
		}
		if err := backing(pid, podPID, v, &m, set, files); err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// setFlags notes what the VmFlags of a mapping tell, or refuses it.
func setFlags(m *image.Mapping, podPID int, v *procfs.VMA) error {
	if hint := refuse(v); hint != "" {
		return &UnsupportedError{podPID, v.Name, hint}
	}
	m.GrowsDown, m.NoReserve, m.Locked = v.Has("gd"), v.Has("nr"), v.Has("lo")
	m.ReadOnly = v.Shared && !v.Has("mw")
	m.HugePage = v.HugePage
	m.Advice = nil
	for _, a := range advice {
		if v.Has(a.flag) {
			m.Advice = append(m.Advice, a.call)
		}
	}
	return nil
}

// Complete adds to mappings that Capture described without VmFlags what these
// tell. vmas are of a copy of the process or, where there is none, of the process
// itself, which has run since: a mapping that is no longer there has the flags
// that the last checkpoint knew.
func Complete(p *image.Process, vmas []procfs.VMA, last *image.Process) error {
	for i := range p.Mappings {
		m := &p.Mappings[i]
		if Kernel(m.Name) {
			continue
		}
		j, ok := slices.BinarySearchFunc(vmas, m.Start, func(v procfs.VMA, start uint64) int { return cmp.Compare(v.Start, start) })
		if ok && vmas[j].Name == m.Name && vmas[j].Shared == m.Shared {
			if err := setFlags(m, p.PID, &vmas[j]); err != nil {
				return err
			}
			continue
		}
		if old := find(last, m); old != nil {
			m.GrowsDown, m.NoReserve, m.Advice, m.ReadOnly = old.GrowsDown, old.NoReserve, old.Advice, old.ReadOnly
		}
	}
	return nil
}

// find returns a process's mapping that begins where m does and is of the same
// kind, or nil.
func find(p *image.Process, m *image.Mapping) *image.Mapping {
	if p == nil {
		return nil
	}
	i, ok := slices.BinarySearchFunc(p.Mappings, m.Start, func(o image.Mapping, start uint64) int { return cmp.Compare(o.Start, start) })
	if !ok || p.Mappings[i].Name != m.Name || p.Mappings[i].Shared != m.Shared {
		return nil
	}
	return &p.Mappings[i]
}

// backing finds out what is behind a mapping.
func backing(pid, podPID int, v *procfs.VMA, m *image.Mapping, set *SharedSet, files *FileSet) error {
	if !strings.HasPrefix(v.Name, "/") {
		return nil // anonymous, private: [heap], [stack], [anon:...]
	}
	if v.Name == anonHuge && !v.Shared {
		return nil
	}
	m.Offset = v.Offset
	if id, ok := set.Mapping(pid, v); ok {
		m.SharedID = id
		return nil
	}
	f, err := files.Mapped(v)
	if err != nil {
		return fmt.Errorf("process %d: %w", podPID, err)
	}
	if !f.Deleted || !v.Shared {
		m.File = f
		return nil
	}
	id, ok := set.Deleted(pid, v)
	if !ok {
		return &UnsupportedError{
			podPID, v.Name + " (deleted)",
			"it is no memory, and no file of a file system that is mounted: let the program use another kind of memory",
		}
	}
	m.SharedID = id
	return nil
}

func prot(v *procfs.VMA) (p int) {
	if v.Read {
		p |= unix.PROT_READ
	}
	if v.Write {
		p |= unix.PROT_WRITE
	}
	if v.Exec {
		p |= unix.PROT_EXEC
	}
	return p
}

const kernels = "memory that the kernel shares with the process for this is not supported"

// refuse names the remedy for a mapping that is none of memory and files, or
// "".
func refuse(v *procfs.VMA) string {
	switch {
	case v.Has("ht") && !hugeMemory(v), strings.HasPrefix(v.Name, "/dev/hugepages/"):
		return "files of hugetlbfs are not supported: run the job without them, or with memory of huge pages (MAP_HUGETLB, MFD_HUGETLB, SHM_HUGETLB)"
	case strings.HasPrefix(v.Name, "/dev/infiniband"), strings.HasPrefix(v.Name, "/dev/hfi"):
		return "run the job over TCP: --mca btl self,vader,tcp (Open MPI) or UCX_TLS=self,tcp,sm (MPICH)"
	case strings.HasPrefix(v.Name, "anon_inode:[io_uring]"), strings.HasPrefix(v.Name, "/[io_uring]"):
		return "io_uring is not supported: let the program use another method of input and output"
	case strings.HasPrefix(v.Name, "anon_inode:"):
		return kernels
	case v.Has("io"), v.Has("pf"), strings.HasPrefix(v.Name, "/dev/") && !strings.HasPrefix(v.Name, "/dev/shm/") && !strings.HasPrefix(v.Name, "/dev/zero"):
		return "it is a device's memory: run the job without the device"
	case strings.HasPrefix(v.Name, "/[aio]"), v.Name == "[uprobes]", strings.HasPrefix(v.Name, "socket:"):
		return kernels
	}
	return ""
}
