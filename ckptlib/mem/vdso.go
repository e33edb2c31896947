package mem

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// vdsoRoom is more than the kernel's own mappings take, in bytes.
const vdsoRoom = 1 << 20

// moveVDSO moves vvar, vvar_vclock and vdso to where the program found them at
// its start: glibc keeps pointers into them. A move that would overlap itself
// takes a step aside.
func moveVDSO(r *tracer.Remote, vmas []procfs.VMA, im *image.Process, scratch uint64) error {
	var from []procfs.VMA
	var to []image.Mapping
	for _, v := range vmas {
		if Kernel(v.Name) && v.Name != "[vsyscall]" {
			from = append(from, v)
		}
	}
	for _, m := range im.Mappings {
		if Kernel(m.Name) {
			to = append(to, m)
		}
	}
	if err := sameVDSO(from, to); err != nil {
		return err
	}
	if len(from) == 0 || from[0].Start == to[0].Start {
		return nil
	}
	first, last := from[0].Start, from[len(from)-1].End
	aside := scratch + tracer.RoomSize
	if to[0].Start < last && first < to[len(to)-1].End {
		for i := range from {
			if err := moveOne(r, &from[i], aside+from[i].Start-first); err != nil {
				return err
			}
		}
	}
	for i := range from {
		if err := moveOne(r, &from[i], to[i].Start); err != nil {
			return err
		}
	}
	return nil
}

// sameVDSO checks that this kernel's mappings have the image's layout.
func sameVDSO(from []procfs.VMA, to []image.Mapping) error {
	same := len(from) == len(to)
	for i := range from {
		same = same && from[i].Name == to[i].Name && from[i].End-from[i].Start == to[i].End-to[i].Start &&
			from[i].Start-from[0].Start == to[i].Start-to[0].Start
	}
	if !same {
		return errors.New("this host's kernel lays out its vdso otherwise than the checkpoint's: restart on a host with the same kernel")
	}
	return nil
}

// moveOne moves one mapping. The thread executes in the vdso itself; it never
// returns to the instruction after the call, so that the call may move it.
func moveOne(r *tracer.Remote, v *procfs.VMA, to uint64) error {
	size := v.End - v.Start
	if _, err := r.Syscall(unix.SYS_MREMAP, v.Start, size, size, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED, to); err != nil {
		return fmt.Errorf("move %s to %#x: %w", v.Name, to, err)
	}
	v.Start, v.End = to, to+size
	if v.Name == "[vdso]" {
		return r.MoveGadget(tracer.Addr(to))
	}
	return nil
}
