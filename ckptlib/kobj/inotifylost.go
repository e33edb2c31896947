package kobj

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mostEvents bounds the queue that overflow fills: half a second's work.
const mostEvents = 1 << 18

// overflow leaves an inotify instance with one event in its queue, IN_Q_OVERFLOW:
// events have been lost, and its program looks again for itself. The kernel makes
// that event when the queue is full, so it is filled, and all but the last is
// read. Preconditions: the instance has no watch yet.
func overflow(fd int) (err error) {
	size, err := queueSize("inotify")
	if err != nil {
		return err
	}
	made, err := unix.MemfdCreate("events", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("memfd_create: %w", err)
	}
	defer unix.Close(made)
	// What is written by the first description nobody is told of (Linux 6.14).
	file, err := reopen(made, unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer unix.Close(file)
	wd, err := unix.InotifyAddWatch(fd, fmt.Sprintf("/proc/self/fd/%d", file), unix.IN_ATTRIB|unix.IN_MODIFY)
	if err != nil {
		return fmt.Errorf("watch a file of this process: %w", err)
	}
	for i := 0; i <= size && err == nil; i++ {
		// The same event twice in a row would count as one.
		if i%2 == 0 {
			err = unix.Fchmod(file, 0o600)
		} else {
			_, err = unix.Pwrite(file, []byte{0}, 0)
		}
	}
	_, e := unix.InotifyRmWatch(fd, uint32(wd))
	if err = errors.Join(err, e); err != nil {
		return fmt.Errorf("fill the queue of events: %w", err)
	}
	buf := make([]byte, 4096)
	for left := size * unix.SizeofInotifyEvent; left > 0; {
		n, err := unix.Read(fd, buf[:min(left, len(buf))])
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("read the queue of events: %w", err)
		}
		left -= max(n, 0)
	}
	return nil
}

// queueSize is how many events a queue of inotify or fanotify holds.
func queueSize(of string) (int, error) {
	b, err := os.ReadFile("/proc/sys/fs/" + of + "/max_queued_events")
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err == nil && n > mostEvents {
		err = fmt.Errorf("fs.%s.max_queued_events is %d, above %d", of, n, mostEvents)
	}
	return n, err
}
