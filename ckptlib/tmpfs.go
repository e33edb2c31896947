package ckptlib

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/mem"
	"github.com/gompirun/gompirun/ckptlib/pod"
)

// captureTree lists the pod's private tmpfs. The content of its files goes to
// the shared memory objects: processes may have them mapped.
func captureTree(root string, set *mem.SharedSet) ([]image.Node, error) {
	var out []image.Node
	base := root + pod.ShmDir
	err := filepath.WalkDir(base, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(base, path)
		if err != nil {
			return err
		}
		if ours(rel) {
			return nil
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		n := image.Node{Path: rel, Mode: st.Mode, Size: st.Size, Mtime: st.Mtim.Nano()}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			n.Shared, err = set.Named(rel, &st)
		case unix.S_IFLNK:
			n.Link, err = os.Readlink(path)
		case unix.S_IFDIR, unix.S_IFIFO, unix.S_IFSOCK:
		default:
			err = fmt.Errorf("%s is a device", path)
		}
		out = append(out, n)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("capture the pod's %s: %w", pod.ShmDir, err)
	}
	return out, nil
}

// ours tells the launcher's own files, which each life of the pod makes anew.
func ours(rel string) bool {
	abs := filepath.Join(pod.ShmDir, rel)
	return abs == pod.Dir+"/ctl" || abs == pod.Dir+"/shim"
}

// restoreTree makes the tree again, without its regular files, which the shared
// memory objects make, and its sockets, which the sockets make when they are
// bound. Times and modes of directories are set by finishTree.
func restoreTree(root string, tree []image.Node) error {
	for _, n := range tree {
		path := filepath.Join(root+pod.ShmDir, n.Path)
		var err error
		switch n.Mode & unix.S_IFMT {
		case unix.S_IFDIR:
			err = os.Mkdir(path, 0o700)
		case unix.S_IFLNK:
			err = os.Symlink(n.Link, path)
		case unix.S_IFIFO:
			err = unix.Mkfifo(path, 0o600)
		}
		if err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("restore the pod's %s: %w", pod.ShmDir, err)
		}
	}
	return nil
}

// finishTree gives modes and times back, the deepest first: a directory's time
// changes with its content.
func finishTree(root string, tree []image.Node) error {
	for i := len(tree) - 1; i >= 0; i-- {
		n := &tree[i]
		path := filepath.Join(root+pod.ShmDir, n.Path)
		if n.Mode&unix.S_IFMT == unix.S_IFLNK {
			continue
		}
		err := unix.Chmod(path, n.Mode&0o7777)
		if err == nil {
			ts := unix.NsecToTimespec(n.Mtime)
			err = unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{ts, ts}, 0)
		}
		// A socket's name may be another's by now, or nobody's.
		if err != nil && n.Mode&unix.S_IFMT != unix.S_IFSOCK {
			return fmt.Errorf("restore %s of the pod: %w", n.Path, err)
		}
	}
	return nil
}
