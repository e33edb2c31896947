package mem

import (
	"fmt"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// A Sink takes pages: len(b) is a multiple of PageSize, page is the number of
// the first in its object. It is called by several goroutines at once and must
// not keep b.
type Sink func(object image.ObjectID, page uint64, b []byte) error

const (
	// piece is what one read takes: a megabyte stays in the processor's cache
	// until it is hashed.
	piece = 1 << 20
	// maxRuns is how many ranges one process_vm_readv(2) takes (IOV_MAX).
	maxRuns = 1024
)

// batch is memory of one source that is read by one call.
type batch struct {
	object image.ObjectID
	// shift is what is added to an address to get the place in the object.
	shift uint64
	runs  []Run
	size  int // of all runs
	pid   int
	// file, if not nil, is read at the addresses instead: the memory of a process
	// that may not be read otherwise (PROT_NONE), of a twin, or a shared memory object.
	file *os.File
	// gaps tells that pages may be beyond the end of a mapped file: they count as
	// zeros.
	gaps bool
	// lost, if not nil, is told what cannot be read: the process runs.
	lost func(Run)
}

// A Keeper keeps pages for later.
type Keeper interface {
	// Room returns n bytes to be filled, or nil if there is no more.
	Room(n int) []byte
	// Keep is told what has been filled in; it is a Sink that keeps b.
	Keep(object image.ObjectID, page uint64, b []byte) error
}

// Read reads everything planned with as many goroutines as there are
// processors and gives it to sink, but for what keeper, if not nil, has room for.
// The first error ends it.
func (p *Plan) Read(keeper Keeper, sink Sink) error {
	workers := min(runtime.GOMAXPROCS(0), len(p.list))
	next := make(chan *batch)
	errs := make(chan error, workers+1)
	stop := make(chan struct{})
	var once sync.Once
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			buf := buffers.Get().(*[piece]byte)
			defer buffers.Put(buf)
			for b := range next {
				to, sink := buf[:b.size], sink
				if keeper != nil {
					if room := keeper.Room(b.size); room != nil {
						to, sink = room, keeper.Keep
					}
				}
				err := b.read(to)
				if err == nil {
					err = b.give(to, sink)
				}
				if err != nil {
					errs <- err
					once.Do(func() { close(stop) })
					return
				}
			}
		})
	}
feed:
	for i := range p.list {
		select {
		case next <- &p.list[i]:
		case <-stop:
			break feed
		}
	}
	close(next)
	wg.Wait()
	close(errs)
	return <-errs
}

// buffers are kept from one checkpoint to the next: fresh memory costs a fault
// for each page in the pause.
var buffers = sync.Pool{New: func() any { return new([piece]byte) }}

// give hands the runs on, one at a time.
func (b *batch) give(buf []byte, sink Sink) error {
	for _, r := range b.runs {
		n := r.Bytes()
		if err := sink(b.object, (r.Start+b.shift)/PageSize, buf[:n]); err != nil {
			return err
		}
		buf = buf[n:]
	}
	return nil
}

// read fills buf with the runs, one after the other.
func (b *batch) read(buf []byte) error {
	if b.lost != nil {
		b.readRunning(buf)
		return nil
	}
	if b.file == nil {
		err := b.readv(buf)
		if err == nil || !b.gaps {
			return err
		}
	}
	for _, r := range b.runs {
		part := buf[:r.Bytes()]
		buf = buf[r.Bytes():]
		err := b.readAt(part, r.Start)
		for at := 0; err != nil && b.gaps && at < len(part); at += PageSize {
			page := part[at : at+PageSize]
			if b.readAt(page, r.Start+uint64(at)) != nil {
				clear(page)
			}
		}
		if err != nil && !b.gaps {
			return err
		}
	}
	return nil
}

// readRunning reads what it can and leaves that in the batch.
func (b *batch) readRunning(buf []byte) {
	if b.readv(buf) == nil {
		return
	}
	all := b.runs
	b.runs = nil
	for _, r := range all {
		if b.readAt(buf[:r.Bytes()], r.Start) != nil {
			b.lost(r)
			continue
		}
		b.runs = append(b.runs, r)
		buf = buf[r.Bytes():]
	}
}

// readv reads all runs by one call.
func (b *batch) readv(buf []byte) error {
	local := []unix.Iovec{{Base: &buf[0]}}
	local[0].SetLen(len(buf))
	remote := make([]unix.RemoteIovec, len(b.runs))
	for i, r := range b.runs {
		remote[i] = unix.RemoteIovec{Base: uintptr(r.Start), Len: int(r.Bytes())}
	}
	n, err := unix.ProcessVMReadv(b.pid, local, remote, 0)
	if err == nil && n != len(buf) {
		err = fmt.Errorf("got %d", n)
	}
	if err != nil {
		return fmt.Errorf("read %d bytes of process %d at %#x: %w", len(buf), b.pid, b.runs[0].Start, err)
	}
	return nil
}

func (b *batch) readAt(buf []byte, addr uint64) error {
	if b.file == nil {
		one := batch{pid: b.pid, runs: []Run{{addr, addr + uint64(len(buf))}}}
		return one.readv(buf)
	}
	n, err := b.file.ReadAt(buf, int64(addr))
	if n == len(buf) {
		return nil
	}
	if b.pid == 0 && n >= 0 {
		clear(buf[n:]) // the last page of a file
		return nil
	}
	return fmt.Errorf("read memory of process %d at %#x: %w", b.pid, addr, err)
}
