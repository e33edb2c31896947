package kobj

import (
	"errors"
	"fmt"
	"path"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

const procMagic = 0x9fa0

// ofEnded tells whether a path is that of a file in /proc of a process or thread
// that has ended since it was opened.
func (s *Source) ofEnded(name string) bool {
	var fs unix.Statfs_t
	words := strings.Split(name, "/") // "", "proc", "12", "stat"
	if len(words) < 3 || words[1] != "proc" || unix.Fstatfs(s.FD, &fs) != nil || fs.Type != procMagic {
		return false
	}
	_, err := strconv.Atoi(words[2])
	return err == nil && !s.leadsHere(name)
}

// restoreEnded opens such a file again: that of a thread of this process, which
// then ends. Reading from it fails as it did (ESRCH).
func restoreEnded(f *image.File) (int, error) {
	got := make(chan ofThread)
	go openOfThread(f, got)
	o := <-got
	if o.err != nil {
		return -1, o.err
	}
	for end := time.Now().Add(10 * time.Second); unix.Access(fmt.Sprintf("/proc/self/task/%d", o.tid), unix.F_OK) == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return -1, errors.Join(errors.New("a thread of this process does not end"), unix.Close(o.fd))
		}
	}
	return withStatus(o.fd, nil, f.Flags)
}

// ofThread is a file in /proc of a thread of this process.
type ofThread struct {
	fd, tid int
	err     error
}

// openOfThread opens a file of the thread that it runs on, which ends with it.
func openOfThread(f *image.File, got chan<- ofThread) {
	runtime.LockOSThread()
	o := ofThread{tid: unix.Gettid()}
	if o.tid == unix.Getpid() {
		// The runtime never ends the main thread: keep it occupied meanwhile.
		other := make(chan ofThread)
		go openOfThread(f, other)
		got <- <-other
		runtime.UnlockOSThread()
		return
	}
	dir := fmt.Sprintf("/proc/self/task/%d", o.tid)
	name := dir
	if f.Regular.Mode&unix.S_IFMT != unix.S_IFDIR {
		name = path.Join(dir, path.Base(f.Regular.Path))
	}
	if o.fd, o.err = unix.Open(name, openFlags(f.Flags)|unix.O_CLOEXEC, 0); errors.Is(o.err, unix.ENOENT) {
		// A thread has fewer files than a process.
		o.fd, o.err = unix.Open(path.Join(dir, "stat"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	got <- o
}
