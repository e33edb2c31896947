package kobj

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// fanotifyOverflow leaves a fanotify group with one event in its queue,
// FAN_Q_OVERFLOW: as overflow does for inotify. Here the kernel makes one event of
// all that are told alike, so each is of another directory.
//
// Preconditions: the group has no mark yet.
func fanotifyOverflow(m *Maker, fd int) (err error) {
	size, err := queueSize("fanotify")
	if err != nil {
		return err
	}
	shm, err := m.openRoot("/dev/shm", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(shm)
	dir, err := os.MkdirTemp(fmt.Sprintf("/proc/self/fd/%d", shm), ".gompirun-events-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(dir)) }()
	const opened = unix.FAN_OPEN | unix.FAN_ONDIR | unix.FAN_EVENT_ON_CHILD
	if err := unix.FanotifyMark(fd, unix.FAN_MARK_ADD, opened, unix.AT_FDCWD, dir); err != nil {
		return fmt.Errorf("watch a directory of this process: %w", err)
	}
	made := 0
	for ; made <= size && err == nil; made++ {
		err = tell(fmt.Sprintf("%s/%d", dir, made))
	}
	err = errors.Join(err, unix.FanotifyMark(fd, unix.FAN_MARK_REMOVE, opened, unix.AT_FDCWD, dir))
	for i := range made {
		_ = unix.Rmdir(fmt.Sprintf("%s/%d", dir, i)) // the directory above tells if one is left
	}
	if err != nil {
		return fmt.Errorf("fill the queue of events: %w", err)
	}
	return leaveLast(fd)
}

// tell has the kernel tell that a new directory was opened.
func tell(dir string) error {
	if err := unix.Mkdir(dir, 0o700); err != nil {
		return err
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// leaveLast reads all events of a queue but the last, FAN_Q_OVERFLOW. FIONREAD
// counts the bytes of each event (Linux 6.1) or those of its metadata (6.18): a
// queue in which as much is left as one read may take has another event after it.
// The last ones are read one by one, with just the room that one takes.
func leaveLast(fd int) error {
	const metadata = 24 // sizeof(struct fanotify_event_metadata), all that FAN_Q_OVERFLOW counts
	buf, one := make([]byte, 4096), metadata
	for {
		left, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
		if err != nil {
			return err
		}
		room := one
		switch {
		case left == metadata:
			return nil
		case left < metadata:
			return errors.New("the queue of events has none left")
		case left > len(buf):
			room = len(buf)
		}
		switch _, err := unix.Read(fd, buf[:room]); {
		case errors.Is(err, unix.EINVAL) && one < len(buf): // an event takes more
			one += 4
		case err != nil && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("read the queue of events: %w", err)
		}
	}
}
