package kobj

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

var fanotifyKind = Kind{
	Name:    "fanotify group",
	Match:   func(s *Source) bool { return s.Link == "anon_inode:[fanotify]" },
	Capture: captureFanotify,
	Has:     func(f *image.File) bool { return f.Fanotify != nil },
	Restore: restoreFanotify,
}

// The groups and marks of ordinary users (Linux 5.13): events name files by their
// handles, and marks are of files, not of mounts or file systems.
const (
	fanForUsers = unix.FAN_CLOEXEC | unix.FAN_NONBLOCK | unix.FAN_REPORT_FID | unix.FAN_REPORT_DIR_FID | unix.FAN_REPORT_NAME | unix.FAN_REPORT_TARGET_FID
	fanFIDs     = unix.FAN_REPORT_FID | unix.FAN_REPORT_DIR_FID
)

// captureFanotify finds the paths of the marks, of which the kernel knows only the
// inodes.
func captureFanotify(c Capturer, s *Source, f *image.File) error {
	g := &image.Fanotify{}
	var lines FDInfo // but for that of the group
	for _, line := range s.Info.Lines {
		if _, err := fmt.Sscanf(line, "fanotify flags:%x event-flags:%x", &g.Flags, &g.EventFlags); err != nil {
			lines.Lines = append(lines.Lines, line)
		}
	}
	if g.Flags&fanFIDs == 0 || g.Flags&^fanForUsers != 0 {
		return &UnsupportedError{Source: s.String(), Hint: fmt.Sprintf("a group with the flags %#x is not for ordinary users: watch files with FAN_REPORT_FID or inotify", g.Flags)}
	}
	marks, err := parseWatches(lines, "fanotify ")
	if err != nil {
		return err
	}
	if n, err := unix.IoctlGetInt(s.FD, unix.TIOCINQ); err == nil && n > 0 {
		c.Warn("%s: events that it has not read are not kept for a restart; the program is then told that events were lost (FAN_Q_OVERFLOW)", s)
		g.Lost = true
	}
	finder := pathFinder{source: s}
	slices.Reverse(marks) // the kernel tells the newest first
	for _, w := range marks {
		if w.ino == 0 {
			return &UnsupportedError{Source: s.String(), Hint: "it watches a mount or a file system, which is not for ordinary users: watch directories"}
		}
		path, ok := finder.find(w)
		if !ok {
			return unfound(s, w)
		}
		g.Marks = append(g.Marks, image.FanotifyMark{Path: path, Flags: w.flags, Mask: uint64(w.mask), Ignored: uint64(w.ignored)})
	}
	f.Fanotify = g
	return nil
}

// restoreFanotify makes the group and its marks.
func restoreFanotify(m *Maker, f *image.File) (int, error) {
	g := f.Fanotify
	fd, err := unix.FanotifyInit(uint(g.Flags)|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK, uint(g.EventFlags))
	if err != nil {
		return -1, fmt.Errorf("fanotify_init (Linux 5.13 is needed): %w", err)
	}
	if g.Lost {
		if err := fanotifyOverflow(m, fd); err != nil {
			m.Warn("a fanotify group is not told that it has lost events: %v", err)
		}
	}
	for _, k := range g.Marks {
		if err := restoreMark(m, fd, k); err != nil {
			return -1, errors.Join(fmt.Errorf("watch %s: %w", k.Path, err), unix.Close(fd))
		}
	}
	return withStatus(fd, nil, f.Flags)
}

// restoreMark makes a mark again: by two calls, one for what is told and one for
// what is not.
func restoreMark(m *Maker, fd int, k image.FanotifyMark) error {
	target, err := m.openRoot(k.Path, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer unix.Close(target)
	path := fmt.Sprintf("/proc/self/fd/%d", target)
	add := unix.FAN_MARK_ADD | uint(k.Flags)&unix.FAN_MARK_EVICTABLE
	if k.Mask != 0 {
		if err := unix.FanotifyMark(fd, add, k.Mask, unix.AT_FDCWD, path); err != nil {
			return err
		}
	}
	if k.Ignored == 0 {
		return nil
	}
	how := uint(k.Flags) & (unix.FAN_MARK_IGNORE | unix.FAN_MARK_IGNORED_SURV_MODIFY)
	if how&unix.FAN_MARK_IGNORE == 0 {
		how |= unix.FAN_MARK_IGNORED_MASK
	}
	return unix.FanotifyMark(fd, add|how, k.Ignored, unix.AT_FDCWD, path)
}
