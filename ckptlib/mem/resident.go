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
	b := r.Batch()
	for i := range vmas {
		v := &vmas[i]
		dev, err := ParseDev(v.Dev)
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
		out := make(resident, (v.End-v.Start)/PageSize)
		s.resident[k] = out
		if err := ask(b, out, v.Start); err != nil {
			return err
		}
	}
	return b.Run()
}

// ask adds the questions that fill out.
func ask(b *tracer.Batch, out resident, start uint64) error {
	for at := uint64(0); at < uint64(len(out)); {
		part := out[at:min(uint64(len(out)), at+tracer.ScratchSize)]
		from, size := start+at*PageSize, uint64(len(part))
		err := b.Ask(len(part), func(_ uint64, answer []byte, err error) error {
			if err != nil {
				return fmt.Errorf("mincore of %d pages at %#x: %w", size, from, err)
			}
			copy(part, answer)
			return nil
		}, unix.SYS_MINCORE, from, size*PageSize, tracer.Out)
		if err != nil {
			return err
		}
		at += size
	}
	return nil
}
