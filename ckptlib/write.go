package ckptlib

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

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

// SnapshotOptions says how pages are stored.
type SnapshotOptions struct {
	Compress    string       // "none", "s2" or "zstd"
	Known       *store.Index // pages of earlier generations, or nil
	VerifyPages bool         // compare bytes where keys are equal
}

// Snapshot captures everything of the pod and copies its memory to the packs of a
// generation that the coordinator has begun. Nothing is synced yet.
//
// Preconditions: Drain has returned no pending ends on any agent.
func (c *Checkpoint) Snapshot(st *store.Store, gen int, o SnapshotOptions) (err error) {
	c.store, c.gen = st, gen
	compression, err := store.ParseCompression(o.Compress)
	if err != nil {
		return err
	}
	if c.writer, err = st.NewWriter(gen, c.p.c.ID, o.Known, store.WriterOptions{Compression: compression, VerifyPages: o.VerifyPages}); err != nil {
		return err
	}
	c.table = store.NewTable()
	root := c.p.pod.Root()
	if c.shared, err = mem.NewSharedSet(root, pod.ShmDir); err != nil {
		return err
	}
	c.files = mem.NewFileSet(root)
	if c.unix, err = kobj.DumpUnix(); err != nil {
		return err
	}
	if err := c.describe(); err != nil {
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
	return c.pages()
}

// describe notes what is the pod's own.
func (c *Checkpoint) describe() error {
	cfg := &c.p.c
	programs := c.p.programs()
	c.im = image.Pod{
		Format: image.Format, ID: cfg.ID, Arch: runtime.GOARCH, Kernel: probe.KernelRelease(), CPU: probe.CPU(), VDSO: probe.VDSO(),
		UID: os.Geteuid(), GID: os.Getegid(), HostName: cfg.HostName, Programs: programs,
	}
	for _, a := range cfg.Virtual {
		c.im.Addresses = append(c.im.Addresses, a.String())
	}
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
			p, err := proc.Capture(tr, t, &c.p.waits, func(r *tracer.Remote) error { return c.shared.Resident(r, t.VMAs) })
			if err != nil {
				return err
			}
			if !t.Zombie {
				p.Object = c.object()
				p.FDs = c.fds.table(t.PodPID)
				if p.Mappings, err = mem.Capture(t.PID, t.PodPID, t.VMAs, c.shared, c.files); err != nil {
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
		return c.sysV(init)
	})
}

// descriptions captures what descriptors refer to. Capturing one may add
// others: descriptors on their way in a unix socket.
func (c *Checkpoint) descriptions() error {
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

// pages copies memory to the store.
func (c *Checkpoint) pages() error {
	c.im.Shared = c.shared.Objects(c.next + 1)
	c.next += image.ObjectID(len(c.im.Shared))
	plan := &mem.Plan{}
	defer plan.Close()
	for i := range c.im.Processes {
		p := &c.im.Processes[i]
		if p.Zombie != nil {
			continue
		}
		t, ok := c.tasks.ByPodPID(p.PID)
		if !ok {
			return fmt.Errorf("process %d has gone from among the stopped", p.PID)
		}
		if err := plan.Process(t.PID, p); err != nil {
			return err
		}
	}
	if err := plan.Shared(c.shared); err != nil {
		return err
	}
	c.logical = plan.Bytes()
	return plan.Read(c.put)
}

// Result is a pod's part of a checkpoint that is durable.
type Result struct {
	Files        []store.FileInfo // the images, for the manifest
	BytesLogical int64            // of memory that had content
	BytesWritten int64            // to packs and images
	Processes    int
	Ranks        int
	Warnings     []string
	Writer       *store.Writer // its keys serve the next generation's index
}

// Write reads the mapped files, writes the images and syncs everything. The
// pod runs meanwhile. After an error the caller calls Abort.
func (c *Checkpoint) Write() (Result, error) {
	for _, f := range c.files.List {
		if err := c.mappedFile(f); err != nil {
			capturer{c}.Warn("%v", err)
		}
	}
	if err := c.writer.Finish(); err != nil {
		return Result{}, err
	}
	table, err := c.table.Build(c.writer)
	if err != nil {
		return Result{}, err
	}
	pages, err := table.Encode()
	if err != nil {
		return Result{}, err
	}
	b, err := image.Encode(&c.im)
	if err != nil {
		return Result{}, err
	}
	if err := c.writer.Sync(); err != nil {
		return Result{}, err
	}
	r := Result{BytesLogical: c.logical, Processes: len(c.im.Processes), Warnings: c.warnings, Writer: c.writer}
	for _, img := range []struct {
		kind string
		data []byte
	}{{"json", b}, {"pages", pages}} {
		f, err := c.store.WriteImage(c.gen, c.p.c.ID, img.kind, img.data)
		if err != nil {
			return Result{}, err
		}
		r.Files = append(r.Files, f)
		r.BytesWritten += f.Size
	}
	r.BytesWritten += c.writer.Stats().BytesWritten
	for i := range c.im.Processes {
		if isRank(&c.im.Processes[i]) {
			r.Ranks++
		}
	}
	c.p.free()
	return r, nil
}

// isRank tells a process of the program from the launcher's own.
func isRank(p *image.Process) bool {
	if p.Zombie != nil {
		return false
	}
	for _, m := range p.Mappings {
		base := m.Name[strings.LastIndexByte(m.Name, '/')+1:]
		if strings.HasPrefix(base, "libmpi.so") || strings.HasPrefix(base, "libmpich.so") {
			return true
		}
	}
	return false
}

// mappedFile saves a mapped file, so that a restart can tell whether a host has
// the same, and do without where it has not. A file that is mapped shared may
// change while it is read and is left out.
func (c *Checkpoint) mappedFile(f *image.MappedFile) error {
	if f.Deleted || c.sharedFile(f) || !strings.HasPrefix(f.Path, "/") {
		return nil
	}
	id := c.object()
	hash, err := mem.HashFile(c.p.pod.Root(), f, func(offset int64, b []byte) error {
		return c.put(id, uint64(offset)/store.PageSize, b)
	})
	if err != nil {
		return err
	}
	f.Hash, f.Object = hash, id
	return nil
}

func (c *Checkpoint) sharedFile(f *image.MappedFile) bool {
	for i := range c.im.Processes {
		for _, m := range c.im.Processes[i].Mappings {
			if m.File == f && m.Shared {
				return true
			}
		}
	}
	return false
}
