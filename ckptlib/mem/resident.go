package mem

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// A resident set tells of each page of a view whether it has content: bit 0 of
// a byte, as mincore(2) has it. A page without would get memory by being read.
type resident []byte

func (s resident) has(page uint64) bool { return s == nil || s[page]&1 != 0 }

// viewKey is a part of a shared memory object.
type viewKey struct {
	Key
	offset, size uint64
}

// Resident asks a process which pages of its shared memory have content. It
// comes before the process's mappings are captured; what other processes have
// told before is not asked again.
func (s *SharedSet) Resident(r *tracer.Remote, vmas []procfs.VMA) error {
	for i := range vmas {
		v := &vmas[i]
		dev, err := parseDev(v.Dev)
		if err != nil || !v.Shared {
			continue
		}
		// mincore(2) does not tell of pages that are swapped out. Where the flags have
		// not been read nothing is (proc's ReadFlags).
		if _, ok := s.kindOf(v.Name, dev); !ok || v.Swapped {
			continue
		}
		k := viewKey{Key{dev, v.Inode}, v.Offset, v.End - v.Start}
		if _, ok := s.resident[k]; ok {
			continue
		}
		if s.resident[k], err = ask(r, v.Start, v.End); err != nil {
			return fmt.Errorf("mincore %#x-%#x: %w", v.Start, v.End, err)
		}
	}
	return nil
}

func ask(r *tracer.Remote, start, end uint64) (resident, error) {
	out := make(resident, (end-start)/PageSize)
	for at := uint64(0); at < uint64(len(out)); {
		n := min(uint64(len(out))-at, tracer.ScratchSize)
		if _, err := r.Syscall(unix.SYS_MINCORE, start+at*PageSize, n*PageSize, uint64(r.Scratch())); err != nil {
			return nil, err
		}
		if err := r.Get(0, out[at:at+n]); err != nil {
			return nil, err
		}
		at += n
	}
	return out, nil
}
