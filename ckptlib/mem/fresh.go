package mem

import (
	"runtime"
	"slices"
	"sort"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// uffdio_copy of include/uapi/linux/userfaultfd.h.
type uffdCopyArg struct{ Dst, Src, Len, Mode, Copied uint64 }

const (
	uffdioCopy       = 0xc028aa03
	uffdCopyDontWake = 1 << 0
	uffdCopyModeWP   = 1 << 1
)

// WatchFresh begins to watch those private mappings of a process that is being
// rebuilt that have no pages yet: a Target with the Tracker puts them in place.
// lazy tells which mappings get theirs later. Watch goes on with them.
func (t *Tracker) WatchFresh(im *image.Process, lazy func(*image.Mapping) bool) {
	for i := range im.Mappings {
		m := &im.Mappings[i]
		// Locked memory has pages from the start.
		if m.Shared || m.File != nil || m.SharedID != 0 || m.HugePage != 0 || m.Locked || Kernel(m.Name) || hugePages(m) || lazy(m) {
			continue
		}
		w := watchable{start: m.Start, end: m.End}
		if t.register(&w) == nil { // else Watch tries again
			t.fresh = append(t.fresh, Run{m.Start, m.End})
		}
	}
}

// hugePages tells whether the kernel may give huge pages to a mapping. Watched, a
// first write to each would make small ones of it for good.
func hugePages(m *image.Mapping) bool {
	return slices.Contains(m.Advice, unix.MADV_HUGEPAGE) || hugeAlways() && !slices.Contains(m.Advice, unix.MADV_NOHUGEPAGE)
}

// freshPart returns how many of size bytes from an address on are in one fresh
// mapping, or with ok false in none.
func (t *Tracker) freshPart(at, size uint64) (n uint64, ok bool) {
	if t == nil {
		return size, false
	}
	i := sort.Search(len(t.fresh), func(i int) bool { return t.fresh[i].End > at })
	switch {
	case i == len(t.fresh) || t.fresh[i].Start >= at+size:
		return size, false
	case t.fresh[i].Start > at:
		return t.fresh[i].Start - at, false
	}
	return min(size, t.fresh[i].End-at), true
}

// place makes pages of a fresh mapping, with b as their content, and returns how
// many bytes it has come to: further on is a page already, or there is no memory.
// They count as unchanged. Unlike for a write, the kernel neither clears such a
// page first nor looks for it in the page tables again.
func (t *Tracker) place(at uint64, b []byte) int {
	done := 0
	for done < len(b) {
		arg := uffdCopyArg{
			Dst: at + uint64(done), Src: uint64(uintptr(unsafe.Pointer(&b[done]))), Len: uint64(len(b) - done),
			Mode: uffdCopyDontWake | uffdCopyModeWP,
		}
		_ = t.ioctl("UFFDIO_COPY", uffdioCopy, unsafe.Pointer(&arg)) // how far it has come says all
		runtime.KeepAlive(b)
		if int64(arg.Copied) <= 0 { // it may be an error
			break
		}
		done += int(arg.Copied)
	}
	return done
}
