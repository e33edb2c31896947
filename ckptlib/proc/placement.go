package proc

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// ioprioWhoProcess is IOPRIO_WHO_PROCESS of ioprio_get(2), which means a thread.
const ioprioWhoProcess = 1

// captureIOPriority reads the priority of a thread's I/O, which without one of
// its own comes from its nice value.
func captureIOPriority(tid int, t *image.Thread) error {
	n, _, e := unix.Syscall(unix.SYS_IOPRIO_GET, ioprioWhoProcess, uintptr(tid), 0)
	if e != 0 && e != unix.ENOSYS {
		return fmt.Errorf("ioprio_get: %w", e)
	}
	if e == 0 {
		t.IOPriority = int(n)
	}
	return nil
}

// restoreIOPriority sets it, if the nice value has not, as far as this user may.
func restoreIOPriority(tid int, t *image.Thread) {
	var now image.Thread
	if captureIOPriority(tid, &now) == nil && now.IOPriority != t.IOPriority {
		_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, ioprioWhoProcess, uintptr(tid), uintptr(t.IOPriority)) // EPERM: it was started with more rights
	}
}

// nodeWords is the size of a set of NUMA nodes, as large as any kernel's.
const nodeWords = 16

// captureMemoryPolicy asks a thread on which NUMA nodes it has memory made.
func captureMemoryPolicy(b *tracer.Batch, t *image.Thread) error {
	return errors.Join(
		b.Ask(8, func(_ uint64, out []byte, err error) error {
			mode := binary.LittleEndian.Uint32(out)
			if err == nil && mode != 0 { // MPOL_DEFAULT
				t.Memory = &image.MemoryPolicy{Mode: mode}
			}
			return ignoring(err, unix.ENOSYS)
		}, unix.SYS_GET_MEMPOLICY, tracer.Out),
		b.Ask(8*nodeWords, func(_ uint64, out []byte, err error) error {
			if err == nil && t.Memory != nil {
				for i := range nodeWords {
					t.Memory.Nodes = append(t.Memory.Nodes, binary.LittleEndian.Uint64(out[8*i:]))
				}
				for n := nodeWords; n > 0 && t.Memory.Nodes[n-1] == 0; n-- {
					t.Memory.Nodes = t.Memory.Nodes[:n-1]
				}
			}
			return ignoring(err, unix.ENOSYS)
		}, unix.SYS_GET_MEMPOLICY, 0, tracer.Out, 64*nodeWords),
	)
}

// ignoring takes an error for none if it is the one that is expected.
func ignoring(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

// restoreMemoryPolicy sets it, if this host has such nodes.
func restoreMemoryPolicy(r *tracer.Remote, t *image.Thread) error {
	if t.Memory == nil {
		return nil
	}
	nodes := append([]uint64{}, t.Memory.Nodes...)
	addr, err := r.PutWords(0, append(nodes, make([]uint64, nodeWords-len(nodes))...)...)
	if err != nil {
		return err
	}
	_, err = r.Syscall(unix.SYS_SET_MEMPOLICY, uint64(t.Memory.Mode), addr, 64*nodeWords)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("set_mempolicy: %w", err)
	}
	return nil
}
