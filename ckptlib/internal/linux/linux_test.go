package linux

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Kernels before 6.9 have pidfds of processes only.
func TestDescriptorOfAThreadIsFoundWithoutThreadPIDFDs(t *testing.T) {
	was := ThreadPIDFDs
	defer func() { ThreadPIDFDs = was }()
	for _, have := range []bool{was(), false} {
		ThreadPIDFDs = func() bool { return have }
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // for good: another thread than the first
			fd, err := GetFD(unix.Gettid(), 0)
			if err != nil {
				t.Errorf("GetFD of a thread, with descriptors of threads %v: %v", have, err)
				return
			}
			_ = unix.Close(fd)
		}()
		<-done
	}
}
