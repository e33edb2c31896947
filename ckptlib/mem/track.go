package mem

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/internal/linux"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// A Tracker has the kernel note which pages of a process are written to:
// userfaultfd(2) in asynchronous write-protect mode (Linux 6.7), in which a
// first write costs a fault that the kernel resolves by itself, and nobody needs
// to listen. It watches one address space: after execve(2) another is needed.
// When the Tracker is closed, or its holder ends, nothing is noted any more, and
// the process runs on.
type Tracker struct {
	fd      int
	watched map[uint64]bool // mappings, by their start
	// resting are mappings, by their start, that are written to so much that
	// noting it costs more than it saves: for how many calls of Watch yet.
	resting map[uint64]int
	// hot are mappings, by their start, that are not read before the pause, as
	// what is read is soon written to again: for how many calls of Watch yet.
	hot   map[uint64]int
	fresh []Run // mappings that were watched before they had any pages
}

// rest is how often a mapping is left alone once most of it has changed.
const rest = 8

// ErrUntracked says that the kernel does not track pages, or not of this
// process.
var ErrUntracked = errors.New("pages are not tracked")

// From include/uapi/linux/userfaultfd.h.
const (
	uffdUserModeOnly   = 1
	uffdAPI            = 0xaa
	uffdFeatureFaultWP = 1 << 0
	uffdFeatureWPAsync = 1 << 15
	uffdioAPI          = 0xc018aa3f
	uffdioRegister     = 0xc020aa00
	uffdioUnregister   = 0x8010aa01
	uffdRegisterModeWP = 1 << 1
)

type (
	uffdAPIArg      struct{ API, Features, Ioctls uint64 }
	uffdRegisterArg struct{ Start, Len, Mode, Ioctls uint64 }
	uffdRangeArg    struct{ Start, Len uint64 }
)

// NewTracker makes a Tracker for the process of an entered thread. The
// descriptor is made in the process, which it belongs to for the kernel, taken
// over, and closed there.
func NewTracker(r *tracer.Remote, pid int) (*Tracker, error) {
	if err := Probe(); err != nil {
		return nil, err
	}
	theirs, err := r.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|unix.O_NONBLOCK|uffdUserModeOnly)
	if err != nil {
		return nil, fmt.Errorf("%w: userfaultfd: %w", ErrUntracked, err)
	}
	fd, err := linux.GetFD(pid, int(theirs))
	if _, cerr := r.Syscall(unix.SYS_CLOSE, theirs); cerr != nil {
		err = errors.Join(err, cerr)
	}
	return newTracker(fd, err)
}

// newTracker makes a Tracker of a userfaultfd, which is its own from here on; err is
// that of making the descriptor.
func newTracker(fd int, err error) (*Tracker, error) {
	t := &Tracker{fd: fd, watched: map[uint64]bool{}, resting: map[uint64]int{}, hot: map[uint64]int{}}
	if err == nil {
		err = t.handshake()
	}
	if err != nil {
		t.Close()
		return nil, fmt.Errorf("%w: %w", ErrUntracked, err)
	}
	return t, nil
}

func (t *Tracker) handshake() error {
	arg := uffdAPIArg{API: uffdAPI, Features: uffdFeatureWPAsync | uffdFeatureFaultWP}
	if err := t.ioctl("UFFDIO_API", uffdioAPI, unsafe.Pointer(&arg)); err != nil {
		return fmt.Errorf("%w (Linux 6.7 does)", err)
	}
	return nil
}

// Close ends the tracking.
func (t *Tracker) Close() {
	if t.fd >= 0 {
		_ = unix.Close(t.fd) // it holds nothing
		t.fd = -1
	}
}

func (t *Tracker) ioctl(name string, req uintptr, arg unsafe.Pointer) error {
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(t.fd), req, uintptr(arg))
	runtime.KeepAlive(arg)
	if e != 0 {
		return os.NewSyscallError("ioctl "+name, e)
	}
	return nil
}

// watchable is a private mapping.
type watchable struct {
	start, end         uint64
	watched            bool   // a Tracker watches it
	protected          bool   // what has changed, as well
	file               bool   // it is of a file
	own, changed, huge uint64 // bytes
	span               Run    // from the first to the last page that has changed
}

// watches tells whether the Tracker was told to watch the mapping at start. The
// program may have put another in its place.
func (t *Tracker) watches(start uint64) bool { return t != nil && t.watched[start] }

// watch tells whether it pays to watch the mapping from here on. A first write
// to a watched huge page makes 4 KiB pages of it for good, and a copy of a process
// takes huge pages by the dozen: those are left alone.
func (t *Tracker) watch(w *watchable) bool {
	if w.huge*2 > w.own {
		return false
	}
	if w.watched && w.changed*2 > w.own {
		t.resting[w.start] = rest
		return false
	}
	if t.resting[w.start] > 0 {
		t.resting[w.start]--
		return false
	}
	return true
}

// Watch begins to watch the pages that were found, or goes on: what was found
// changed counts as unchanged from here on. An error that is ErrUntracked says
// that the Tracker is of another address space.
//
// Preconditions: the process has not run since FindPrivate.
func (t *Tracker) Watch(v *Private) error {
	s, err := NewScanner(v.PID)
	if err != nil {
		return err
	}
	defer s.Close()
	t.fresh = nil
	for start := range t.hot {
		if t.hot[start]--; t.hot[start] == 0 {
			delete(t.hot, start)
		}
	}
	for i := range v.watchable {
		w := &v.watchable[i]
		var err error
		switch watch := t.watch(w); {
		case !watch && w.watched:
			err = t.unregister(w)
		case watch && !w.watched:
			err = t.register(w)
		}
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EBUSY) {
			continue // a mapping that cannot be watched is read each time
		}
		if err == nil && w.watched && !w.protected && w.span.End != 0 {
			err = s.Protect(w.span.Start, w.span.End, w.file)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUntracked, err)
		}
	}
	return nil
}

func (t *Tracker) register(w *watchable) error {
	arg := uffdRegisterArg{Start: w.start, Len: w.end - w.start, Mode: uffdRegisterModeWP}
	err := t.ioctl("UFFDIO_REGISTER", uffdioRegister, unsafe.Pointer(&arg))
	w.watched = err == nil
	t.watched[w.start] = w.watched
	return err
}

func (t *Tracker) unregister(w *watchable) error {
	w.watched = false
	delete(t.watched, w.start)
	arg := uffdRangeArg{Start: w.start, Len: w.end - w.start}
	return t.ioctl("UFFDIO_UNREGISTER", uffdioUnregister, unsafe.Pointer(&arg))
}
