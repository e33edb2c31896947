package kobj

import (
	"encoding/binary"
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

// leaveLast reads all events of a queue but the last. To count them the kernel
// walks the queue, so it is asked once; the last ones, which are of one length but
// for FAN_Q_OVERFLOW, are read one by one.
func leaveLast(fd int) error {
	const metadata = 24 // sizeof(struct fanotify_event_metadata), which FIONREAD counts for each
	size, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	if err != nil {
		return err
	}
	buf, one := make([]byte, 4096), 512
	left := size / metadata
	for left > 1 {
		room := len(buf)
		if left <= len(buf)/metadata+1 {
			room = one
		}
		n, err := unix.Read(fd, buf[:room])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n < metadata {
			return errors.Join(errors.New("read the queue of events"), err)
		}
		for b := buf[:n]; len(b) >= metadata; b = b[one:] {
			one = int(binary.LittleEndian.Uint32(b))
			left--
		}
	}
	if left < 1 {
		return errors.New("the queue of events has none left")
	}
	return nil
}
