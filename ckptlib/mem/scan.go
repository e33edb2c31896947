package mem

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Run is a range of addresses.
type Run struct{ Start, End uint64 }

// Bytes is the length of the range.
func (r Run) Bytes() uint64 { return r.End - r.Start }

// struct pm_scan_arg of PAGEMAP_SCAN, Documentation/admin-guide/mm/pagemap.rst
// (Linux 6.7).
type pmScanArg struct {
	Size, Flags, Start, End, WalkEnd, Vec, VecLen, MaxPages       uint64
	CategoryInverted, CategoryMask, CategoryAnyOfMask, ReturnMask uint64
}

type pageRegion struct{ Start, End, Categories uint64 }

const (
	pagemapScan   = 0xc0606610 // _IOWR('f', 16, struct pm_scan_arg)
	pmScanProtect = 1          // PM_SCAN_WP_MATCHING
	pmScanCheck   = 2          // PM_SCAN_CHECK_WPASYNC
	catWPAllowed  = 1 << 0
	catWritten    = 1 << 1
	catFile       = 1 << 2
	catPresent    = 1 << 3
	catSwapped    = 1 << 4
	catZeroPFN    = 1 << 5
	catHuge       = 1 << 6
	catGuard      = 1 << 8 // Linux 6.15
)

// scanRegions is how many answers one call may give. With more than 512, what
// the kernel keeps for one walk, Linux 6.18 gives some of them twice.
const scanRegions = 512

// A Scanner finds the pages of a process that have content of their own.
type Scanner struct {
	f     *os.File
	vec   []pageRegion // on the heap: the kernel gets its address by way of an integer
	guard uint64       // catGuard, or 0 if the kernel does not know it
	old   bool         // the kernel has no PAGEMAP_SCAN
}

// NewScanner opens a process's page map. The caller must Close it.
func NewScanner(pid int) (*Scanner, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/pagemap", pid))
	return &Scanner{f: f, vec: make([]pageRegion, scanRegions), guard: catGuard}, err
}

// Close releases the page map.
func (s *Scanner) Close() error { return s.f.Close() }

// Found is what a Scanner finds of a mapping.
type Found struct {
	// Changed and Same are the pages that are the process's own: written, not
	// those of the mapped file, and not the kernel's page of zeros. Same are those
	// which a Tracker has watched and nobody has written to since Protect.
	Changed, Same []Run
	// Guards are pages that nobody may touch (MADV_GUARD_INSTALL, Linux 6.13).
	Guards []Run
	// Huge is how many bytes of them are in huge pages, as far as the kernel tells.
	Huge uint64
	// Watched tells that a Tracker watches the mapping; known only if it has pages
	// of the process's own. Protected tells that Changed are protected already.
	Watched, Protected bool
}

// Private looks at the range [start, end) of a private mapping; file tells whether
// it is one of a file. With protect set, which is for a mapping that a Tracker may
// watch, it protects what it finds by the same walk over the page tables.
func (s *Scanner) Private(start, end uint64, file, protect bool) (Found, error) {
	for !s.old {
		found, err := s.scan(start, end, file, protect)
		if errors.Is(err, unix.EPERM) && protect {
			protect = false // nobody watches it any more
			continue
		}
		if !errors.Is(err, unix.ENOTTY) && !errors.Is(err, unix.EINVAL) {
			return found, err
		}
		s.old = s.guard == 0
		s.guard = 0
	}
	return s.read(start, end)
}

// own is what Private looks for: neither FILE nor PFNZERO, and one of PRESENT
// and SWAPPED, which a guard is. To know of FILE the kernel looks at its books of
// each page, which takes ten times as long as the walk (22 ms for each GiB): of
// memory without a file it is not asked.
func (s *Scanner) own(start, end uint64, file bool) pmScanArg {
	not := uint64(catZeroPFN)
	if file {
		not |= catFile
	}
	return pmScanArg{
		Size: uint64(unsafe.Sizeof(pmScanArg{})), Start: start, End: end,
		Vec: uint64(uintptr(unsafe.Pointer(&s.vec[0]))), VecLen: uint64(len(s.vec)),
		CategoryMask: not, CategoryInverted: not, CategoryAnyOfMask: catPresent | catSwapped,
	}
}

