package ckptlib

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/fuse"
	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/mem"
	"github.com/gompirun/gompirun/ckptlib/names"
	"github.com/gompirun/gompirun/ckptlib/store"
)

// lazyLeast is from how many pages on a mapping is worth being read lazily.
const lazyLeast = 256

// lazy is the memory of a pod that runs before it has been read. What a process
// touches comes from a file system of this agent's, as it is touched; behind it
// the rest is read in, part by part, and each part becomes memory like any other.
type lazy struct {
	server *fuse.Server
	dev    uint64 // of its files, of which each has the number of an object
	reader *store.Reader
	pages  *store.PageTable
	images map[image.ObjectID]*image.Process
	warn   func(format string, args ...any)

	closing sync.Once

	mu sync.Mutex
	// lost, from when the pod runs on, is told that part of the memory cannot be
	// had. The pod has ended when it returns.
	lost    func(error)
	left    map[image.ObjectID][]mem.Run // not read in yet, in order
	started bool                         // the pod runs
	still   bool                         // it stands still for a part to be read in
	urgent  []mem.Run                    // what calls wait for
	tries   int                          // at reading in
	failed  error                        // the last of them, nil if it did not
	changed chan struct{}                // closed after each try
}

var _ names.Memory = (*lazy)(nil)

// newLazy makes lazy memory for the processes of an image, served from the file
// system that a pod has.
func newLazy(fs [2]int, im *image.Pod, pages *store.PageTable, reader *store.Reader) (*lazy, error) {
	l := &lazy{
		reader: reader, pages: pages, images: map[image.ObjectID]*image.Process{},
		left: map[image.ObjectID][]mem.Run{}, changed: make(chan struct{}),
	}
	for i := range im.Processes {
		p := &im.Processes[i]
		o := pages.Object(uint64(p.Object))
		if p.Zombie != nil || o == nil {
			continue
		}
		l.images[p.Object] = p
		for j := range p.Mappings {
			m := &p.Mappings[j]
			if mem.Lazy(m) && stored(o.Runs, mem.Run{Start: m.Start, End: m.End}) >= lazyLeast {
				l.left[p.Object] = append(l.left[p.Object], mem.Run{Start: m.Start, End: m.End})
			}
		}
	}
	var err error
	if l.server, err = fuse.Serve(fs[0], fs[1], l.content); err != nil {
		return nil, err
	}
	if l.dev, err = l.server.Dev(); err != nil {
		l.server.Close()
		return nil, err
	}
	return l, nil
}

// lose says that part of the memory cannot be had.
func (l *lazy) lose(err error) {
	l.mu.Lock()
	lost := l.lost
	l.mu.Unlock()
	if lost != nil {
		lost(err)
	}
}

// begin is called when the pod is about to run.
func (l *lazy) begin(lost func(error), warn func(string, ...any)) {
	l.mu.Lock()
	l.lost, l.warn, l.started = lost, warn, true
	l.mu.Unlock()
}

// close ends the service. Who still waits for memory gets an error in its place:
// the pod has ended, or has all its memory.
func (l *lazy) close() (err error) {
	l.closing.Do(func() {
		l.server.Close()
		err = l.reader.Close()
	})
	return err
}

// is tells whether a mapping of a process is lazy.
func (l *lazy) is(p *image.Process, m *image.Mapping) bool {
	if l == nil || !mem.Lazy(m) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.left[p.Object] {
		if r.Start == m.Start && r.End == m.End {
			return true
		}
	}
	return false
}

// eager returns what of an object's pages is to be read before the pod runs.
func (l *lazy) eager(id image.ObjectID, runs []store.Run) []store.Run {
	if l == nil || len(l.left[id]) == 0 {
		return runs
	}
	var out []store.Run
	from := uint64(0)
	for _, r := range append(l.left[id], mem.Run{Start: ^uint64(0), End: ^uint64(0)}) {
		out = append(out, within(runs, mem.Run{Start: from, End: r.Start})...)
		from = r.End
	}
	return out
}

