package store

import "sync"

// A blockCache keeps the last decompressed blocks, since the runs of a page
// table often take a few pages of one block each. A nil cache keeps nothing.
type blockCache struct {
	mu   sync.Mutex
	next int
	ring [16]*cachedBlock
}

type cachedBlock struct {
	pack *packReader
	slot uint32 // the block's first
	once sync.Once
	raw  []byte
	err  error
}

// get returns the pages of a block, which the caller must not change. Of
// goroutines that ask for the same block at once, one decompresses it.
func (c *blockCache) get(p *packReader, b *block) ([]byte, error) {
	e := c.entry(p, b.first)
	e.once.Do(func() {
		e.raw = make([]byte, int(b.pages)*PageSize)
		e.err = p.unpack(b, e.raw)
	})
	return e.raw, e.err
}

func (c *blockCache) entry(p *packReader, slot uint32) *cachedBlock {
	if c == nil {
		return &cachedBlock{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.ring {
		if e != nil && e.pack == p && e.slot == slot {
			return e
		}
	}
	e := &cachedBlock{pack: p, slot: slot}
	c.ring[c.next] = e
	c.next = (c.next + 1) % len(c.ring)
	return e
}
