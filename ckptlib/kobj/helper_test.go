package kobj

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// testPod is a Capturer that keeps everything in memory, for processes that
// are in no namespace of their own: their pids in the pod are the real ones.
type testPod struct {
	t       *testing.T
	img     image.Pod
	sources map[image.FileID]*Source
	blobs   [][]byte
	shared  map[uint64]image.SharedID // by inode
	files   map[image.SharedID]int    // a descriptor of the memory
	stdio   map[uint64]stdioEnd       // by inode
	conns   map[uint64]Conn
	diag    map[uint64]UnixDiag
	warned  []string
	next    image.FileID
	real    map[int]int // pids of this process by those of the pod, where they differ
}

type stdioEnd struct {
	stream string
	role   int
}

func newTestPod(t *testing.T) *testPod {
	return &testPod{
		t:       t,
		sources: map[image.FileID]*Source{},
		shared:  map[uint64]image.SharedID{},
		files:   map[image.SharedID]int{},
		stdio:   map[uint64]stdioEnd{},
		conns:   map[uint64]Conn{},
		diag:    map[uint64]UnixDiag{},
		real:    map[int]int{},
	}
}

func (p *testPod) realPID(podPID int) int {
	if pid, ok := p.real[podPID]; ok {
		return pid
	}
	return podPID
}

// sameFile tells by kcmp(2) whether two descriptors are of one description.
func sameFile(pid1, num1, pid2, num2 int) bool {
	n, _, e := unix.Syscall6(unix.SYS_KCMP, uintptr(pid1), uintptr(pid2), 0, uintptr(num1), uintptr(num2), 0)
	return e == 0 && n == 0
}

// add takes descriptors of a stopped process into the pod. Processes are added
// in the order of the image.
func (p *testPod) add(pid int, nums ...int) {
	p.t.Helper()
	podPID := podIDs(pid).PodPID
	p.real[podPID] = pid
	proc := image.Process{PID: podPID, Threads: []image.Thread{{TID: podPID}}}
	for _, num := range nums {
		s, err := ReadSource(pid, num, podPID)
		if err != nil {
			p.t.Fatal(err)
		}
		p.t.Cleanup(func() { unix.Close(s.FD) })
		id := p.fileOf(s)
		proc.FDs = append(proc.FDs, image.FD{Num: num, File: id})
	}
	p.img.Processes = append(p.img.Processes, proc)
}

func (p *testPod) fileOf(s *Source) image.FileID {
	for id, known := range p.sources {
		if sameFile(os.Getpid(), known.FD, os.Getpid(), s.FD) {
			return id
		}
	}
	p.next++
	p.sources[p.next] = s
	return p.next
}

// capture captures everything that was added, and returns the image after a
// passage through its encoding.
func (p *testPod) capture() *image.Pod {
	p.t.Helper()
	if err := p.tryCapture(); err != nil {
		p.t.Fatal(err)
	}
	text, err := json.Marshal(&p.img)
	if err != nil {
		p.t.Fatal(err)
	}
	img := &image.Pod{}
	if err := json.Unmarshal(text, img); err != nil {
		p.t.Fatal(err)
	}
	return img
}

// forget closes the descriptors by which the pod was captured, which keep its
// objects alive.
func (p *testPod) forget() {
	for _, s := range p.sources {
		unix.Close(s.FD)
		s.FD = -1
	}
}

func (p *testPod) tryCapture() error {
	for id := image.FileID(1); id <= p.next; id++ { // p.next grows by Adopt
		f, err := Capture(p, p.sources[id])
		if err != nil {
			return err
		}
		f.ID = id
		p.img.Files = append(p.img.Files, f)
	}
	return nil
}

func (p *testPod) Blob(b []byte) (image.Blob, error) {
	p.blobs = append(p.blobs, append([]byte(nil), b...))
	return image.Blob{Object: image.ObjectID(len(p.blobs)), Size: int64(len(b))}, nil
}

func (p *testPod) blob(b image.Blob) ([]byte, error) {
	if b.Size == 0 {
		return nil, nil
	}
	return p.blobs[b.Object-1], nil
}

func (p *testPod) Shared(s *Source) (image.SharedID, bool) {
	id, ok := p.shared[s.Stat.Ino]
	return id, ok
}

func (p *testPod) Adopt(fd int) (image.FileID, error) {
	s := &Source{FD: fd, PID: os.Getpid(), Num: fd}
	if err := s.look(); err != nil {
		return 0, err
	}
	id := p.fileOf(s)
	if p.sources[id] != s {
		return id, unix.Close(fd)
	}
	p.t.Cleanup(func() { unix.Close(fd) })
	return id, nil
}

func (p *testPod) Lookup(pid, num int) (image.FileID, bool) {
	for _, proc := range p.img.Processes {
		for _, fd := range proc.FDs {
			if proc.PID == pid && fd.Num == num {
				return fd.File, true
			}
		}
	}
	return 0, false
}

func (p *testPod) Holders(s *Source) []Holder {
	var all []Holder
	for _, proc := range p.img.Processes {
		for _, fd := range proc.FDs {
			if p.sources[fd.File] == s {
				all = append(all, Holder{PID: p.realPID(proc.PID), PodPID: proc.PID, Num: fd.Num})
			}
		}
	}
	return all
}

// Find looks through all processes: the test's own are among them.
func (p *testPod) Find(match func(*unix.Stat_t, Holder) bool) (Holder, bool) {
	names, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, name := range names {
		var h Holder
		var st unix.Stat_t
		if _, err := fmt.Sscanf(name, "/proc/%d/fd/%d", &h.PID, &h.Num); err == nil && unix.Stat(name, &st) == nil && match(&st, h) {
			return h, true
		}
	}
	return Holder{}, false
}

func (p *testPod) PodPID(pid int) int {
	for _, proc := range p.img.Processes {
		if p.realPID(proc.PID) == pid {
			return proc.PID
		}
	}
	return 0
}

func (p *testPod) Stdio(inode uint64) (string, int, bool) {
	e, ok := p.stdio[inode]
	return e.stream, e.role, ok
}

func (p *testPod) Conn(inode uint64) (Conn, bool) {
	c, ok := p.conns[inode]
	return c, ok
}

func (p *testPod) SocketNames(_ int, local, remote string) (string, string) { return local, remote }

func (p *testPod) UnixDiag(inode uint64) (UnixDiag, bool) {
	d, ok := p.diag[inode]
	return d, ok
}

func (p *testPod) Warn(format string, args ...any) {
	p.warned = append(p.warned, fmt.Sprintf(format, args...))
}
