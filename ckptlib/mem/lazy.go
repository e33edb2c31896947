package mem

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// lazyAdvice is what memory that is mapped from a file can be advised of as well
// as other memory.
var lazyAdvice = []int{
	unix.MADV_SEQUENTIAL, unix.MADV_RANDOM, unix.MADV_DONTFORK, unix.MADV_DONTDUMP, unix.MADV_HUGEPAGE, unix.MADV_NOHUGEPAGE,
}

// Lazy reports whether a mapping's content may be read when the process runs
// again: it is private memory without a file, and nothing else is special about
// it.
func Lazy(m *image.Mapping) bool {
	if m.Shared || m.File != nil || m.SharedID != 0 || m.GrowsDown || m.Locked || m.HugePage != 0 || len(m.Guards) > 0 || m.Name != "" && m.Name != "[heap]" {
		return false
	}
	return !slices.ContainsFunc(m.Advice, func(a int) bool { return !slices.Contains(lazyAdvice, a) })
}

// Filled are pages of a process, by their addresses.
type Filled struct {
	Start uint64
	Data  []byte
}

// A Settler turns memory of a stopped process that is mapped from a file, as its
// lazy parts are, into what it would have been without: memory without a file,
// with the content of the image or what the process has written to it since.
type Settler struct {
	tracker *Tracker // nil if pages of the process are not tracked
	scan    *Scanner
	target  *Target
}

// NewSettler opens a process's memory. The caller must Close it.
func NewSettler(pid int, t *Tracker) (*Settler, error) {
	scan, err := NewScanner(pid)
	if err != nil {
		return nil, err
	}
	target, err := NewProcessTarget(pid, t)
	if err != nil {
		_ = scan.Close() // only read
		return nil, err
	}
	return &Settler{t, scan, target}, nil
}

// Close releases the process's memory.
func (s *Settler) Close() {
	_ = s.scan.Close() // only read
	s.target.Close()
}

// Settle turns the part [v.Start, v.End) of a lazy mapping. m is the mapping as
// the image has it; content are all its pages in the part that are not zero, and
// may be more. After an error that says begun the process must not run again.
//
// Preconditions: r is entered in the process, all of whose threads are stopped, as
// are those of processes that could write to its memory.
func (s *Settler) Settle(r *tracer.Remote, v *procfs.VMA, m *image.Mapping, content []Filled) (begun bool, err error) {
	found, err := s.scan.Private(v.Start, v.End, true, false)
	if err != nil {
		return false, fmt.Errorf("find the pages of process %d at %#x: %w", s.target.PID, v.Start, err)
	}
	var own []Filled
	for _, run := range merge(found.Changed, found.Same) {
		f := Filled{run.Start, make([]byte, run.Bytes())}
		if _, err := s.target.mem.ReadAt(f.Data, int64(run.Start)); err != nil {
			return false, fmt.Errorf("read memory of process %d at %#x: %w", s.target.PID, run.Start, err)
		}
		own = append(own, f)
	}
	part := image.Mapping{Start: v.Start, End: v.End, Prot: prot(v), NoReserve: m.NoReserve}
	b := r.Batch()
	if err := errors.Join(mapAt(b, &part, ^uint64(0), unix.MAP_ANONYMOUS|unix.MAP_FIXED, 0), b.Run()); err != nil {
		return false, err
	}
	for _, a := range m.Advice {
		// What is left out changes no content, but for children.
		if _, err := r.Syscall(unix.SYS_MADVISE, v.Start, v.End-v.Start, uint64(a)); err != nil && a == unix.MADV_DONTFORK {
			return true, fmt.Errorf("madvise %#x: %w", v.Start, err)
		}
	}
	watched, err := s.register(&part, m)
	if err == nil {
		err = s.fill(clip(content, v.Start, v.End))
	}
	if err == nil && watched {
		s.tracker.fresh = nil // what the process has written counts as changed
		err = s.scan.Protect(v.Start, v.End, false)
	}
	if err != nil {
		return true, err
	}
	return true, s.fill(own)
}

// register has a part tracked, unless its pages may be huge. It comes before the
// part has pages, and is the same for all parts of a mapping: so they become one
// mapping again, which mremap(2) takes as a whole.
func (s *Settler) register(part, m *image.Mapping) (bool, error) {
	if s.tracker == nil || hugePages(m) {
		return false, nil
	}
	w := watchable{start: part.Start, end: part.End}
	s.tracker.fresh = []Run{{part.Start, part.End}}
	return true, s.tracker.register(&w)
}

// hugeAlways tells whether the kernel gives huge pages to who does not ask.
var hugeAlways = sync.OnceValue(func() bool {
	b, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled")
	return err == nil && strings.Contains(string(b), "[always]")
})

// fill writes pages.
func (s *Settler) fill(list []Filled) error {
	var rest Filled
	next := func() (Piece, bool) {
		for len(rest.Data) == 0 {
			if len(list) == 0 {
				return Piece{}, false
			}
			rest, list = list[0], list[1:]
		}
		p := Piece{Page: rest.Start / PageSize, Data: rest.Data[:min(len(rest.Data), piece)]}
		rest = Filled{rest.Start + uint64(len(p.Data)), rest.Data[len(p.Data):]}
		return p, true
	}
	return Fill(map[image.ObjectID]*Target{0: s.target}, next)
}

// clip returns what of the pages lies in [start, end).
func clip(list []Filled, start, end uint64) (out []Filled) {
	for _, f := range list {
		from, to := max(f.Start, start), min(f.Start+uint64(len(f.Data)), end)
		if from < to {
			out = append(out, Filled{from, f.Data[from-f.Start : to-f.Start]})
		}
	}
	return out
}
