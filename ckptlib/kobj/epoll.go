package kobj

import (
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

var epollKind = Kind{
	Name:    "epoll set",
	Match:   func(s *Source) bool { return s.Link == "anon_inode:[eventpoll]" },
	Capture: captureEpoll,
	Has:     func(f *image.File) bool { return f.Epoll != nil },
	Restore: restoreEpoll,
	Settle:  settleEpoll,
}

// registration is one line of an epoll set's fdinfo.
type registration struct {
	num    int
	events uint32
	data   uint64
	ino    uint64
	toff   uint32 // how many lines before this one have the same number
}

// parseEpoll parses the lines "tfd: 5 events: 19 data: ff pos:0 ino:61 sdev:9".
func parseEpoll(i FDInfo) ([]registration, error) {
	var all []registration
	seen := map[int]uint32{}
	for _, line := range i.Lines {
		if !strings.HasPrefix(line, "tfd:") {
			continue
		}
		var r registration
		var pos int64
		_, err := fmt.Sscanf(strings.Join(strings.Fields(strings.ReplaceAll(line, ":", " ")), " "),
			"tfd %d events %x data %x pos %d ino %x", &r.num, &r.events, &r.data, &pos, &r.ino)
		if err != nil {
			return nil, fmt.Errorf("parse line %q of fdinfo: %w", line, err)
		}
		r.toff = seen[r.num]
		seen[r.num]++
		all = append(all, r)
	}
	return all, nil
}

// captureEpoll finds the description behind each registration. The kernel has
// only the number under which it was added, in a process that it does not name:
// the number may have been closed or used again since.
func captureEpoll(c Capturer, s *Source, f *image.File) error {
	all, err := parseEpoll(s.Info)
	if err != nil {
		return err
	}
	e := &image.Epoll{}
	for _, r := range all {
		h, ok := findTarget(c, s, r)
		if !ok {
			return &UnsupportedError{
				Source: s.String(),
				Hint:   fmt.Sprintf("it watches what was descriptor %d and is now held by none of its processes: remove it from the set before it is closed", r.num),
			}
		}
		id, ok := c.Lookup(h.PodPID, h.Num)
		if !ok {
			return fmt.Errorf("descriptor %d of process %d, which it watches, is not known", h.Num, h.PodPID)
		}
		e.Targets = append(e.Targets, image.EpollTarget{PID: h.PodPID, Num: r.num, File: id, Events: r.events, Data: r.data})
	}
	f.Epoll = e
	return nil
}

// findTarget returns a process and number that hold what is registered: at
// first the number of the registration itself, in each holder of the set, then
// every descriptor that has the inode.
func findTarget(c Capturer, s *Source, r registration) (Holder, bool) {
	holders := c.Holders(s)
	for _, h := range holders {
		h.Num = r.num
		if watches(s.FD, r, h) {
			return h, true
		}
	}
	for _, h := range holders {
		nums, err := descriptors(h.PID)
		if err != nil {
			continue // it has ended; another one may hold it
		}
		for _, num := range nums {
			h.Num = num
			if i, err := ReadFDInfo(h.PID, num); err == nil && i.Ino != 0 && i.Ino != r.ino {
				continue
			}
			if watches(s.FD, r, h) {
				return h, true
			}
		}
	}
	return Holder{}, false
}

// restoreEpoll makes an empty set.
func restoreEpoll(_ *Maker, f *image.File) (int, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("epoll_create1: %w", err)
	}
	return withStatus(fd, nil, f.Flags)
}

// disarmed tells an EPOLLONESHOT registration that has fired: the kernel takes
// all but these bits away, even those of errors, which epoll_ctl always adds.
func disarmed(events uint32) bool {
	const private = unix.EPOLLONESHOT | unix.EPOLLET | unix.EPOLLWAKEUP | unix.EPOLLEXCLUSIVE
	return events&unix.EPOLLONESHOT != 0 && events&^private == 0
}

// settleEpoll adds the registrations, those that have fired first: they are
// made to fire again by a wait, which must not take the events of others.
func settleEpoll(m *Maker, f *image.File) error {
	fd, err := m.File(f.ID)
	if err != nil {
		return err
	}
	var fired []image.EpollTarget
	for _, t := range f.Epoll.Targets {
		if disarmed(t.Events) {
			fired = append(fired, t)
		}
	}
	if err := fire(m, f, fd, fired); err != nil {
		return err
	}
	for _, t := range f.Epoll.Targets {
		if !disarmed(t.Events) {
			if err := control(m, f, unix.EPOLL_CTL_ADD, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// fire registers targets and lets those fire that are readable or writable now.
// Of the others an error or hang-up will yet be reported, which no call undoes.
func fire(m *Maker, f *image.File, fd int, targets []image.EpollTarget) error {
	if len(targets) == 0 {
		return nil
	}
	for _, t := range targets {
		t.Events |= unix.EPOLLIN | unix.EPOLLOUT
		if err := control(m, f, unix.EPOLL_CTL_ADD, t); err != nil {
			return err
		}
	}
	events := make([]unix.EpollEvent, len(targets))
	for n := 1; n > 0; {
		var err error
		if n, err = unix.EpollWait(fd, events, 0); err == unix.EINTR {
			n = 1
		} else if err != nil {
			return fmt.Errorf("epoll_wait: %w", err)
		}
	}
	info, err := ReadFDInfo(unix.Getpid(), fd)
	if err != nil {
		return err
	}
	left, err := parseEpoll(info)
	if err != nil {
		return err
	}
	for _, r := range left {
		for _, t := range targets {
			if r.num == t.Num && !disarmed(r.events) {
				if err := control(m, f, unix.EPOLL_CTL_MOD, t); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// epollEvent is struct epoll_event of x86-64, which is packed.
func epollEvent(t image.EpollTarget) []byte {
	e := unix.EpollEvent{Events: t.Events, Fd: int32(t.Data), Pad: int32(t.Data >> 32)}
	return append([]byte(nil), unsafe.Slice((*byte)(unsafe.Pointer(&e)), unsafe.Sizeof(e))...)
}
