package ckptlib

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/conn"
	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/kobj"
	"github.com/gompirun/gompirun/ckptlib/mem"
	"github.com/gompirun/gompirun/ckptlib/names"
	"github.com/gompirun/gompirun/ckptlib/pod"
	"github.com/gompirun/gompirun/ckptlib/proc"
	"github.com/gompirun/gompirun/ckptlib/store"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// A Restart is a pod that is being rebuilt. The methods are the phases, called
// in their order; after an error only Abort makes sense, and nothing is left. Who
// does not Resume must Abort.
type Restart struct {
	c       Config
	im      *image.Pod
	started func() error // waits until there is a pod
	pod     *pod.Pod
	table   *names.Table
	notify  *names.Notifier
	stop    context.CancelFunc
	clock   [2]int64
	streams map[string][3]*os.File

	gen    int
	pages  *store.PageTable
	reader *store.Reader
	lazy   *lazy // nil if all memory is read before the pod runs
	// tracking is from the generation that is being restored.
	tracking tracking

	tree     *proc.Tree
	src      *backing
	attached map[image.SharedID]uint64
	maker    *kobj.Maker
	files    map[image.FileID]int
	joiner   *conn.Joiner
	conns    map[conn.ID]int
	mqueues  map[uint64]*madeQueue // by the image's ID
}

// LoadImage reads a pod's image, with its paths as they are on this host, and
// page table.
func LoadImage(g *store.Generation, id int, moved image.PathMap) (*image.Pod, *store.PageTable, error) {
	b, err := g.ReadImage(id, "json")
	if err != nil {
		return nil, nil, err
	}
	im, err := image.Decode(b)
	if err != nil {
		return nil, nil, err
	}
	im.MovePaths(moved)
	pt, err := g.PageTable(id)
	return im, pt, err
}

// Begin reads what a restart begins with, and has namespaces made meanwhile. They
// are nobody's yet: nothing on this host is touched.
func Begin(c Config, st *store.Store, g *store.Generation) (*Restart, error) {
	r := &Restart{c: c, gen: g.Manifest.Generation, stop: func() {}, files: map[image.FileID]int{}}
	var err error
	if r.im, r.pages, err = LoadImage(g, c.ID, c.PathMap); err != nil {
		return nil, err
	}
	r.tracking = tracking{trackers: map[int]*mem.Tracker{}, base: &base{r.gen, r.pages, r.im}}
	if r.reader, err = st.NewReader(r.pages); err != nil {
		return nil, err
	}
	r.started = sync.OnceValue(r.startPod)
	go func() { _ = r.started() }() // the error is told to who waits for it
	return r, nil
}

// Image is the pod's image. It is not to be changed.
func (r *Restart) Image() *image.Pod { return r.im }

// Rebuild makes the pod, its memory and its processes anew, all stopped, but for
// what needs the other pods. streams are the ends of pipes that a program's
// standard input, output and error will be, by the names that Spawn was given;
// they stay the caller's.
func (r *Restart) Rebuild(streams map[string][3]*os.File) (err error) {
	r.streams = streams
	if err := r.makePod(); err != nil {
		return err
	}
	if r.joiner, err = conn.Listen(r.c.Real[0]); err != nil {
		return err
	}
	if err := r.rebuild(); err != nil {
		return err
	}
	return r.fill()
}

// rebuild makes shared memory and the process tree.
func (r *Restart) rebuild() error {
	root, err := unix.Open(r.pod.Root(), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	r.src = &backing{r: r, root: root, shared: map[image.SharedID]int{}, paths: map[image.SharedID]string{}, sysV: map[image.SharedID]*image.Shared{}, copies: map[string]int{}, huge: map[image.SharedID][]byte{}}
	if err := restoreTree(r.pod.Root(), r.im.Tree); err != nil {
		return err
	}
	r.maker = r.newMaker()
	if err := r.src.makeShared(r.im.Shared); err != nil {
		return err
	}
	if err := r.restoreTerminals(); err != nil {
		return err
	}
	return r.pod.With(func(tr tracer.Tracing, init *tracer.Remote) error {
		if r.attached, err = r.restoreSysV(init); err != nil {
			return err
		}
		if err := r.restoreMQueues(init); err != nil {
			return err
		}
		// Every stub begins as a copy of the init.
		vmas, err := procfs.Maps(r.pod.Init, false)
		if err != nil {
			return err
		}
		if r.tree, err = proc.Build(tr, init, r.pod.VDSO, r.im, r.lead); err != nil {
			return err
		}
		for _, s := range r.tree.Stubs {
			if s.Image.Zombie != nil {
				continue
			}
			if s.Image.SharesMemory {
				s.Join()
			} else if err := mem.Rebuild(r.pod, s.Remote, append([]procfs.VMA(nil), vmas...), s.Image, r.src, otherVDSO(r.im)); err != nil {
				return err
			}
			if err := r.tree.MakeThreads(s); err != nil {
				return fmt.Errorf("process %d: %w", s.Image.PID, err)
			}
			if err := r.track(s); err != nil {
				return fmt.Errorf("process %d: %w", s.Image.PID, err)
			}
		}
		return nil
	})
}

// Address is where this pod's agent accepts connections of other agents.
func (r *Restart) Address(family int) netip.AddrPort { return r.joiner.Addrs().For(family) }

// Abort ends a restart: every process of the pod is gone when it returns.
func (r *Restart) Abort() {
	r.stop()
	_ = r.started() // what has failed is not there to be ended
	r.tracking.close()
	r.release()
	if r.pod != nil {
		r.pod.Kill()
	}
	if r.lazy != nil {
		_ = r.lazy.close() // the restart has failed for another reason
	}
}

// release frees what only the restart needed.
func (r *Restart) release() {
	if r.maker != nil {
		r.maker.Close()
		r.maker = nil
	}
	for _, fd := range r.files {
		_ = unix.Close(fd) // processes have their own
	}
	for _, fd := range r.conns {
		_ = unix.Close(fd)
	}
	for _, q := range r.mqueues {
		_ = unix.Close(q.fd) // what was sent is in the queues
	}
	r.files, r.conns, r.mqueues = nil, nil, nil
	if r.src != nil {
		r.src.close()
		r.src = nil
	}
	if r.joiner != nil {
		r.joiner.Close()
		r.joiner = nil
	}
	if r.reader != nil && r.lazy == nil {
		if err := r.reader.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			r.c.warn("%v", err)
		}
		r.reader = nil
	}
}
