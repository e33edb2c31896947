package ckptlib

import (
	"strings"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/mem"
	"github.com/gompirun/gompirun/ckptlib/store"
)

// Result is a pod's part of a checkpoint that is durable.
type Result struct {
	Files        []store.FileInfo // the images, for the manifest
	BytesLogical int64            // of memory that had content
	BytesChanged int64            // of them, those read; the others are known not to have changed
	BytesEarly   int64            // of these, those read before the pod stood still
	BytesWritten int64            // to packs and images
	Processes    int
	Ranks        int
	Warnings     []string
	Writer       *store.Writer // its keys serve the next generation's index
}

// Write reads the copies of processes and the mapped files, and syncs all pages;
// without a staging directory it delivers them as well. The pod runs meanwhile.
// After an error the caller calls Abort.
func (c *Checkpoint) Write() (Result, error) {
	if err := c.writeMemory(); err != nil {
		return Result{}, err
	}
	for i := range c.im.Processes {
		mem.HugePages(c.im.Shared, c.im.Processes[i].Mappings)
	}
	for _, f := range c.files.List {
		if err := c.mappedFile(f); err != nil {
			capturer{c}.Warn("%v", err)
		}
	}
	if err := c.draft.writer.Finish(); err != nil {
		return Result{}, err
	}
	var err error
	if c.pages, err = c.table.Build(c.draft.writer); err != nil {
		return Result{}, err
	}
	if err := c.draft.writer.Sync(); err != nil {
		return Result{}, err
	}
	if c.staged {
		return Result{}, nil
	}
	return c.Deliver()
}

// Deliver brings everything that is still on this host to the store, and writes
// the images. After an error the caller calls Abort.
//
// Preconditions: Write has succeeded and not called it.
func (c *Checkpoint) Deliver() (Result, error) {
	if err := c.draft.writer.Deliver(); err != nil {
		return Result{}, err
	}
	if err := c.draft.writer.StageError(); err != nil {
		capturer{c}.Warn("%v", err)
	}
	pages, err := c.pages.Encode()
	if err != nil {
		return Result{}, err
	}
	b, err := image.Encode(&c.im)
	if err != nil {
		return Result{}, err
	}
	r := Result{BytesLogical: c.logical, BytesChanged: c.changed, BytesEarly: c.early, Processes: len(c.im.Processes), Warnings: c.warnings, Writer: c.draft.writer}
	for _, img := range []struct {
		kind string
		data []byte
	}{{"json", b}, {"pages", pages}} {
		f, err := c.store.WriteImage(c.gen, c.p.c.ID, img.kind, img.data)
		if err != nil {
			return Result{}, err
		}
		r.Files = append(r.Files, f)
		r.BytesWritten += f.Size
	}
	r.BytesWritten += c.draft.writer.Stats().BytesWritten
	for i := range c.im.Processes {
		if isRank(&c.im.Processes[i]) {
			r.Ranks++
		}
	}
	// A copy: the image is part of the checkpoint, and with it of all before.
	im := c.im
	c.p.track.base, c.p.size, c.p.track.failed = &base{c.gen, c.pages, &im}, c.logical, false
	c.p.free()
	return r, nil
}

// isRank tells a process of the program from the launcher's own.
func isRank(p *image.Process) bool {
	if p.Zombie != nil {
		return false
	}
	for _, m := range p.Mappings {
		base := m.Name[strings.LastIndexByte(m.Name, '/')+1:]
		if strings.HasPrefix(base, "libmpi.so") || strings.HasPrefix(base, "libmpich.so") {
			return true
		}
	}
	return false
}

// mappedFile saves a mapped file, so that a restart can tell whether a host has
// the same, and do without where it has not. A file that is mapped shared may
// change while it is read and is left out.
func (c *Checkpoint) mappedFile(f *image.MappedFile) error {
	if f.Deleted || c.sharedFile(f) || !strings.HasPrefix(f.Path, "/") {
		return nil
	}
	id := c.object()
	pages := uint64(f.Size+store.PageSize-1) / store.PageSize
	if old := c.draft.last.file(f); old != nil && c.draft.carry.Covers(uint64(old.Object), 0, pages) {
		c.draft.carry.Carry(c.table, uint64(old.Object), uint64(id), 0, pages)
		f.Hash, f.Object = old.Hash, id
		return nil
	}
	hash, err := mem.HashFile(c.p.pod.Root(), f, func(offset int64, b []byte) error {
		return c.put(id, uint64(offset)/store.PageSize, b)
	})
	if err != nil {
		return err
	}
	f.Hash, f.Object = hash, id
	return nil
}

func (c *Checkpoint) sharedFile(f *image.MappedFile) bool {
	for i := range c.im.Processes {
		for _, m := range c.im.Processes[i].Mappings {
			if m.File == f && m.Shared {
				return true
			}
		}
	}
	return false
}
