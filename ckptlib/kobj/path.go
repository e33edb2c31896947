package kobj

import (
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// deletedMark is what the kernel puts behind a path that no longer leads to
// the file.
const deletedMark = " (deleted)"

// path returns the path under which a description was opened, in the pod, and
// whether it has been deleted since. NFS keeps the name of an open file that
// was deleted as .nfsXXXX until it is closed, which is deleted, too.
func (s *Source) path() (name string, deleted bool) {
	name, marked := strings.CutSuffix(s.Link, deletedMark)
	if !marked {
		return name, strings.HasPrefix(path.Base(name), ".nfs") && s.Stat.Nlink == 1 && s.Stat.Mode&unix.S_IFMT == unix.S_IFREG
	}
	// A name may end like that.
	if s.leadsHere(s.Link) {
		return s.Link, false
	}
	return name, true
}

// leadsHere tells whether a path of the pod leads to the description's inode.
func (s *Source) leadsHere(name string) bool {
	var st unix.Stat_t
	err := unix.Lstat(s.inPod(name), &st)
	return err == nil && st.Dev == s.Stat.Dev && st.Ino == s.Stat.Ino
}

// inPod makes a path of the pod one that this process can use. The kernel lets
// who may ptrace a process go through its root directory.
func (s *Source) inPod(name string) string {
	return fmt.Sprintf("/proc/%d/root%s", s.PID, name)
}

// otherName looks for another hard link of a file whose name was deleted.
func (s *Source) otherName() (string, bool) {
	w := watchLine{dev: s.Stat.Dev, ino: s.Stat.Ino}
	if h, _, err := unix.NameToHandleAt(s.FD, "", unix.AT_EMPTY_PATH); err == nil {
		w.kind, w.handle = h.Type(), h.Bytes()
	}
	p := pathFinder{source: s}
	name, ok := p.find(w)
	return name, ok && s.leadsHere(name)
}
