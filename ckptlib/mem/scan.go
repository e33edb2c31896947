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

// struct pm_scan_arg of PAGEMAP_SCAN, Documentation/admin-guide/mm/pagemap.rst
// (Linux 6.7).
type pmScanArg struct {
	Size, Flags, Start, End, WalkEnd, Vec, VecLen, MaxPages       uint64
	CategoryInverted, CategoryMask, CategoryAnyOfMask, ReturnMask uint64
}

type pageRegion struct{ Start, End, Categories uint64 }

const (
	pagemapScan = 0xc0606610 // _IOWR('f', 16, struct pm_scan_arg)
	catFile     = 1 << 2
	catPresent  = 1 << 3
	catSwapped  = 1 << 4
	catZeroPFN  = 1 << 5
	catGuard    = 1 << 8 // Linux 6.15
)

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
	return &Scanner{f: f, vec: make([]pageRegion, 512), guard: catGuard}, err
}

// Close releases the page map.
func (s *Scanner) Close() error { return s.f.Close() }

// Found is what a Scanner finds of a mapping.
type Found struct {
	// Own are the pages that are the process's own: written, not those of the
	// mapped file, and not the kernel's page of zeros.
	Own []Run
	// Guards are pages that nobody may touch (MADV_GUARD_INSTALL, Linux 6.13).
	Guards []Run
}

// Private looks at the range [start, end) of a private mapping.
func (s *Scanner) Private(start, end uint64) (Found, error) {
	for !s.old {
		found, err := s.scan(start, end)
		if !errors.Is(err, unix.ENOTTY) && !errors.Is(err, unix.EINVAL) {
			return found, err
		}
		s.old = s.guard == 0
		s.guard = 0
	}
	return s.read(start, end)
}

func (s *Scanner) scan(start, end uint64) (found Found, err error) {
	arg := pmScanArg{
		Size: uint64(unsafe.Sizeof(pmScanArg{})), Start: start, End: end,
		Vec: uint64(uintptr(unsafe.Pointer(&s.vec[0]))), VecLen: uint64(len(s.vec)),
		// Neither FILE nor PFNZERO, and one of PRESENT and SWAPPED, which a guard is.
		CategoryMask: catFile | catZeroPFN, CategoryInverted: catFile | catZeroPFN,
		CategoryAnyOfMask: catPresent | catSwapped, ReturnMask: catPresent | s.guard,
	}
	for arg.Start < end {
		n, _, e := unix.Syscall(unix.SYS_IOCTL, s.f.Fd(), pagemapScan, uintptr(unsafe.Pointer(&arg)))
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return found, os.NewSyscallError("ioctl PAGEMAP_SCAN", e)
		}
		for _, r := range s.vec[:n] {
			found.add(r.Start, r.End, r.Categories&s.guard != 0)
		}
		arg.Start = arg.WalkEnd
	}
	return found, nil
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
			if e := binary.LittleEndian.Uint64(b[i:]); e&(present|swapped) != 0 && e&file == 0 {
				found.add(at, at+PageSize, e&guard != 0)
			}
			at += PageSize
		}
	}
	return found, nil
}

func (f *Found) add(start, end uint64, guard bool) {
	if guard {
		f.Guards = appendRun(f.Guards, start, end)
	} else {
		f.Own = appendRun(f.Own, start, end)
	}
}

func appendRun(runs []Run, start, end uint64) []Run {
	if n := len(runs); n > 0 && runs[n-1].End == start {
		runs[n-1].End = end
		return runs
	}
	return append(runs, Run{start, end})
}
