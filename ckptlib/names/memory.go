package names

import (
	"context"
	"slices"

	"golang.org/x/sys/unix"
)

// MemoryCalls are those that tell memory without a file from memory that is
// mapped from one, or that hold on to its pages: they must not meet memory that
// has not been read yet. In a pod whose memory is not read lazily they are not
// looked at.
var MemoryCalls = append(slices.Clone(ranged),
	unix.SYS_PROCESS_MADVISE, unix.SYS_MLOCKALL, unix.SYS_MIGRATE_PAGES, unix.SYS_MOVE_PAGES,
	unix.SYS_IO_SETUP, unix.SYS_IO_URING_SETUP, unix.SYS_USERFAULTFD,
)

// ranged are those of them whose first two arguments are a range of memory.
var ranged = []uint32{
	unix.SYS_MADVISE, unix.SYS_MREMAP, unix.SYS_MLOCK, unix.SYS_MLOCK2, unix.SYS_PKEY_MPROTECT, unix.SYS_MBIND, unix.SYS_SET_MEMPOLICY_HOME_NODE, unix.SYS_MSEAL,
}

// Memory knows what has not been read yet of the memory of a pod's processes. Its
// methods are called from several goroutines at once.
type Memory interface {
	// Outstanding tells whether any of a range of addresses has not been read.
	Outstanding(start, end uint64) bool
	// Await waits until all of it has been, or until ctx ends.
	Await(ctx context.Context, start, end uint64)
}

// memoryCall has a call wait until the memory that it is about has been read.
func (v *visit) memoryCall() {
	start, end := uint64(0), ^uint64(0)
	if slices.Contains(ranged, uint32(v.req.Nr)) {
		start, end = v.req.Args[0], v.req.Args[0]+v.req.Args[1]
		if end < start { // the kernel refuses it
			end = start
		}
	}
	for v.memory != nil && v.memory.Outstanding(start, end) && v.ctx.Err() == nil {
		v.handOver()
		v.memory.Await(v.ctx, start, end)
	}
	v.goOn()
}

// isMemoryCall tells the calls of MemoryCalls from those that name an address.
func isMemoryCall(nr int32) bool { return slices.Contains(MemoryCalls, uint32(nr)) }
