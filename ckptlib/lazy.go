package ckptlib

import (
	"fmt"
	"sync"

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
	wanted  chan struct{} // has room for one

	mu sync.Mutex
	// lost, from when the pod runs on, is told that part of the memory cannot be
	// had. The pod has ended when it returns.
	lost    func(error)
	left    map[image.ObjectID][]mem.Run // not read in yet, in order
	started bool                         // the pod runs
	still   bool                         // it stands still for a part to be read in
	urgent  []mem.Run                    // what calls wait for
	behind  bool                         // the rest is to be read in, too
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
		left: map[image.ObjectID][]mem.Run{}, changed: make(chan struct{}), wanted: make(chan struct{}, 1),
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
