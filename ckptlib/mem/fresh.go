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
// rebuilt that have no pages yet, and whose pages may be put there by Place; lazy
// tells which others get theirs later. Watch goes on with them.
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
// They count as unchanged. The kernel neither clears such a page first nor looks
// for it in page tables, and so takes two thirds of the time of a write.
func (t *Tracker) place(at uint64, b []byte) int {
	done := 0
	for done < len(b) {
		arg := uffdCopyArg{
			Dst: at + uint64(done), Src: uint64(uintptr(unsafe.Pointer(&b[done]))), Len: uint64(len(b) - done),
			Mode: uffdCopyDontWake | uffdCopyModeWP,
		}
		err := t.ioctl("UFFDIO_COPY", uffdioCopy, unsafe.Pointer(&arg))
		runtime.KeepAlive(b)
		if n := int64(arg.Copied); n > 0 {
			done += int(n)
		} else if err != nil {
			break
		}
	}
	return done
}
