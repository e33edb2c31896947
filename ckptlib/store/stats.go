package store

import "slices"

// Stats counts what a Writer did so far.
type Stats struct {
	PagesLogical int64 // given to AddPages
	PagesZero    int64 // of them, pages of zeros
	PagesDeduped int64 // of them, known already
	PagesStored  int64 // of them, new
	BytesLogical int64 // PagesLogical in bytes
	BytesWritten int64 // what the packs take on disk, complete after Finish
}

// Stats returns the counts so far. While AddPages is under way they are a
// moment old and need not add up.
func (w *Writer) Stats() Stats {
	s := Stats{
		PagesLogical: w.logical.Load(),
		PagesZero:    w.zero.Load(),
		PagesDeduped: w.deduped.Load(),
		PagesStored:  w.stored.Load(),
	}
	s.BytesLogical = s.PagesLogical * PageSize
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.complete {
		s.BytesWritten = s.PagesStored * PageSize
		return s
	}
	for _, p := range w.own {
		s.BytesWritten += p.info.Size
	}
	return s
}

// Files returns the packs that this writer made. It may be called after Finish.
func (w *Writer) Files() []FileInfo {
	var files []FileInfo
	for _, p := range w.own {
		if p.sealed {
			files = append(files, p.info)
		}
	}
	return files
}

// keysByPack returns the keys in memory of every pack the writer refers to.
func (w *Writer) keysByPack() map[FileInfo][]byte {
	have := map[FileInfo][]byte{}
	if w == nil {
		return have
	}
	if w.known != nil {
		for _, p := range w.known.packs {
			if !p.unread {
				have[p.info] = p.keys
			}
		}
	}
	for _, p := range w.own {
		if p.sealed {
			// A copy, for the array was made for a full pack.
			have[p.info] = slices.Clone(p.keys[:int(p.slots)*keySize])
		}
	}
	return have
}
