package ckptlib

import (
	"sync"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/mem"
	"github.com/gompirun/gompirun/ckptlib/store"
)

// Memory for copies made in a pause: holdLeast, and a holdShare-th of what the
// job has.
const (
	holdLeast = 16 << 20
	holdShare = 64
)

// held are copies of pages, made while the pod stands still and written when it
// runs again: hashing and writing take longer than copying. The memory is kept
// from one checkpoint to the next.
type held struct {
	mu     sync.Mutex
	arena  []byte
	used   int
	pieces []heldPiece
}

type heldPiece struct {
	object image.ObjectID
	page   uint64
	data   []byte
}

// prepare makes room before the pause. job is the size of the pod's memory in
// bytes at the last checkpoint, 0 before the first.
func (h *held) prepare(job int64) {
	n := holdLeast + int(job/holdShare)
	if n <= len(h.arena) && len(h.arena) < 2*n {
		return
	}
	h.arena = make([]byte, n)
	for i := 0; i < n; i += store.PageSize {
		h.arena[i] = 1 // the kernel gives memory when it is touched
	}
}

// room is how many bytes more can be held.
func (h *held) room() int64 { return int64(len(h.arena) - h.used) }

// Room implements mem.Keeper.
func (h *held) Room(n int) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n > len(h.arena)-h.used {
		return nil
	}
	h.used += n
	return h.arena[h.used-n : h.used : h.used]
}

// Keep implements mem.Keeper.
func (h *held) Keep(object image.ObjectID, page uint64, b []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pieces = append(h.pieces, heldPiece{object, page, b})
	return nil
}

// release gives what is held to sink and forgets it.
func (h *held) release(sink mem.Sink) error {
	defer h.forget()
	for _, p := range h.pieces {
		if err := sink(p.object, p.page, p.data); err != nil {
			return err
		}
	}
	return nil
}

func (h *held) forget() { h.used, h.pieces = 0, h.pieces[:0] }
