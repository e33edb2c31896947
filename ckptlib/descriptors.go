package ckptlib

import (
	"fmt"
	"runtime"
	"sort"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/linux"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/kobj"
	"github.com/gompirun/gompirun/ckptlib/pod"
	"github.com/gompirun/gompirun/ckptlib/proc"
)

// description is an open file description of the pod and where it is held.
type description struct {
	id      image.FileID
	source  *kobj.Source
	holders []kobj.Holder
}

// descriptors are all descriptions of a stopped pod. The first process that
// holds one is its leader.
type descriptors struct {
	list   []*description
	byKey  map[fileKey][]*description
	tables map[int][]image.FD // by pid in the pod, or the id of a thread with its own
	byNum  map[[2]int]image.FileID
}

// fileKey is what duplicates of a description have in common; kcmp(2) tells
// them from descriptions that are merely alike.
type fileKey struct {
	dev, ino uint64
	flags    int
}

// elect collects the descriptors of all processes.
func elect(tasks []*proc.Task) (*descriptors, error) {
	d := &descriptors{byKey: map[fileKey][]*description{}, tables: map[int][]image.FD{}, byNum: map[[2]int]image.FileID{}}
	sources, err := readSources(tasks)
	for i, s := range sources {
		if s == nil {
			continue
		}
		if err == nil {
			var id image.FileID
			id, err = d.add(s)
			d.hold(id, s)
		} else {
			_ = unix.Close(s.FD) // only a duplicate
		}
		sources[i] = nil
	}
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// readSources looks at every descriptor of every process, with several
// goroutines: each takes some system calls and a few files of /proc.
func readSources(tasks []*proc.Task) ([]*kobj.Source, error) {
	type at struct{ pid, num, podPID int }
	var all []at
	for _, t := range tasks {
		if t.Zombie {
			continue
		}
		for _, table := range t.Tables() {
			nums, err := procfs.FDs(table.TID)
			if err != nil {
				return nil, fmt.Errorf("list the descriptors of process %d: %w", table.ID, err)
			}
			for _, n := range nums {
				all = append(all, at{table.TID, n, table.ID})
			}
		}
	}
	out := make([]*kobj.Source, len(all))
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := w; i < len(all); i += workers {
				out[i], errs[i] = kobj.ReadSource(all[i].pid, all[i].num, all[i].podPID)
			}
		}()
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// add finds the description of a source or makes one. It takes s.FD over.
func (d *descriptors) add(s *kobj.Source) (image.FileID, error) {
	k := fileKey{s.Stat.Dev, s.Stat.Ino, s.Flags}
	for _, o := range d.byKey[k] {
		same, err := linux.SameFile(o.source.FD, s.FD)
		if err != nil {
			_ = unix.Close(s.FD) // only a duplicate
			return 0, fmt.Errorf("compare descriptors: %w", err)
		}
		if same {
			_ = unix.Close(s.FD) // the first one serves
			return o.id, nil
		}
	}
	o := &description{id: image.FileID(len(d.list) + 1), source: s}
	d.list = append(d.list, o)
	d.byKey[k] = append(d.byKey[k], o)
	return o.id, nil
}

// hold notes that a process has a description under a number.
func (d *descriptors) hold(id image.FileID, s *kobj.Source) {
	if id == 0 {
		return
	}
	o := d.list[id-1]
	o.holders = append(o.holders, kobj.Holder{PID: s.PID, PodPID: s.PodPID, Num: s.Num})
	d.tables[s.PodPID] = append(d.tables[s.PodPID], image.FD{
		Num: s.Num, File: id, CloExec: s.Info.Flags&unix.O_CLOEXEC != 0,
	})
	d.byNum[[2]int{s.PodPID, s.Num}] = id
}

// refuseLeases refuses leases (fcntl(2) F_SETLEASE) on files of the private
// tmpfs: they are opened to be captured, which would wait until the stopped
// holder has given the lease up.
func (c *Checkpoint) refuseLeases() error {
	var shm unix.Stat_t
	if err := unix.Stat(c.p.pod.Root()+pod.ShmDir, &shm); err != nil {
		return fmt.Errorf("stat %s of the pod: %w", pod.ShmDir, err)
	}
	for _, d := range c.fds.list {
		if s := d.source; s.Stat.Dev == shm.Dev && s.Leased() {
			return &kobj.UnsupportedError{Source: s.String(), Hint: "it has a lease on a file in memory: let the program give it up"}
		}
	}
	return nil
}

// table is a process's descriptors, by number.
func (d *descriptors) table(podPID int) []image.FD {
	t := d.tables[podPID]
	sort.Slice(t, func(i, j int) bool { return t[i].Num < t[j].Num })
	return t
}

// close gives the duplicates back. It must come before the pod runs on: a
// duplicate keeps the other end of a pipe from seeing its end.
func (d *descriptors) close() {
	for _, o := range d.list {
		if o.source.FD >= 0 {
			_ = unix.Close(o.source.FD) // only a duplicate
			o.source.FD = -1
		}
	}
}