// content is what a process finds where it touches memory that has not been read
// in. The program gets nothing that does not match its key: if there is no such
// thing it ends.
func (l *lazy) content(file uint64, offset int64, b []byte) error {
	o := l.pages.Object(file)
	if o == nil {
		return fmt.Errorf("object %d is not in the image", file)
	}
	clear(b)
	at := uint64(offset)
	for _, r := range within(o.Runs, mem.Run{Start: at, End: at + uint64(len(b))}) {
		if r.Ref == 0 {
			continue
		}
		if err := l.reader.ReadRun(r, b[r.Page*mem.PageSize-at:][:r.Count*mem.PageSize]); err != nil {
			l.lose(err)
			return err
		}
	}
	return nil
}

// within clips runs of pages to a range of addresses.
func within(runs []store.Run, of mem.Run) []store.Run {
	var out []store.Run
	first, end := of.Start/mem.PageSize, of.End/mem.PageSize
	for _, r := range runs[search(runs, first):] {
		if r.Page >= end {
			break
		}
		if skip := max(r.Page, first) - r.Page; skip > 0 {
			r.Page += skip
			r.Count -= uint32(skip)
			if r.Ref != 0 {
				r.Ref += store.Ref(skip)
			}
		}
		r.Count = uint32(min(uint64(r.Count), end-r.Page))
		out = append(out, r)
	}
	return out
}

// stored counts the pages of a range that are in packs.
func stored(runs []store.Run, of mem.Run) (n int) {
	for _, r := range within(runs, of) {
		if r.Ref != 0 {
			n += int(r.Count)
		}
	}
	return n
}

// Outstanding implements names.Memory. The calls that are made for the restart, or
// to read in, do not wait for themselves.
func (l *lazy) Outstanding(start, end uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.started && !l.still && l.outstanding(start, end)
}

func (l *lazy) outstanding(start, end uint64) bool {
	for _, runs := range l.left {
		for _, r := range runs {
			if r.Start < end && start < r.End {
				return true
			}
		}
	}
	return false
}

// Await implements names.Memory: what is waited for is read in first.
func (l *lazy) Await(ctx context.Context, start, end uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if end != ^uint64(0) { // else everything is
		end = (end + mem.PageSize - 1) / mem.PageSize * mem.PageSize
		l.urgent = append(l.urgent, mem.Run{Start: start, End: end})
	}
	for l.outstanding(start, end) && l.wait(ctx) {
	}
}

// wait waits for the next try, and is false if ctx has ended. The caller holds mu.
func (l *lazy) wait(ctx context.Context) bool {
	changed := l.changed
	l.mu.Unlock()
	defer l.mu.Lock()
	select {
	case <-changed:
		return true
	case <-ctx.Done():
		return false
	}
}

// await waits until nothing is outstanding; if it cannot be read in now, the error
// says why.
func (l *lazy) await(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for before := l.tries; len(l.left) > 0; {
		if !l.wait(ctx) {
			return ctx.Err()
		}
		if l.failed != nil && l.tries > before {
			return fmt.Errorf("read the rest of the restarted job's memory: %w", l.failed)
		}
	}
	return nil
}

// done notes what has come of a try to read parts in.
func (l *lazy) done(parts []part, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		for _, p := range parts {
			if l.left[p.object] = subtract(l.left[p.object], p.run); len(l.left[p.object]) == 0 {
				delete(l.left, p.object)
			}
		}
	}
	l.failed = err
	l.tries++
	close(l.changed)
	l.changed = make(chan struct{})
}

// subtract takes a range out of others.
func subtract(runs []mem.Run, out mem.Run) (rest []mem.Run) {
	for _, r := range runs {
		if r.Start < out.Start {
			rest = append(rest, mem.Run{Start: r.Start, End: min(r.End, out.Start)})
		}
		if out.End < r.End {
			rest = append(rest, mem.Run{Start: max(r.Start, out.End), End: r.End})
		}
	}
	return rest
}

// endAll kills every process of the pod whose init is given, those that are born
// meanwhile included.
func (p *Pod) endAll() {
	killed := map[int]bool{}
	for again := true; again; {
		again = false
		list, err := p.Processes()
		if err != nil {
			break
		}
		for _, q := range list {
			if !killed[q.HostPID] {
				killed[q.HostPID], again = true, true
				_ = unix.Kill(q.HostPID, unix.SIGKILL) // it may have ended
			}
		}
	}
	_ = unix.Kill(p.pod.Init, unix.SIGKILL)
}
