package mem

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// A Sink takes pages: len(b) is a multiple of PageSize, page is the number of
// the first in its object. It is called by several goroutines at once and must
// not keep b.
type Sink func(object image.ObjectID, page uint64, b []byte) error

// piece is what one read takes: a megabyte stays in the processor's cache
// until it is hashed.
const piece = 1 << 20

// work is a piece of memory to be read.
type work struct {
	object image.ObjectID
	page   uint64
	addr   uint64
	size   int
	pid    int
	// file, if not nil, is read at addr instead: the memory of a process that
	// may not be read otherwise (PROT_NONE), or a shared memory object.
	file *os.File
	// gaps tells that pages may be beyond the end of a mapped file: they count as
	// zeros.
	gaps bool
}

// Plan lists what has to be read of a pod.
type Plan struct {
	list  []work
	files []*os.File
}

// Close closes the files that the plan opened.
func (p *Plan) Close() {
	for _, f := range p.files {
		_ = f.Close() // only read
	}
}

// Bytes is the size of all that is planned.
func (p *Plan) Bytes() (n int64) {
	for _, w := range p.list {
		n += int64(w.size)
	}
	return n
}

func (p *Plan) add(w work, size uint64) {
	for size > 0 {
		w.size = int(min(size, piece))
		p.list = append(p.list, w)
		n := uint64(w.size)
		w.addr += n
		w.page += n / PageSize
		size -= n
	}
}

// Process plans the private pages of a stopped process.
func (p *Plan) Process(pid int, im *image.Process) error {
	s, err := NewScanner(pid)
	if err != nil {
		return err
	}
	defer s.Close()
	var forced *os.File
	for i := range im.Mappings {
		m := &im.Mappings[i]
		if m.Shared || Kernel(m.Name) {
			continue
		}
		found, err := s.Private(m.Start, m.End)
		if err != nil {
			return fmt.Errorf("find the pages of process %d at %#x: %w", im.PID, m.Start, err)
		}
		for _, g := range found.Guards {
			m.Guards = append(m.Guards, image.Range(g))
		}
		w := work{object: im.Object, pid: pid}
		runs := found.Own
		if m.File != nil && m.File.Deleted {
			runs, w.gaps = []Run{{m.Start, m.End}}, true // nobody else has its pages
		}
		if m.Prot&unix.PROT_READ == 0 && len(runs) > 0 {
			if forced == nil {
				if forced, err = os.Open(fmt.Sprintf("/proc/%d/mem", pid)); err != nil {
					return err
				}
				p.files = append(p.files, forced)
			}
			w.file = forced
		}
		for _, r := range runs {
			w.addr, w.page = r.Start, r.Start/PageSize
			p.add(w, r.End-r.Start)
		}
	}
	return nil
}

// Shared plans the shared memory objects of a set.
func (p *Plan) Shared(s *SharedSet) error {
	for _, o := range s.list {
		if o.fd >= 0 {
			if err := p.sharedFile(o); err != nil {
				return fmt.Errorf("find the content of %s: %w", o.Name, err)
			}
			continue
		}
		if err := p.sharedViews(o); err != nil {
			return err
		}
	}
	return nil
}

// sharedFile plans an object by a descriptor, leaving holes out.
func (p *Plan) sharedFile(o *sharedObject) error {
	fd, err := unix.FcntlInt(uintptr(o.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), o.Name)
	p.files = append(p.files, f)
	for at := int64(0); at < o.Size; {
		start, err := unix.Seek(o.fd, at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil
		}
		if err != nil {
			return err
		}
		end, err := unix.Seek(o.fd, start, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		start = start / PageSize * PageSize
		w := work{object: o.Object, page: uint64(start) / PageSize, addr: uint64(start), file: f}
		p.add(w, roundUp(uint64(end-start)))
		at = end
	}
	return nil
}

// sharedViews plans an object that has mappings only. Nobody but root may open
// it (/proc/PID/map_files); together the mappings show all that the job can see
// of it.
func (p *Plan) sharedViews(o *sharedObject) error {
	covered := make([]bool, roundUp(uint64(o.Size))/PageSize)
	for _, v := range o.views {
		var forced *os.File
		if v.unreadable {
			f, err := os.Open(fmt.Sprintf("/proc/%d/mem", v.pid))
			if err != nil {
				return err
			}
			forced = f
			p.files = append(p.files, f)
		}
		first, pages := v.offset/PageSize, (v.end-v.start)/PageSize
		var runs []Run
		for n := range min(pages, uint64(len(covered))-min(first, uint64(len(covered)))) {
			if !covered[first+n] && v.resident.has(n) {
				covered[first+n] = true
				runs = appendRun(runs, n, n+1)
			}
		}
		for _, r := range runs {
			p.add(work{
				object: o.Object, page: first + r.Start, addr: v.start + r.Start*PageSize, pid: v.pid, file: forced, gaps: true,
			}, (r.End-r.Start)*PageSize)
		}
	}
	return nil
}

func roundUp(n uint64) uint64 { return (n + PageSize - 1) / PageSize * PageSize }

// Read reads everything planned with as many goroutines as there are
// processors and gives it to sink. The first error ends it.
func (p *Plan) Read(sink Sink) error {
	next := make(chan *work)
	errs := make(chan error, runtime.GOMAXPROCS(0))
	stop := make(chan struct{})
	var once sync.Once
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			buf := make([]byte, piece)
			for w := range next {
				err := w.read(buf[:w.size])
				if err == nil {
					err = sink(w.object, w.page, buf[:w.size])
				}
				if err != nil {
					errs <- err
					once.Do(func() { close(stop) })
					return
				}
			}
		}()
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

func (w *work) read(b []byte) error {
	err := w.readAt(b, w.addr)
	if err == nil || !w.gaps {
		return err
	}
	for at := 0; at < len(b); at += PageSize {
		page := b[at : at+PageSize]
		if w.readAt(page, w.addr+uint64(at)) != nil {
			clear(page)
		}
	}
	return nil
}

func (w *work) readAt(b []byte, addr uint64) error {
	if w.file == nil {
		return tracer.ReadMemory(w.pid, tracer.Addr(addr), b)
	}
	n, err := w.file.ReadAt(b, int64(addr))
	if n == len(b) {
		return nil
	}
	if w.pid == 0 && n >= 0 {
		clear(b[n:]) // the last page of a file
		return nil
	}
	return fmt.Errorf("read memory of process %d at %#x: %w", w.pid, addr, err)
}
