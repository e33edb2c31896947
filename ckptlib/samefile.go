package ckptlib

import (
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/mem"
)

// sameFile tells whether this host has a mapped file as it was, by its content.
// Nothing less will do: images of hosts are built with all times clamped to one,
// their file systems have the same identity and inodes, and a program that runs
// on with the text of another build does so until it jumps somewhere.
func sameFile(root string, f *image.MappedFile) error {
	var st unix.Stat_t
	if err := unix.Stat(root+f.Path, &st); err != nil {
		return &os.PathError{Op: "stat", Path: f.Path, Err: err}
	}
	if st.Size != f.Size {
		return fmt.Errorf("%s has %d bytes, it had %d", f.Path, st.Size, f.Size)
	}
	if f.Hash == "" {
		return nil // nobody knows what it held
	}
	hash, err := hashOf(root, f.Path, &st)
	if err == nil && hash != f.Hash {
		err = fmt.Errorf("%s has another content than it had", f.Path)
	}
	return err
}

// A fileState is a file of this host at a time: no write leaves its ctime as it
// was.
type fileState struct {
	dev, ino     uint64
	size         int64
	mtime, ctime unix.Timespec
}

// hashes are those of files by their state. A restart asks for each file before
// it begins, and then for every mapping of every process.
var hashes sync.Map

func hashOf(root, path string, st *unix.Stat_t) (string, error) {
	state := fileState{st.Dev, st.Ino, st.Size, st.Mtim, st.Ctim}
	if h, ok := hashes.Load(state); ok {
		return h.(string), nil
	}
	h, err := mem.HashFile(root, &image.MappedFile{Path: path, Size: st.Size, Mtime: st.Mtim.Nano()}, nil)
	if err == nil {
		hashes.Store(state, h)
	}
	return h, err
}
