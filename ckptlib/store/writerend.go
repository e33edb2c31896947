package store

import (
	"errors"
	"fmt"
	"os"
	"sync"
)

// Finish writes what is pending and completes the packs. They are readable
// then, and durable after Sync.
func (w *Writer) Finish() error {
	w.end.Lock()
	defer w.end.Unlock()
	return w.finish()
}

func (w *Writer) finish() error {
	w.mu.Lock()
	if w.err != nil || w.finished {
		defer w.mu.Unlock()
		return w.err
	}
	w.finished = true
	lanes := w.lanes
	w.mu.Unlock()
	errs := make([]error, len(lanes))
	var wg sync.WaitGroup
	for i := range lanes {
		l := <-w.free
		wg.Go(func() { errs[i] = l.end() })
		defer func() { w.free <- l }()
	}
	wg.Wait()
	w.closeReaders()
	if err := errors.Join(errs...); err != nil {
		return w.fail(err)
	}
	w.mu.Lock()
	w.complete = true
	w.mu.Unlock()
	return nil
}

// Sync makes the packs durable: after it, and with a staging directory after
// Deliver, the generation may be committed, and not before. The processes whose
// pages these are may run meanwhile.
func (w *Writer) Sync() error {
	w.end.Lock()
	defer w.end.Unlock()
	if err := w.finish(); err != nil {
		return err
	}
	// The kernel reports a failed write-back once; asking again would look like
	// success. So the first error stays.
	for _, p := range w.own {
		if err := p.sync(); err != nil {
			return w.fail(err)
		}
	}
	if len(w.own) > 0 {
		if err := syncDir(w.s.path(packDir)); err != nil {
			return w.fail(err)
		}
	}
	return nil
}

// Abort removes the packs of this writer, and ends calls of AddPages with an
// error. It refuses when the generation is committed: the packs are part of a
// checkpoint then.
func (w *Writer) Abort() error {
	if _, err := os.Lstat(w.s.path(generationName(w.gen) + "/" + manifestName)); err == nil {
		return fmt.Errorf("abort pages of pod %d, generation %d: %w", w.pod, w.gen, ErrCommitted)
	}
	_ = w.fail(errors.New("it was aborted"))
	w.end.Lock()
	defer w.end.Unlock()
	w.mu.Lock()
	lanes := w.lanes
	w.mu.Unlock()
	for range lanes {
		<-w.free // calls under way end first
	}
	w.closeReaders()
	var errs []error
	for _, p := range w.own {
		errs = append(errs, p.discard())
	}
	w.mu.Lock()
	w.own = nil
	w.mu.Unlock()
	for _, l := range lanes {
		l.pack, l.pending = nil, nil
		w.free <- l
	}
	return errors.Join(errs...)
}
