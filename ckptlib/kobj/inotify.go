package kobj

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

var inotifyKind = Kind{
	Name: "inotify instance",
	Match: func(s *Source) bool {
		return s.Link == "anon_inode:inotify" || s.Link == "anon_inode:[inotify]"
	},
	Capture: captureInotify,
	Has:     func(f *image.File) bool { return f.Inotify != nil },
	Restore: restoreInotify,
}

// inotifySetNextWD is INOTIFY_IOC_SETNEXTWD, _IOW('I', 0, s32): the next watch
// gets this number.
const inotifySetNextWD = 0x40044900

// watchLine is one watch as fdinfo tells it, or one mark of fanotify.
type watchLine struct {
	wd      int
	mask    uint32
	ignored uint32
	flags   uint32 // of a mark
	ino     uint64
	dev     uint64 // as st_dev
	handle  []byte // of name_to_handle_at(2)
	kind    int32
}

// parseInotify parses the lines "inotify wd:3 ino:9e7e sdev:800013 mask:800afce
// ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:7e9e0000640d1b6d".
func parseInotify(i FDInfo) ([]watchLine, error) { return parseWatches(i, "inotify ") }

func parseWatches(i FDInfo, prefix string) ([]watchLine, error) {
	var all []watchLine
	for _, line := range i.Lines {
		rest, ok := strings.CutPrefix(line, prefix)
		if !ok {
			continue
		}
		var w watchLine
		var err error
		for _, field := range strings.Fields(rest) {
			key, value, _ := strings.Cut(field, ":")
			switch key {
			case "wd":
				_, err = fmt.Sscanf(value, "%x", &w.wd)
			case "mask":
				_, err = fmt.Sscanf(value, "%x", &w.mask)
			case "ignored_mask":
				_, err = fmt.Sscanf(value, "%x", &w.ignored)
			case "mflags":
				_, err = fmt.Sscanf(value, "%x", &w.flags)
			case "ino":
				_, err = fmt.Sscanf(value, "%x", &w.ino)
			case "sdev":
				// The kernel's own form of a device number: 12 and 20 bits.
				var dev uint64
				_, err = fmt.Sscanf(value, "%x", &dev)
				w.dev = unix.Mkdev(uint32(dev>>20), uint32(dev&0xfffff))
			case "fhandle-type":
				_, err = fmt.Sscanf(value, "%x", &w.kind)
			case "f_handle":
				_, err = fmt.Sscanf(value, "%x", &w.handle)
			}
			if err != nil {
				return nil, fmt.Errorf("parse %q of fdinfo: %w", field, err)
			}
		}
		all = append(all, w)
	}
	return all, nil
}

// captureInotify finds the paths of the watches, of which the kernel knows only
// the inodes.
func captureInotify(c Capturer, s *Source, f *image.File) error {
	lines, err := parseInotify(s.Info)
	if err != nil {
		return err
	}
	i := &image.Inotify{}
	if n, err := unix.IoctlGetInt(s.FD, unix.TIOCINQ); err == nil && n > 0 {
		c.Warn("%s: %d bytes of events that it has not read are not kept for a restart; the program is then told that events were lost (IN_Q_OVERFLOW)", s, n)
		i.Lost = true
	}
	finder := pathFinder{source: s}
	for _, w := range lines {
		path, ok := finder.find(w)
		if !ok {
			return unfound(s, w)
		}
		i.Watches = append(i.Watches, image.InotifyWatch{WD: w.wd, Mask: w.mask, Path: path})
	}
	f.Inotify = i
	return nil
}

// unfound says that the path of what a watch is of is not known.
func unfound(s *Source, w watchLine) error {
	return &UnsupportedError{
		Source: s.String(),
		Hint: fmt.Sprintf("the path of the file it watches, inode %d, cannot be found from outside: let the program keep its directory open or work in it, or close the watch before the checkpoint",
			w.ino),
	}
}

// restoreInotify adds the watches with their numbers.
func restoreInotify(m *Maker, f *image.File) (int, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return -1, fmt.Errorf("inotify_init1: %w", err)
	}
	if err := refillInotify(m, fd, f.Inotify); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return withStatus(fd, nil, f.Flags)
}

func refillInotify(m *Maker, fd int, i *image.Inotify) error {
	exact := setNextWD(fd, 1) == nil
	if i.Lost && exact {
		if err := overflow(fd); err != nil {
			m.Warn("an inotify instance is not told that it has lost events: %v", err)
		}
	}
	for _, w := range i.Watches {
		if err := addWatch(m, fd, w); err != nil {
			return err
		}
	}
	if exact {
		return nil
	}
	// What the search for numbers has put into the queue.
	buf := make([]byte, 4096)
	for {
		if _, err := unix.Read(fd, buf); err == unix.EAGAIN {
			return nil
		} else if err != nil && err != unix.EINTR {
			return fmt.Errorf("empty the queue of events: %w", err)
		}
	}
}

// setNextWD sets the number of the next watch (CONFIG_CHECKPOINT_RESTORE).
func setNextWD(fd, wd int) error {
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), inotifySetNextWD, uintptr(wd)); e != 0 {
		return e
	}
	return nil
}

func addWatch(m *Maker, fd int, w image.InotifyWatch) error {
	target, err := m.openRoot(w.Path, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	defer unix.Close(target)
	path := fmt.Sprintf("/proc/self/fd/%d", target)
	// Where it cannot be set the numbers are asked for one by one: the kernel does
	// not use one again before it has used all.
	exact := setNextWD(fd, w.WD) == nil
	for {
		wd, err := unix.InotifyAddWatch(fd, path, w.Mask)
		if err != nil {
			return fmt.Errorf("watch %s: %w", w.Path, err)
		}
		if wd == w.WD {
			return nil
		}
		if exact || wd > w.WD {
			return fmt.Errorf("watch %s: the kernel gives number %d in place of %d", w.Path, wd, w.WD)
		}
		if _, err := unix.InotifyRmWatch(fd, uint32(wd)); err != nil {
			return fmt.Errorf("watch %s: remove watch %d: %w", w.Path, wd, err)
		}
	}
}

// openHandle opens what a watch is of by its handle, on the file system of
// mount. It needs CAP_DAC_READ_SEARCH over that file system.
func openHandle(mount int, w watchLine) (int, error) {
	h := unix.NewFileHandle(w.kind, w.handle)
	fd, err := unix.OpenByHandleAt(mount, h, unix.O_PATH|unix.O_CLOEXEC)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Ino != w.ino {
		return -1, errors.Join(unix.ESTALE, unix.Close(fd))
	}
	return fd, nil
}
