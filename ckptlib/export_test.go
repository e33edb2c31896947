package ckptlib

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
