package store

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// WriterOptions says how pages are written. The zero value is right for most.
type WriterOptions struct {
	// Compression of the blocks.
	Compression Compression

	// VerifyPages compares the bytes when a page has a key that is known, and
	// so finds collisions, at the price of reading those pages and of writing
	// from one goroutine at a time.
	VerifyPages bool

	// Lanes is how many packs may be written at the same time, and so how many
	// goroutines get anything out of calling AddPages at once; 0 is one for each
	// CPU, at most 8.
	Lanes int

	// Stage is a directory of this host to which packs are written at first, ""
	// for none. Deliver brings them to the store. What the directory cannot take
	// goes to the store directly; StageError tells of it.
	Stage string
}

// A Writer stores the pages of one pod in one generation. Its methods may be
// called by any number of goroutines at the same time, but Finish and Sync only
// when all AddPages have returned. An error is final: every later call returns
// it, and only Abort makes sense then.
type Writer struct {
	s        *Store
	gen, pod int
	known    *Index
	opt      WriterOptions
	slots    int // of a pack

	shards [64]shard
	packs  atomic.Pointer[[]*packKeys] // those of known, then those in own
	free   chan *lane

	zero, logical, deduped, stored atomic.Int64

	end sync.Mutex // held by Finish, Sync and Abort; taken before mu

	mu       sync.Mutex // guards what follows
	own      []*packWriter
	lanes    []*lane
	err      error
	finished bool // no more pages are taken
	complete bool // the packs are sealed

	stageMu  sync.Mutex // guards what follows; taken last
	stage    string     // "" if there is none, or no room in it
	stageErr error      // why it is not used any more

	// For VerifyPages, which has one lane: its holder uses them.
	readers map[int]*packReader // of known packs
	cache   blockCache
}

// NewWriter starts to store the pages of a pod. The generation must have been
// begun, and pod must have no other Writer in it, ever. known may be nil.
func (s *Store) NewWriter(gen, pod int, known *Index, opt WriterOptions) (*Writer, error) {
	return s.newWriter(gen, pod, known, opt, maxSlots)
}

func (s *Store) newWriter(gen, pod int, known *Index, opt WriterOptions, slots int) (*Writer, error) {
	if err := s.checkBegun(gen, pod); err != nil {
		return nil, fmt.Errorf("write pages of pod %d: %w", pod, err)
	}
	if _, err := newEncoder(opt.Compression); err != nil {
		return nil, fmt.Errorf("write pages of pod %d: %w", pod, err)
	}
	if opt.Lanes <= 0 {
		opt.Lanes = min(8, runtime.GOMAXPROCS(0))
	}
	if opt.VerifyPages {
		opt.Lanes = 1
	}
	w := &Writer{s: s, gen: gen, pod: pod, known: known, opt: opt, slots: slots, free: make(chan *lane, opt.Lanes), stage: opt.Stage}
	var packs []*packKeys
	if known != nil {
		packs = known.packs[:len(known.packs):len(known.packs)]
	}
	w.packs.Store(&packs)
	return w, nil
}

// AddPages stores the pages in buf, whose length is a multiple of PageSize, and
// appends one Ref for each to refs. It does not keep buf. Buffers of 256 KiB to
// 1 MiB are best: they are hashed and written while in the cache of the CPU,
// and pages of one buffer that are new come to lie together.
func (w *Writer) AddPages(refs []Ref, buf []byte) ([]Ref, error) {
	if len(buf)%PageSize != 0 {
		panic(fmt.Sprintf("store: AddPages of %d bytes, which are no whole pages", len(buf)))
	}
	var (
		keys [gatherPages]Key
		zero [gatherPages]bool
		out  [gatherPages]Ref
	)
	for len(buf) > 0 {
		n := min(len(buf)/PageSize, len(keys))
		pages := buf[:n*PageSize]
		zeros := 0
		for i := range n {
			page := pages[i*PageSize:][:PageSize]
			if zero[i] = isZero(page); zero[i] {
				zeros++
				continue
			}
			keys[i] = KeyOf(page)
		}
		clear(out[:n])
		if zeros < n {
			if err := w.add(pages, keys[:n], zero[:n], out[:n]); err != nil {
				return refs, err
			}
		}
		w.logical.Add(int64(n))
		w.zero.Add(int64(zeros))
		refs = append(refs, out[:n]...)
		buf = buf[n*PageSize:]
	}
	return refs, nil
}

func (w *Writer) add(pages []byte, keys []Key, zero []bool, refs []Ref) error {
	l, err := w.takeLane()
	if err != nil {
		return err
	}
	err = l.add(pages, keys, zero, refs)
	w.free <- l
	if err != nil {
		return w.fail(err)
	}
	return nil
}

// takeLane returns a free lane, a new one if there may be more, or waits.
func (w *Writer) takeLane() (*lane, error) {
	select {
	case l := <-w.free:
		return w.usable(l)
	default:
	}
	w.mu.Lock()
	if w.err == nil && !w.finished && len(w.lanes) < w.opt.Lanes {
		l, err := newLane(w)
		if err == nil {
			w.lanes = append(w.lanes, l)
		}
		w.mu.Unlock()
		return l, err
	}
	idle := len(w.lanes) == 0
	w.mu.Unlock()
	if idle {
		return w.usable(nil)
	}
	return w.usable(<-w.free)
}

// usable gives the lane back if the writer takes no more pages.
func (w *Writer) usable(l *lane) (*lane, error) {
	w.mu.Lock()
	err := w.err
	if err == nil && w.finished {
		err = fmt.Errorf("write pages of pod %d: generation %d is finished", w.pod, w.gen)
	}
	w.mu.Unlock()
	if err != nil && l != nil {
		w.free <- l
	}
	return l, err
}

// fail keeps the first error for all later calls.
func (w *Writer) fail(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = fmt.Errorf("write pages of pod %d, generation %d: %w", w.pod, w.gen, err)
	}
	return w.err
}

// newPack begins a pack and puts it on the list that refs count in.
func (w *Writer) newPack() (*packWriter, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	packs := *w.packs.Load()
	if len(packs) == maxPacks {
		return nil, fmt.Errorf("%d packs are as many as one pod can refer to", maxPacks)
	}
	p, err := w.makePack(len(w.own))
	if err != nil {
		return nil, err
	}
	w.own = append(w.own, p)
	// Others may be reading the list: they keep the old one, in which all refs
	// that they can have met have their pack.
	packs = append(packs[:len(packs):len(packs)], &p.packKeys)
	p.number = len(packs)
	w.packs.Store(&packs)
	return p, nil
}
