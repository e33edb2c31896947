package kobj

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// mqueueKind is a descriptor of a POSIX message queue. The queues themselves are
// captured once, whoever has them open.
var mqueueKind = Kind{
	Name:    "POSIX message queue",
	Match:   isMQueue,
	Capture: captureMQueueFD,
	Has:     func(f *image.File) bool { return f.MQueue != nil },
	Restore: restoreMQueueFD,
}

const mqueueMagic = 0x19800202

func isMQueue(s *Source) bool {
	var fs unix.Statfs_t
	return s.Stat.Mode&unix.S_IFMT == unix.S_IFREG && s.Flags&unix.O_PATH == 0 && unix.Fstatfs(s.FD, &fs) == nil && fs.Type == mqueueMagic
}

func captureMQueueFD(c Capturer, s *Source, f *image.File) error {
	id, err := c.MQueue(s)
	f.MQueue = &image.MQueueFD{Queue: id}
	return err
}

func restoreMQueueFD(m *Maker, f *image.File) (int, error) {
	fd, err := m.MQueue(f.MQueue.Queue, f.Flags)
	if err != nil {
		return -1, fmt.Errorf("open message queue %d: %w", f.MQueue.Queue, err)
	}
	return withStatus(fd, nil, f.Flags)
}
