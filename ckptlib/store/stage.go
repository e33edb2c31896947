package store

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Packs may be written to a directory of this host first, and brought to the
// store when the job runs again. Until then they have no name: whatever ends
// their holder, or the host, the file system frees them, and nothing has to be
// swept up.

// oTmpfile is O_TMPFILE of open(2), which holds O_DIRECTORY.
const oTmpfile = 0o20000000 | syscall.O_DIRECTORY

// openStaged makes a file without a name.
func openStaged(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDWR|oTmpfile, fileMode)
	if !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EISDIR) {
		return f, err
	}
	// A file system that has none, such as NFS or overlayfs before Linux 6.1.
	if f, err = os.CreateTemp(dir, ".gompirun"+tempMark+"*"); err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// noRoom tells a file system or a quota that is full from other failures.
func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// leaveStage has all that is written from here on go to the store directly.
func (w *Writer) leaveStage(err error) {
	w.stageMu.Lock()
	defer w.stageMu.Unlock()
	if w.stage != "" {
		w.stageErr = fmt.Errorf("the staging directory %s was not used for all of this checkpoint, the rest was written to %s directly: %w", w.stage, w.s.dir, err)
		w.stage = ""
	}
}

func (w *Writer) stageDir() string {
	w.stageMu.Lock()
	defer w.stageMu.Unlock()
	return w.stage
}

// StageError tells why not all packs went to the staging directory, nil if they
// did or there is none.
func (w *Writer) StageError() error {
	w.stageMu.Lock()
	defer w.stageMu.Unlock()
	return w.stageErr
}

// Deliver brings what was staged to the store, durably. It comes after Sync; a
// Writer without a staging directory has nothing to deliver.
func (w *Writer) Deliver() error {
	w.end.Lock()
	defer w.end.Unlock()
	if err := w.finish(); err != nil {
		return err
	}
	delivered := false
	for _, p := range w.own {
		if !p.staged {
			continue
		}
		delivered = true
		if err := p.place(p.info.Size); err != nil {
			return w.fail(fmt.Errorf("bring %s from the staging directory to the store: %w", p.info.Name, err))
		}
		if err := p.sync(); err != nil {
			return w.fail(err)
		}
	}
	if delivered {
		if err := syncDir(w.s.path(packDir)); err != nil {
			return w.fail(err)
		}
	}
	return nil
}

// copyBytes is how much of a staged pack is copied at a time.
const copyBytes = 1 << 20

// place gives the pack its file in the store, with the first size bytes, which
// have been staged. It must not exist: whoever finds it there uses a generation
// number a second time.
func (p *packWriter) place(size int64) error {
	f, err := os.OpenFile(p.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return remedy(err)
	}
	staged := p.file
	p.file, p.staged = f, false // from here on discard removes it
	if staged == nil {
		return nil
	}
	buf := make([]byte, min(size, copyBytes))
	for at := int64(0); at < size && err == nil; at += int64(len(buf)) {
		b := buf[:min(int64(len(buf)), size-at)]
		if _, err = staged.ReadAt(b, at); err == nil {
			_, err = f.WriteAt(b, at)
		}
	}
	_ = staged.Close() // what was written to it has been synced, or is not relied on
	return remedy(err)
}

// writeAt writes to the pack's file. One that is staged moves to the store when
// there is no more room for it.
func (p *packWriter) writeAt(data []byte, off int64) error {
	_, err := p.file.WriteAt(data, off)
	if err == nil || !p.staged || !noRoom(err) {
		return remedy(err)
	}
	p.leave(err)
	if err := p.place(off); err != nil { // a pack is written from its first byte to its last
		return err
	}
	_, err = p.file.WriteAt(data, off)
	return remedy(err)
}
