package kobj

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// tableThread stands for a restored process: a thread whose table of
// descriptors is its own.
type tableThread struct {
	calls chan func()
	tid   int
}

func newTableThread(t *testing.T, fds []image.FD, files map[image.FileID]int, stash map[string]int) *tableThread {
	t.Helper()
	th := &tableThread{calls: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread()
		th.tid = unix.Gettid()
		if err := unix.Unshare(unix.CLONE_FILES); err != nil {
			ready <- err
			return
		}
		ready <- install(fds, files, stash)
		for call := range th.calls {
			call()
		}
	}()
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	return th
}

// install gives the thread the descriptors under their numbers, and closes the
// agent's.
func install(fds []image.FD, files map[image.FileID]int, stash map[string]int) error {
	aside := map[image.FileID]int{}
	for id, fd := range files {
		n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD, 600)
		if err != nil {
			return err
		}
		aside[id] = n
	}
	for _, fd := range files {
		unix.Close(fd)
	}
	for _, fd := range stash {
		unix.Close(fd)
	}
	for _, fd := range fds {
		if err := unix.Dup3(aside[fd.File], fd.Num, 0); err != nil {
			return err
		}
	}
	for _, fd := range aside {
		unix.Close(fd)
	}
	return nil
}

func (th *tableThread) syscall(nr uintptr, args ...any) (uint64, error) {
	var got uintptr
	var e unix.Errno
	done := make(chan struct{})
	th.calls <- func() {
		var a [6]uintptr
		var pin runtime.Pinner
		defer pin.Unpin()
		for i, arg := range args {
			switch v := arg.(type) {
			case int:
				a[i] = uintptr(v)
			case []byte:
				pin.Pin(&v[0])
				a[i] = uintptr(unsafe.Pointer(&v[0]))
			default:
				panic(fmt.Sprintf("argument %d of system call %d is a %T", i, nr, arg))
			}
		}
		got, _, e = unix.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
		close(done)
	}
	<-done
	if e != 0 {
		return 0, e
	}
	return uint64(got), nil
}

func (th *tableThread) end() {
	close(th.calls)
	for unix.Tgkill(os.Getpid(), th.tid, 0) == nil {
		runtime.Gosched()
	}
}
