package mem

import (
	"fmt"
	"io"
	"os"

	"github.com/zeebo/xxh3"
	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
)

// FileSet collects the files of disks that processes have mapped: programs,
// libraries, data. One description serves all mappings of a file.
type FileSet struct {
	Root  string // the pod's root as this process sees it
	files map[fileKey]*image.MappedFile
	List  []*image.MappedFile
}

type fileKey struct {
	name string
	ino  uint64
}

// NewFileSet starts a collection for a pod.
func NewFileSet(root string) *FileSet {
	return &FileSet{Root: root, files: map[fileKey]*image.MappedFile{}}
}

// Mapped notes a mapping of a file. A file whose name leads elsewhere by now,
// as after an upgrade of a library, counts as deleted: only the mapping has its
// content.
func (s *FileSet) Mapped(v *procfs.VMA) (*image.MappedFile, error) {
	k := fileKey{v.Name, v.Inode}
	if f, ok := s.files[k]; ok {
		cover(f, v)
		return f, nil
	}
	f := &image.MappedFile{Path: v.Name, Deleted: v.Deleted}
	if !v.Deleted {
		var st unix.Stat_t
		switch err := unix.Stat(s.Root+v.Name, &st); {
		case err == unix.ENOENT, err == nil && st.Ino != v.Inode:
			f.Deleted = true
		case err != nil:
			return nil, fmt.Errorf("stat mapped file %s: %w", v.Name, err)
		}
		if !f.Deleted {
			f.Size, f.Mtime, f.Ctime, f.Inode = st.Size, st.Mtim.Nano(), st.Ctim.Nano(), st.Ino
		}
	}
	cover(f, v)
	s.files[k] = f
	s.List = append(s.List, f)
	return f, nil
}

// cover makes the size of a deleted file, which nobody knows, that of what is
// mapped of it.
func cover(f *image.MappedFile, v *procfs.VMA) {
	if f.Deleted {
		f.Size = max(f.Size, int64(v.Offset+v.End-v.Start))
	}
}

// HashFile reads a file of size bytes, calls page with its content a piece at a
// time (whole pages, the last one filled with zeros) and returns the xxh3-128 in
// hex. It is done while the job runs: a file that changes meanwhile has another
// size or time, which is an error.
func HashFile(root string, f *image.MappedFile, piece func(offset int64, b []byte) error) (string, error) {
	r, err := os.Open(root + f.Path)
	if err != nil {
		return "", err
	}
	defer r.Close()
	h := xxh3.New128()
	buf := make([]byte, 1<<20)
	var at int64
	for {
		// A device has no end.
		n, err := io.ReadFull(io.LimitReader(r, f.Size+1-at), buf)
		if n == 0 {
			break
		}
		_, _ = h.Write(buf[:n]) // a hash takes everything
		if piece != nil {
			full := (n + PageSize - 1) / PageSize * PageSize
			clear(buf[n:full])
			if err := piece(at, buf[:full]); err != nil {
				return "", err
			}
		}
		at += int64(n)
		if err != nil {
			break
		}
	}
	st, err := r.Stat()
	if err != nil {
		return "", err
	}
	if at != f.Size || st.ModTime().UnixNano() != f.Mtime {
		return "", fmt.Errorf("mapped file %s has changed while it was read", f.Path)
	}
	sum := h.Sum128().Bytes()
	return fmt.Sprintf("%x", sum[:]), nil
}
