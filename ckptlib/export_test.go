package ckptlib

import "testing"

// HoldBack has memory of lazy restarts not read in behind the programs, until the
// returned function is called.
func HoldBack(t *testing.T) (release func()) {
	release = func() { holdBack.Store(false) }
	holdBack.Store(true)
	t.Cleanup(release)
	return release
}

// Outstanding is how many bytes of lazy memory have not been read in.
func (p *Pod) Outstanding() (n uint64) {
	if p.lazy == nil {
		return 0
	}
	p.lazy.mu.Lock()
	defer p.lazy.mu.Unlock()
	for _, runs := range p.lazy.left {
		for _, r := range runs {
			n += r.Bytes()
		}
	}
	return n
}
