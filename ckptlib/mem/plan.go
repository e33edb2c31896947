package mem

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// A Plan lists memory to be read.
type Plan struct {
	list  []batch
	files []*os.File
	bytes int64
}

// Close closes the files that the plan opened.
func (p *Plan) Close() {
	for _, f := range p.files {
		_ = f.Close() // only read
	}
	p.files = nil
}

// Bytes is the size of all that is planned.
func (p *Plan) Bytes() int64 { return p.bytes }

// add plans runs of one source, in batches.
func (p *Plan) add(b batch, runs []Run) {
	b.runs, b.size = nil, 0
	for _, r := range runs {
		p.bytes += int64(r.Bytes())
		for r.Start < r.End {
			part := Run{r.Start, min(r.End, r.Start+uint64(piece-b.size))}
			b.runs = append(b.runs, part)
			b.size += int(part.Bytes())
			if r.Start = part.End; b.size == piece || len(b.runs) == maxRuns {
				p.list = append(p.list, b)
				b.runs, b.size = nil, 0
			}
		}
	}
	if b.size > 0 {
		p.list = append(p.list, b)
	}
}

// open opens a file of a process for batches to be read from.
func (p *Plan) open(pid int) (*os.File, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err == nil {
		p.files = append(p.files, f)
	}
	return f, err
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
	var runs []Run
	for at := int64(0); at < o.Size; {
		start, err := unix.Seek(o.fd, at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break
		}
		if err != nil {
			return err
		}
		end, err := unix.Seek(o.fd, start, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		from := uint64(start) / PageSize * PageSize
		runs = appendRun(runs, from, from+roundUp(uint64(end)-from))
		at = end
	}
	p.add(batch{object: o.Object, file: f}, runs)
	return nil
}

// sharedViews plans an object that has mappings only. Nobody but root may open
// it (/proc/PID/map_files); together the mappings show all that the job can see
// of it.
func (p *Plan) sharedViews(o *sharedObject) error {
	covered := make([]bool, roundUp(uint64(o.Size))/PageSize)
	for _, v := range o.views {
		b := batch{object: o.Object, pid: v.pid, shift: v.offset - v.start, gaps: true}
		if v.unreadable {
			f, err := p.open(v.pid)
			if err != nil {
				return err
			}
			b.file = f
		}
		first, pages := v.offset/PageSize, (v.end-v.start)/PageSize
		var runs []Run
		for n := range min(pages, uint64(len(covered))-min(first, uint64(len(covered)))) {
			if !covered[first+n] && v.resident.has(n) {
				covered[first+n] = true
				runs = appendRun(runs, v.start+n*PageSize, v.start+(n+1)*PageSize)
			}
		}
		p.add(b, runs)
	}
	return nil
}

func roundUp(n uint64) uint64 { return (n + PageSize - 1) / PageSize * PageSize }

// Private is what there is to read of one process's private memory.
type Private struct {
	PID    int // as this process sees it
	Object image.ObjectID
	// Own is how many bytes are the process's own, changed or not; Changed is how
	// many of them a copy has to be made of.
	Own, Changed uint64
	// Same are pages that are as Protect left them.
	Same  []Run
	parts []part
	// watchable are its mappings, for Watch.
	watchable []watchable
}

// part is what has changed of one mapping.
type part struct {
	runs   []Run
	huge   bool // of hugetlbfs
	forced bool // it may not be read by process_vm_readv
	gaps   bool
	now    bool // a copy of the process does not have it
}

// FindPrivate looks for the private pages of a stopped process. With a Tracker,
// pages that nobody has written to since the last time are told from the others,
// and all are watched from here on. The mappings get their guards.
func FindPrivate(pid int, im *image.Process, t *Tracker) (*Private, error) {
	s, err := NewScanner(pid)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	v := &Private{PID: pid, Object: im.Object}
	for i := range im.Mappings {
		m := &im.Mappings[i]
		if m.Shared || Kernel(m.Name) {
			continue
		}
		found, err := s.Private(m.Start, m.End, m.File != nil || m.SharedID != 0, t.watches(m.Start))
		if err != nil {
			return nil, fmt.Errorf("find the pages of process %d at %#x: %w", im.PID, m.Start, err)
		}
		for _, g := range found.Guards {
			m.Guards = append(m.Guards, image.Range(g))
		}
		p := part{runs: found.Changed, forced: m.Prot&unix.PROT_READ == 0, huge: m.Name == anonHuge}
		changed := bytesOf(found.Changed)
		if t == nil {
			p.runs = merge(found.Changed, found.Same)
			found.Same = nil
		}
		v.Own += bytesOf(p.runs) + bytesOf(found.Same)
		if m.File != nil && m.File.Deleted {
			p.runs, p.gaps = []Run{{m.Start, m.End}}, true // nobody else has its pages
		} else if !p.huge { // those a Tracker leaves alone
			v.Same = append(v.Same, found.Same...)
			v.watchable = append(v.watchable, watchable{
				start: m.Start, end: m.End, watched: found.Watched, own: bytesOf(p.runs) + bytesOf(found.Same), changed: changed,
				huge: found.Huge, file: m.File != nil || m.SharedID != 0, protected: found.Protected, span: span(p.runs),
			})
		}
		v.Changed += bytesOf(p.runs)
		if len(p.runs) > 0 {
			v.parts = append(v.parts, p)
		}
	}
	return v, nil
}

// Split finds out what a copy of the process has not: mappings with MADV_DONTFORK
// are missing there, those with MADV_WIPEONFORK are empty. A mapping that has its
// first page has all.
func (v *Private) Split(twin int) error {
	f, err := os.Open(fmt.Sprintf("/proc/%d/pagemap", twin))
	if err != nil {
		return err
	}
	defer f.Close()
	const present, swapped = 1 << 63, 1 << 62
	var entry [8]byte
	for i := range v.parts {
		p := &v.parts[i]
		n, err := f.ReadAt(entry[:], int64(p.runs[0].Start/PageSize*8))
		if n != len(entry) {
			return fmt.Errorf("read the page map of a copy of process %d: %w", v.PID, err)
		}
		// Of huge pages the kernel takes the copy's away when it has no more of them.
		p.now = p.gaps || p.huge || binary.LittleEndian.Uint64(entry[:])&(present|swapped) == 0
	}
	return nil
}

// Add plans what has changed of a process: all of it, read from the process
// itself, or with a twin what the twin has (now false) or has not (now true).
//
// A twin is read by its file. process_vm_readv(2) pins pages, and a page that is
// shared copy-on-write must not be pinned: since Linux 5.19 (gup_must_unshare) the
// kernel copies it first, which took twice the time, and all that is read twice the
// memory.
func (p *Plan) Add(v *Private, twin int, now bool) error {
	pid, byFile := v.PID, false
	if twin != 0 && !now {
		pid, byFile = twin, true
	}
	var file *os.File
	for _, part := range v.parts {
		if twin != 0 && part.now != now {
			continue
		}
		b := batch{object: v.Object, pid: pid, gaps: part.gaps}
		if part.forced || byFile {
			if file == nil {
				f, err := p.open(pid)
				if err != nil {
					return err
				}
				file = f
			}
			b.file = file
		}
		p.add(b, part.runs)
	}
	return nil
}

func span(runs []Run) Run {
	if len(runs) == 0 {
		return Run{}
	}
	return Run{runs[0].Start, runs[len(runs)-1].End}
}

// merge makes one list of two that are in order and do not overlap.
func merge(a, b []Run) []Run {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	out := make([]Run, 0, len(a)+len(b))
	for len(a) > 0 || len(b) > 0 {
		if len(b) == 0 || len(a) > 0 && a[0].Start < b[0].Start {
			out = appendRun(out, a[0].Start, a[0].End)
			a = a[1:]
		} else {
			out = appendRun(out, b[0].Start, b[0].End)
			b = b[1:]
		}
	}
	return out
}
