package mem

import (
	"fmt"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// A Piece is some pages of an object to be written where they belong.
type Piece struct {
	Object image.ObjectID
	Page   uint64
	// Data are the pages; if it is nil, Read fills b, of Count pages.
	Data  []byte
	Count int
	Read  func(b []byte) error
}

// A Target is where the pages of one object go.
type Target struct {
	// PID is a process whose private pages the object is; else File is a shared
	// memory object's.
	PID  int
	File *os.File
	// Base is the address of the object's first page in PID, 0 for its address
	// space as a whole.
	Base    uint64
	mem     *os.File
	tracker *Tracker
}

// NewProcessTarget is for the private pages of a stopped process that is being
// restored. What is fresh for its Tracker, if that is not nil, has no pages yet.
func NewProcessTarget(pid int, t *Tracker) (*Target, error) {
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	return &Target{PID: pid, mem: f, tracker: t}, err
}

// Close releases what the target opened.
func (t *Target) Close() {
	if t.mem != nil {
		_ = t.mem.Close() // each write has told its error
	}
}

// write puts pages in place.
func (t *Target) write(page uint64, b []byte) error {
	if t.File != nil {
		_, err := t.File.WriteAt(b, int64(page*PageSize))
		return err
	}
	for at := t.Base + page*PageSize; len(b) > 0; {
		n, fresh := t.tracker.freshPart(at, uint64(len(b)))
		placed := 0
		if fresh {
			placed = t.tracker.place(at, b[:n])
		}
		if err := t.overwrite(at+uint64(placed), b[placed:n]); err != nil {
			return err
		}
		at, b = at+n, b[n:]
	}
	return nil
}

// overwrite writes directly where the memory is writable, else through
// /proc/PID/mem, which a tracer may do to read-only mappings.
func (t *Target) overwrite(at uint64, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	l := []unix.Iovec{{Base: &b[0]}}
	l[0].SetLen(len(b))
	n, err := unix.ProcessVMWritev(t.PID, l, []unix.RemoteIovec{{Base: uintptr(at), Len: len(b)}}, 0)
	if err == nil && n == len(b) {
		return nil
	}
	n = max(n, 0)
	if _, err := t.mem.WriteAt(b[n:], int64(at)+int64(n)); err != nil {
		return fmt.Errorf("write memory of process %d at %#x: %w", t.PID, at, err)
	}
	return nil
}

// Fill writes pieces with as many goroutines as there are processors. next
// returns them one after another, false at the end; it is called by one
// goroutine at a time.
func Fill(targets map[image.ObjectID]*Target, next func() (Piece, bool)) error {
	var mu sync.Mutex
	var failed error
	take := func() (Piece, bool) {
		mu.Lock()
		defer mu.Unlock()
		if failed != nil {
			return Piece{}, false
		}
		return next()
	}
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			var buf []byte
			for p, ok := take(); ok; p, ok = take() {
				b, err := p.Data, error(nil)
				if b == nil {
					if buf == nil {
						buf = make([]byte, piece)
					}
					b = buf[:p.Count*PageSize]
					err = p.Read(b)
				}
				if err == nil {
					err = targets[p.Object].write(p.Page, b)
				}
				if err != nil {
					mu.Lock()
					failed = err
					mu.Unlock()
					return
				}
			}
		}()
	}
	wg.Wait()
	return failed
}

// MaxPiece is how many pages a Piece may have.
const MaxPiece = piece / PageSize
