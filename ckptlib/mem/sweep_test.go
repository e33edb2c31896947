package mem

import (
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
)

// The second half of a mapping is another one by the time that it is swept. The
// kernel protects pages of the first before it says so, and none of them is read.
func TestPagesProtectedBeforeASweepFailsAreLost(t *testing.T) {
	if err := Probe(); err != nil {
		t.Skipf("page tracking needs Linux 6.7: %v", err)
	}
	w, err := ownTracker()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	const pages = 8
	b := mmap(t, -1, pages, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	for i := range pages {
		b[i*PageSize] = 1
	}
	start := uint64(uintptr(unsafe.Pointer(&b[0])))
	half := start + pages/2*PageSize
	if err := w.register(&watchable{start: start, end: half}); err != nil {
		t.Fatal(err)
	}
	s, err := NewScanner(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out := Sweep{PID: os.Getpid()}
	read := 0
	sink := func(_ image.ObjectID, _ uint64, b []byte) error { read += len(b); return nil }
	if err := w.sweep(t.Context(), s, &procfs.VMA{Start: start, End: start + pages*PageSize, Read: true}, &out, sink); err != nil {
		t.Fatal(err)
	}
	found, err := s.Private(start, half, false, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Same) == 0 {
		t.Fatal("no page was protected before the sweep failed, and this test shows nothing")
	}
	for _, r := range found.Same {
		if len(out.Lost) != 1 || r.Start < out.Lost[0].Start || r.End > out.Lost[0].End {
			t.Errorf("%d bytes were read; the pages %#x are protected, and lost are %#x", read, r, out.Lost)
		}
	}
}
