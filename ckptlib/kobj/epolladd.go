package kobj

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// kcmpEpollTFD is KCMP_EPOLL_TFD: compare a descriptor with what is registered
// in an epoll set.
const kcmpEpollTFD = 7

// watches tells whether an epoll set, a descriptor of this process, has the
// description that h holds as the target of a registration.
func watches(epfd int, r registration, h Holder) bool {
	slot := struct{ efd, tfd, toff uint32 }{uint32(epfd), uint32(r.num), r.toff}
	n, _, e := unix.Syscall6(unix.SYS_KCMP, uintptr(h.PID), uintptr(os.Getpid()), kcmpEpollTFD,
		uintptr(h.Num), uintptr(unsafe.Pointer(&slot)), 0)
	return e == 0 && n == 0
}

// descriptors lists the numbers that a process has.
func descriptors(pid int) ([]int, error) {
	dir, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return nil, err
	}
	var nums []int
	for _, e := range dir {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			nums = append(nums, n)
		}
	}
	return nums, nil
}

// control does epoll_ctl(2) for a description under the number that the image
// has. The key in the kernel is the pair of both, so the call must be made where the
// number leads there: as a rule the process does. It must be the process for a
// signalfd, which wakes those waiting in the process that registered it.
func control(m *Maker, f *image.File, op int, t image.EpollTarget) error {
	if pid, epfd, ok := m.holdsBoth(f.ID, t); ok {
		if _, err := m.Syscall(pid, unix.SYS_EPOLL_CTL, epfd, op, t.Num, epollEvent(t)); err != nil {
			return fmt.Errorf("register descriptor %d in process %d: %w", t.Num, pid, err)
		}
		return nil
	}
	epfd, err := m.File(f.ID)
	if err != nil {
		return err
	}
	fd, err := m.File(t.File)
	if err != nil {
		return err
	}
	if m.isSignalFD(t.File) {
		m.Warn("process %d waits by epoll for a signalfd that was registered as descriptor %d and is another one now: it will not be woken by its signals", t.PID, t.Num)
	}
	return controlElsewhere(epfd, fd, op, t)
}

// holdsBoth returns a process (its pid in the pod) and its number of an epoll
// set, if it has the target under the number of the registration.
func (m *Maker) holdsBoth(set image.FileID, t image.EpollTarget) (pid, epfd int, ok bool) {
	if m.Pod == nil || m.Syscall == nil {
		return 0, 0, false
	}
	for owner, fds := range m.Pod.Tables() {
		n, target := -1, false
		for _, fd := range fds {
			if fd.File == set {
				n = fd.Num
			}
			target = target || fd.Num == t.Num && fd.File == t.File
		}
		if n >= 0 && target && (!ok || owner == t.PID) {
			pid, epfd, ok = owner, n, true
		}
	}
	return pid, epfd, ok
}

func (m *Maker) isSignalFD(id image.FileID) bool {
	if m.Pod == nil {
		return false
	}
	for i := range m.Pod.Files {
		if m.Pod.Files[i].ID == id {
			return m.Pod.Files[i].SignalFD != nil
		}
	}
	return false
}

// controlElsewhere is for a number that no process has the target at any more.
// It works in a thread whose table of descriptors is a private copy, where the
// number can be given to it without harm to anybody.
func controlElsewhere(epfd, fd, op int, t image.EpollTarget) error {
	return onOwnTable(func() error {
		// Out of the way of the number first.
		epfd, err := unix.FcntlInt(uintptr(epfd), unix.F_DUPFD_CLOEXEC, t.Num+1)
		if err != nil {
			return fmt.Errorf("duplicate the set: %w", err)
		}
		if fd != t.Num {
			if err := unix.Dup3(fd, t.Num, unix.O_CLOEXEC); err != nil {
				return fmt.Errorf("duplicate to descriptor %d: %w", t.Num, err)
			}
		}
		event := epollEvent(t)
		_, _, e := unix.Syscall6(unix.SYS_EPOLL_CTL, uintptr(epfd), uintptr(op), uintptr(t.Num),
			uintptr(unsafe.Pointer(&event[0])), 0, 0)
		if e != 0 {
			return fmt.Errorf("register descriptor %d: %w", t.Num, e)
		}
		return nil
	})
}

// onOwnTable calls f in a thread with a table of descriptors of its own, and
// returns when that thread, and with it its table, is gone: else the duplicates
// would keep pipes and sockets open behind everybody's back.
func onOwnTable(f func() error) error {
	type result struct {
		tid int
		err error
	}
	done := make(chan result, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		tid := unix.Gettid()
		if tid == os.Getpid() {
			// The main thread never ends. While it is locked here, another one
			// is taken.
			err := onOwnTable(f)
			runtime.UnlockOSThread()
			done <- result{0, err}
			return
		}
		err := unix.Unshare(unix.CLONE_FILES)
		if err != nil {
			err = fmt.Errorf("unshare the table of descriptors: %w", err)
		} else {
			err = f()
		}
		done <- result{tid, err}
	}()
	r := <-done
	for r.tid != 0 && !errors.Is(unix.Tgkill(os.Getpid(), r.tid, 0), unix.ESRCH) {
		_ = unix.Nanosleep(&unix.Timespec{Nsec: 20_000}, nil) // a short sleep is as good as a long one
	}
	return r.err
}
