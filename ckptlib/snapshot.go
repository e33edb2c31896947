package ckptlib

import (
	"errors"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/kobj"
	"github.com/gompirun/gompirun/ckptlib/mem"
	"github.com/gompirun/gompirun/ckptlib/pod"
	"github.com/gompirun/gompirun/ckptlib/probe"
	"github.com/gompirun/gompirun/ckptlib/proc"
	"github.com/gompirun/gompirun/ckptlib/store"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// SnapshotOptions says how a generation is made.
type SnapshotOptions struct {
	// Stop has all memory read before the pod runs on: no copies of processes are
	// made.
	Stop bool
	// Precopy has Prepare read what does not change fast.
	Precopy bool
	// Untracked has all memory read, whether it has changed or not, as on a kernel
	// that does not tell.
	Untracked bool

	Compress    string       // "none", "s2" or "zstd"
	Known       *store.Index // pages of the newest generation, or nil
	Newest      int          // its number, or 0
	VerifyPages bool         // compare bytes where keys are equal

	// Stage is a directory of this host to which pages are written first, "" for
	// none: Deliver has to follow Write then.
	Stage string
}

// Snapshot captures everything of the pod. What the pod may change when it runs
// on is copied, or has been written to the packs of the generation, which the
// coordinator has begun; the rest is the copies of processes that Write reads.
// Nothing is synced yet.
//
// Preconditions: Drain has returned no pending ends on any agent.
func (c *Checkpoint) Snapshot(st *store.Store, gen int, o SnapshotOptions) (err error) {
	if err := c.drain.Narrow(); err != nil {
		return err
	}
	c.store, c.gen, c.staged = st, gen, o.Stage != ""
	if c.draft, err = c.p.begin(st, gen, o); err != nil {
		return err
	}
	c.p.track.draft = nil // it is this checkpoint's now
	c.table = store.NewTable()
	root := c.p.pod.Root()
	if c.shared, err = mem.NewSharedSet(root, pod.ShmDir); err != nil {
		return err
	}
	c.files = mem.NewFileSet(root)
	if c.unix, err = kobj.DumpUnix(); err != nil {
		return err
	}
	c.describe()
	if err := c.tasks.Each(func(t *proc.Task) error { return t.ReadFlags(o.Stop) }); err != nil {
		return err
	}
	if err := c.processes(); err != nil {
		return err
	}
	if c.im.Tree, err = captureTree(root, c.shared); err != nil {
		return err
	}
	if err := c.descriptions(); err != nil {
		return err
	}
	if err := c.clocks(); err != nil {
		return err
	}
	return c.memory(o)
}

// describe notes what is the pod's own.
func (c *Checkpoint) describe() {
	cfg := &c.p.c
	programs := c.p.programs()
	c.im = image.Pod{
		ID: cfg.ID, Arch: runtime.GOARCH, Kernel: probe.KernelRelease(), CPU: probe.CPU(), VDSO: probe.VDSO(), VDSOCode: probe.VDSOCode(),
		UID: os.Geteuid(), GID: os.Getegid(), HostName: cfg.HostName, Programs: programs,
	}
	for _, a := range cfg.Virtual {
		c.im.Addresses = append(c.im.Addresses, a.String())
	}
}

// clocks notes where the pod's clocks stand. Timers go on while the pod stands still: this
// comes after the last of them was looked at, so that none has expired more often than its
// time has passed.
func (c *Checkpoint) clocks() error {
	for _, clk := range []struct {
		id     int32
		to     *int64
		offset int64
	}{
		{unix.CLOCK_MONOTONIC, &c.im.Clock.Monotonic, c.p.clock[0]},
		{unix.CLOCK_BOOTTIME, &c.im.Clock.Boottime, c.p.clock[1]},
		{unix.CLOCK_REALTIME, &c.im.Clock.Realtime, 0},
	} {
		var ts unix.Timespec
		if err := unix.ClockGettime(clk.id, &ts); err != nil {
			return err
		}
		*clk.to = ts.Nano() + clk.offset
	}
	return nil
}

// processes captures processes, their mappings and System V objects.
func (c *Checkpoint) processes() error {
	return c.p.pod.Tracer.Do(func(tr tracer.Tracing) (err error) {
		for _, t := range c.tasks.List {
			resident := func(r *tracer.Remote) error { return c.shared.Resident(r, t.VMAs) }
			if !t.OwnsMemory() {
				resident = nil
			}
			p, err := proc.Capture(tr, t, &c.p.waits, resident)
			if err != nil {
				return err
			}
			if !t.Zombie {
				p.FDs = c.fds.table(t.PodPID)
				for i := range p.Threads {
					if th := &p.Threads[i]; th.OwnFiles {
						th.FDs = c.fds.table(th.TID)
					}
				}
			}
			if !t.Zombie && t.OwnsMemory() {
				p.Object = c.object()
				if p.Mappings, err = mem.Capture(t.Lead, t.PodPID, t.VMAs, c.shared, c.files); err != nil {
					return err
				}
			}
			c.im.Processes = append(c.im.Processes, p)
			c.im.LastPID = max(c.im.LastPID, p.PID)
			for _, th := range p.Threads {
				c.im.LastPID = max(c.im.LastPID, th.TID)
			}
		}
		init, err := tr.Enter(c.p.pod.Init, c.p.pod.VDSO)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, init.Leave()) }()
		if err := c.sysV(tr, init); err != nil {
			return err
		}
		return c.mqueues(init)
	})
}

// descriptions captures what descriptors refer to. Capturing one may add
// others: descriptors on their way in a unix socket.
func (c *Checkpoint) descriptions() error {
	defer c.holdTerminals()()
	for i := 0; i < len(c.fds.list); i++ {
		d := c.fds.list[i]
		f, err := kobj.Capture(capturer{c}, d.source)
		if err != nil {
			return err
		}
		f.ID = d.id
		c.im.Files = append(c.im.Files, f)
	}
	return nil
}
