package mem

import (
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func mmap(t *testing.T, fd, pages, flags int) []byte {
	t.Helper()
	b, err := unix.Mmap(fd, 0, pages*PageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|flags)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Munmap(b); err != nil {
			t.Error(err)
		}
	})
	return b
}

// pages makes runs of page numbers from what was found at b.
func pages(b []byte, runs []Run) (out [][2]int) {
	at := uint64(uintptr(unsafe.Pointer(&b[0])))
	for _, r := range runs {
		out = append(out, [2]int{int((r.Start - at) / PageSize), int((r.End - at) / PageSize)})
	}
	return out
}

func TestScanFindsWrittenPagesWithAndWithoutPagemapScan(t *testing.T) {
	const n = 3000
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, make([]byte, n*PageSize), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sink := byte(0)
	anon, file, guarded := mmap(t, -1, n, unix.MAP_ANONYMOUS|unix.MAP_NORESERVE), mmap(t, int(f.Fd()), n, 0), mmap(t, -1, 16, unix.MAP_ANONYMOUS)
	if err := unix.Madvise(anon, unix.MADV_NOHUGEPAGE); err != nil && err != unix.EINVAL {
		t.Fatal(err)
	}
	var want [][2]int
	for i := 0; i < n-3; i += 5 { // more runs than one call returns
		anon[i*PageSize], anon[(i+1)*PageSize] = 1, 2
		file[i*PageSize+7], file[(i+1)*PageSize] = 1, 2
		sink += file[(i+2)*PageSize] // the file's own
		want = append(want, [2]int{i, i + 2})
	}
	var guards [][2]int
	for i := range 16 {
		guarded[i*PageSize] = 1
	}
	if unix.Madvise(guarded[4*PageSize:7*PageSize], madvGuardInstall) == nil { // Linux 6.13
		guards = [][2]int{{4, 7}}
	}
	for _, old := range []bool{false, true} {
		s, err := NewScanner(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		s.old = old
		for name, m := range map[string][]byte{"anonymous": anon, "file": file} {
			start := uint64(uintptr(unsafe.Pointer(&m[0])))
			found, err := s.Private(start, start+uint64(len(m)), name == "file", false)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, pages(m, found.Changed)); d != "" {
				t.Errorf("old %v: written pages of the %s mapping (-want +got):\n%s", old, name, d)
			}
		}
		start := uint64(uintptr(unsafe.Pointer(&guarded[0])))
		found, err := s.Private(start, start+16*PageSize, false, false)
		if err != nil {
			t.Fatal(err)
		}
		own := [][2]int{{0, 16}}
		if guards != nil {
			own = [][2]int{{0, 4}, {7, 16}}
		}
		if d := cmp.Diff(own, pages(guarded, found.Changed)); d != "" {
			t.Errorf("old %v: pages beside guards (-want +got):\n%s", old, d)
		}
		if d := cmp.Diff(guards, pages(guarded, found.Guards)); d != "" {
			t.Errorf("old %v: guards (-want +got):\n%s", old, d)
		}
	}
	_ = sink
}

// A page of zeros that was only read is nobody's own where the kernel tells.
func TestScanLeavesTheZeroPageOut(t *testing.T) {
	b := mmap(t, -1, 8, unix.MAP_ANONYMOUS)
	if err := unix.Madvise(b, unix.MADV_NOHUGEPAGE); err != nil && err != unix.EINVAL {
		t.Fatal(err)
	}
	sink := b[2*PageSize]
	b[5*PageSize] = 1 + sink
	s, err := NewScanner(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	start := uint64(uintptr(unsafe.Pointer(&b[0])))
	found, err := s.Private(start, start+8*PageSize, false, false)
	if err != nil {
		t.Fatal(err)
	}
	want := [][2]int{{5, 6}}
	if s.old { // Linux before 6.7 does not tell an ordinary user
		want = [][2]int{{2, 3}, {5, 6}}
	}
	if d := cmp.Diff(want, pages(b, found.Changed)); d != "" {
		t.Errorf("own pages (-want +got):\n%s", d)
	}
}
