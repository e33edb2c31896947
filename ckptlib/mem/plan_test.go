package mem

import (
	"encoding/binary"
	"fmt"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// fork makes a copy of this process that stands still; it ends with the test.
func fork(t *testing.T) (pid int) {
	t.Helper()
	pid = standStill()
	if pid < 0 {
		t.Fatal(unix.Errno(-pid))
	}
	t.Cleanup(func() {
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			t.Error(err)
		}
		if _, err := unix.Wait4(pid, nil, 0, nil); err != nil {
			t.Error(err)
		}
	})
	return pid
}

// standStill forks. Its child has no Go runtime, and makes system calls only.
//
//go:norace
//go:nosplit
func standStill() int {
	pid, _, e := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if e != 0 {
		return -int(e)
	}
	for pid == 0 {
		unix.RawSyscall(unix.SYS_PAUSE, 0, 0, 0)
	}
	return int(pid)
}

func TestReadingATwinMakesNoCopyOfItsPages(t *testing.T) {
	const pages = 512
	b := mmap(t, -1, pages, unix.MAP_ANONYMOUS)
	for i := range b {
		b[i] = byte(i / PageSize)
	}
	twin := fork(t)
	start := uint64(uintptr(unsafe.Pointer(&b[0])))
	v := &Private{PID: os.Getpid(), parts: []part{{runs: []Run{{start, start + pages*PageSize}}}}}
	p := &Plan{}
	defer p.Close()
	if err := p.Add(v, twin, false); err != nil {
		t.Fatal(err)
	}
	read := [pages]bool{}
	if err := p.Read(nil, func(_ image.ObjectID, page uint64, got []byte) error {
		for i := range len(got) / PageSize {
			n := page + uint64(i) - start/PageSize
			read[n] = string(got[i*PageSize:][:PageSize]) == string(b[n*PageSize:][:PageSize])
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(fmt.Sprintf("/proc/%d/pagemap", twin))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var entries [pages * 8]byte
	if _, err := f.ReadAt(entries[:], int64(start/PageSize*8)); err != nil {
		t.Fatal(err)
	}
	const present, exclusive = 1 << 63, 1 << 56
	for i := range pages {
		if !read[i] {
			t.Fatalf("page %d was not read as it is", i)
		}
		if e := binary.LittleEndian.Uint64(entries[i*8:]); e&(present|exclusive) != present {
			t.Fatalf("page %d of the twin has the entry %#x, want that its page is there and shared", i, e)
		}
	}
}