func (s *Scanner) scan(start, end uint64, file, protect bool) (found Found, err error) {
	arg := s.own(start, end, file)
	if protect {
		// Without the check a mapping that is not watched would seem to be empty.
		arg.Flags = pmScanProtect | pmScanCheck
		found.Protected = true
	}
	arg.ReturnMask = catWPAllowed | catWritten | catHuge | s.guard
	err = s.each(&arg, func(r pageRegion) {
		found.Watched = found.Watched || r.Categories&catWPAllowed != 0
		if r.Categories&catHuge != 0 {
			found.Huge += r.End - r.Start
		}
		switch {
		case r.Categories&s.guard != 0:
			found.Guards = appendRun(found.Guards, r.Start, r.End)
		case r.Categories&(catWPAllowed|catWritten) == catWPAllowed:
			found.Same = appendRun(found.Same, r.Start, r.End)
		default:
			found.Changed = appendRun(found.Changed, r.Start, r.End)
		}
	})
	return found, err
}

// each makes the call until the whole range has been walked.
func (s *Scanner) each(arg *pmScanArg, fn func(pageRegion)) error {
	for arg.Start < arg.End {
		n, err := s.walk(arg)
		if err != nil {
			return err
		}
		for _, r := range s.vec[:n] {
			fn(r)
		}
	}
	return nil
}

// walk makes the call once and moves the range's start to where it ended.
func (s *Scanner) walk(arg *pmScanArg) (n int, err error) {
	for {
		r, _, e := unix.Syscall(unix.SYS_IOCTL, s.f.Fd(), pagemapScan, uintptr(unsafe.Pointer(arg)))
		switch e {
		case 0:
			arg.Start = arg.WalkEnd
			return int(r), nil
		case unix.EINTR:
		default:
			return 0, os.NewSyscallError("ioctl PAGEMAP_SCAN", e)
		}
	}
}

// Protect begins to watch the pages of [start, end) that Private would find. The
// ranges that the kernel returns are of no use, but asked for none it protects
// holes as well: they would look like swapped pages.
//
// Preconditions: a Tracker watches the range.
func (s *Scanner) Protect(start, end uint64, file bool) error {
	arg := s.own(start, end, file)
	arg.Flags, arg.ReturnMask = pmScanProtect, catPresent
	return s.each(&arg, func(pageRegion) {})
}

// read is for kernels before 6.7: eight bytes a page, of which bit 63 is
// present, 62 swapped, 61 a page of a file, 58 a guard. The page of zeros looks
// like any other to an ordinary user and is found out by the store.
func (s *Scanner) read(start, end uint64) (found Found, err error) {
	const present, swapped, file, guard = 1 << 63, 1 << 62, 1 << 61, 1 << 58
	buf := make([]byte, 64<<10)
	for at := start; at < end; {
		b := buf[:min(uint64(len(buf)), (end-at)/PageSize*8)]
		n, err := s.f.ReadAt(b, int64(at/PageSize*8))
		if n < 8 {
			return found, fmt.Errorf("read the page map at %#x: %w", at, err)
		}
		for i := 0; i+8 <= n; i += 8 {
			e := binary.LittleEndian.Uint64(b[i:])
			switch {
			case e&(present|swapped) == 0, e&file != 0:
			case e&guard != 0:
				found.Guards = appendRun(found.Guards, at, at+PageSize)
			default:
				found.Changed = appendRun(found.Changed, at, at+PageSize)
			}
			at += PageSize
		}
	}
	return found, nil
}

func appendRun(runs []Run, start, end uint64) []Run {
	if n := len(runs); n > 0 && runs[n-1].End == start {
		runs[n-1].End = end
		return runs
	}
	return append(runs, Run{start, end})
}

func bytesOf(runs []Run) (n uint64) {
	for _, r := range runs {
		n += r.Bytes()
	}
	return n
}
