package mem

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/pod"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// A Source opens what mappings are of. The descriptors are the caller's.
type Source interface {
	// File opens a mapped file, or a copy of it, with the given open flags.
	File(f *image.MappedFile, flags int) (int, error)
	// Shared opens a shared memory object that is not System V's.
	Shared(id image.SharedID, flags int) (int, error)
	// ShmID is the System V id of a shared memory object and its size in bytes, ok
	// false if it is none.
	ShmID(id image.SharedID) (shmid int, size uint64, ok bool)
	// Lazy tells whether a mapping of a process gets its content later, and Pages
	// opens the file from which it does.
	Lazy(p *image.Process, m *image.Mapping) bool
	Pages(p *image.Process) (int, error)
	// Warn tells the user what is not as it was.
	Warn(format string, args ...any)
	// Exe opens the process's program.
	Exe(path string) (int, error)
}

// Rebuild gives a stub the address space of the image, without the content of
// private pages (Fill). The stub keeps one mapping more, its scratch memory,
// which proc's Finish takes away.
//
// vdso is the one that the program has known, if it is not this kernel's, else
// nil: then the image gets mappings that it had not.
//
// Preconditions: r is entered in a fresh copy of the pod's init, whose mappings
// are vmas.
func Rebuild(p *pod.Pod, r *tracer.Remote, vmas []procfs.VMA, im *image.Process, src Source, vdso []byte) error {
	detour, err := makeDetour(vdso, vmas, im)
	if err != nil {
		return fmt.Errorf("process %d: %w", im.PID, err)
	}
	scratch, err := moveScratch(r, vmas, im)
	if err != nil {
		return fmt.Errorf("process %d: %w", im.PID, err)
	}
	if err := clearOut(r, vmas); err != nil {
		return fmt.Errorf("process %d: %w", im.PID, err)
	}
	if err := moveVDSO(r, vmas, im, scratch); err != nil {
		return fmt.Errorf("process %d: %w", im.PID, err)
	}
	if err := mapAll(p, r, im, src); err != nil {
		return fmt.Errorf("process %d: %w", im.PID, err)
	}
	if err := detour.write(r.TID); err != nil {
		return fmt.Errorf("process %d: %w", im.PID, err)
	}
	if err := setMM(p, r, im, src); err != nil {
		return fmt.Errorf("process %d: %w", im.PID, err)
	}
	return nil
}

// hole finds room of a size, aligned to pages, that neither the stub's nor the
// image's mappings touch.
func hole(size uint64, vmas []procfs.VMA, im *image.Process) (uint64, error) {
	type span struct{ start, end uint64 }
	var used []span
	for _, v := range vmas {
		used = append(used, span{v.Start, v.End})
	}
	for _, m := range im.Mappings {
		used = append(used, span{m.Start, m.End})
	}
	slices.SortFunc(used, func(a, b span) int {
		if a.start < b.start {
			return -1
		}
		return 1
	})
	at := uint64(0x10000) // vm.mmap_min_addr
	const top = 0x7fff00000000
	for _, s := range used {
		// The distance keeps a stack that grows down from the hole.
		const guard = 1 << 21
		if s.start > at && s.start-at >= size+2*guard && at+guard+size < top {
			return at + guard, nil
		}
		at = max(at, s.end)
	}
	return 0, errors.New("the address space has no room for the restart's own 64 KiB")
}

// moveScratch maps scratch memory where the image has nothing.
func moveScratch(r *tracer.Remote, vmas []procfs.VMA, im *image.Process) (uint64, error) {
	// Room for the vdso as well, which may have to step aside.
	at, err := hole(tracer.RoomSize+vdsoRoom, vmas, im)
	if err != nil {
		return 0, err
	}
	return at, r.MapScratch(tracer.Addr(at))
}

// clearOut unmaps the stub. Only the kernel's own mappings stay, in which the
// system calls are made.
func clearOut(r *tracer.Remote, vmas []procfs.VMA) error {
	b := r.Batch()
	for _, v := range vmas {
		if Kernel(v.Name) {
			continue
		}
		if err := b.Tell(fmt.Sprintf("unmap the stub's %#x", v.Start), nil, unix.SYS_MUNMAP, v.Start, v.End-v.Start); err != nil {
			return err
		}
	}
	return b.Run()
}
