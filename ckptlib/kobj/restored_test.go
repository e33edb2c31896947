package kobj

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// restored is a pod restored into the test's own process: each of its
// processes is a thread with a table of descriptors of its own.
type restored struct {
	t      *testing.T
	maker  *Maker
	fds    map[image.FileID]int
	procs  map[int]*tableThread
	warned []string
}

// newMaker returns a Maker for an image that p captured. What a kind needs
// beyond it, the test sets.
func (p *testPod) newMaker(img *image.Pod) *restored {
	p.t.Helper()
	r := &restored{t: p.t, fds: map[image.FileID]int{}, procs: map[int]*tableThread{}}
	root, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	r.maker = &Maker{
		Pod:  img,
		Root: root,
		Blob: p.blob, Pages: p.pages,
		Shared: func(id image.SharedID, flags int) (int, error) {
			return unix.Open(fmt.Sprintf("/proc/self/fd/%d", p.files[id]), flags, 0)
		},
		File: func(id image.FileID) (int, error) {
			fd, ok := r.fds[id]
			if !ok {
				return -1, fmt.Errorf("file %d has not been restored", id)
			}
			return fd, nil
		},
		PIDOf:      func(pid int) (int, error) { return pid, nil },
		FilePolicy: FilesTruncate,
		Warn:       func(format string, args ...any) { r.warned = append(r.warned, fmt.Sprintf(format, args...)) },
	}
	r.maker.Syscall = func(pid int, nr uintptr, args ...any) (uint64, error) {
		th, ok := r.procs[pid]
		if !ok {
			return 0, fmt.Errorf("process %d has not been restored", pid)
		}
		return th.syscall(nr, args...)
	}
	p.t.Cleanup(func() { unix.Close(root) })
	p.t.Cleanup(r.close)
	return r
}

// restore does what an agent does: it makes every file, hands them to the
// processes and settles them. The flags must be those of the image.
func (p *testPod) restore(img *image.Pod) *restored {
	p.t.Helper()
	r := p.newMaker(img)
	r.run()
	return r
}

func (r *restored) run() {
	r.t.Helper()
	if err := r.try(); err != nil {
		r.t.Fatal(err)
	}
	const aside = unix.O_LARGEFILE | 0o100000
	for i := range r.maker.Pod.Files {
		f := &r.maker.Pod.Files[i]
		got, err := unix.FcntlInt(uintptr(r.fds[f.ID]), unix.F_GETFL, 0)
		if err != nil {
			r.t.Fatal(err)
		}
		if got&^aside != f.Flags&^aside {
			r.t.Errorf("F_GETFL of restored file %d = %#o, want %#o", f.ID, got, f.Flags)
		}
	}
}

func (r *restored) try() error {
	for i := range r.maker.Pod.Files {
		f := &r.maker.Pod.Files[i]
		fd, err := Restore(r.maker, f)
		if err != nil {
			return err
		}
		r.fds[f.ID] = fd
	}
	for _, proc := range r.maker.Pod.Processes {
		r.procs[proc.PID] = newTableThread(r.t, proc.FDs, r.fds, r.maker.stash)
	}
	for i := range r.maker.Pod.Files {
		if err := Settle(r.maker, &r.maker.Pod.Files[i]); err != nil {
			return err
		}
	}
	r.maker.Close()
	return nil
}

// fd returns this process's descriptor of what a process had under a number.
func (r *restored) fd(num int) int {
	r.t.Helper()
	for _, proc := range r.maker.Pod.Processes {
		for _, fd := range proc.FDs {
			if fd.Num == num {
				return r.fds[fd.File]
			}
		}
	}
	r.t.Fatalf("no process had descriptor %d", num)
	return -1
}

func (r *restored) close() {
	r.maker.Close()
	for id, fd := range r.fds {
		unix.Close(fd)
		delete(r.fds, id)
	}
	for pid, th := range r.procs {
		th.end()
		delete(r.procs, pid)
	}
}

// checkTwice checks that restoring an image twice gives two objects.
func (p *testPod) checkTwice(img *image.Pod) (*restored, *restored) {
	p.t.Helper()
	a, b := p.restore(img), p.restore(img)
	for id := range a.fds {
		if sameFile(os.Getpid(), a.fds[id], os.Getpid(), b.fds[id]) {
			p.t.Errorf("file %d was restored twice as one description", id)
		}
	}
	return a, b
}
