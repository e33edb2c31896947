package proc

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/linux"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/pod"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// An ownThread is a thread that has given up what the others of its process
// share: descriptors or a directory (unshare(2)).
type ownThread struct {
	task   *Task
	tid    int
	podTID int
	flags  uint64     // CLONE_FILES, CLONE_FS
	bornOf *ownThread // another one with which it shares all of it
}

// ownThreads finds them.
func (ts *Tasks) ownThreads() error {
	var all []*ownThread
	for _, t := range ts.List {
		for _, tid := range t.TIDs[min(1, len(t.TIDs)):] {
			own := &ownThread{task: t, tid: tid}
			for _, k := range ownable {
				n, err := linux.Compare(t.Lead, tid, k.what)
				if err != nil {
					return err
				}
				if n != 0 {
					own.flags |= k.flag
				}
			}
			if own.flags == 0 {
				continue
			}
			st, err := readStatus(t.PID, tid)
			if err != nil {
				return err
			}
			own.podTID = st.PodPID
			if own.flags&unix.CLONE_FILES != 0 && !linux.ThreadPIDFDs() {
				return fmt.Errorf("thread %d (%s) has descriptors of its own: Linux 6.9 is needed to checkpoint it", own.podTID, st.Name)
			}
			if err := ts.related(own, all); err != nil {
				return err
			}
			all, t.own = append(all, own), append(t.own, own)
		}
	}
	return nil
}

var ownable = []struct {
	flag uint64
	what linux.Shareable
	name string
}{
	{unix.CLONE_FILES, linux.Files, "descriptors"},
	{unix.CLONE_FS, linux.FS, "working directory"},
}

// related finds with whom a thread shares what is not its process's. It can be
// made again if that is a thread of the same process, with which it shares as
// much.
func (ts *Tasks) related(own *ownThread, all []*ownThread) error {
	for _, k := range ownable {
		if own.flags&k.flag == 0 {
			continue
		}
		for _, t := range ts.List {
			if t.Zombie || t == own.task {
				continue
			}
			if n, err := linux.Compare(t.Lead, own.tid, k.what); err != nil {
				return err
			} else if n == 0 {
				return own.unshareable(k.name, "process", t.PodPID)
			}
		}
		for _, o := range all {
			if n, err := linux.Compare(o.tid, own.tid, k.what); err != nil {
				return err
			} else if n != 0 {
				continue
			}
			if o.bornOf != nil {
				o = o.bornOf
			}
			if o.task != own.task || o.flags != own.flags || own.bornOf != nil && own.bornOf != o {
				return own.unshareable(k.name, "thread", o.podTID)
			}
			own.bornOf = o
		}
	}
	// It must have both in common with the one that it is born of.
	for _, k := range ownable {
		if own.bornOf == nil || own.flags&k.flag == 0 {
			continue
		}
		if n, err := linux.Compare(own.bornOf.tid, own.tid, k.what); err != nil {
			return err
		} else if n != 0 {
			return own.unshareable("descriptors or directory", "thread", own.bornOf.podTID)
		}
	}
	return nil
}

func (own *ownThread) unshareable(what, whose string, id int) error {
	return fmt.Errorf("process %d (%s) has a thread, %d, that shares its %s with %s %d and not with its own process: such a thread cannot be checkpointed",
		own.task.PodPID, own.task.Status.Name, own.podTID, what, whose, id)
}

// A Table is a table of descriptors.
type Table struct {
	TID int // a thread that has it, as this process sees it
	ID  int // in the pod: of its process, or of the thread if it is not the process's
}

// Tables are the tables of descriptors of a process.
func (t *Task) Tables() []Table {
	tables := []Table{{t.Lead, t.PodPID}}
	for _, own := range t.own {
		if own.flags&unix.CLONE_FILES != 0 && own.bornOf == nil {
			tables = append(tables, Table{own.tid, own.podTID})
		}
	}
	return tables
}

// captureOwn notes what a thread has of its own, all but its descriptors.
func captureOwn(t *Task, tid int, th *image.Thread) (err error) {
	for _, own := range t.own {
		if own.tid != tid {
			continue
		}
		if own.bornOf != nil {
			th.BornOf = own.bornOf.podTID
			return nil
		}
		th.OwnFiles = own.flags&unix.CLONE_FILES != 0
		if own.flags&unix.CLONE_FS == 0 {
			return nil
		}
		dir := fmt.Sprintf("/proc/%d/task/%d", t.PID, tid)
		st, err := procfs.ReadStatus(dir)
		if err != nil {
			return err
		}
		th.FS = &image.FS{Umask: st.Umask}
		th.FS.Cwd, err = os.Readlink(dir + "/cwd")
		return err
	}
	return nil
}

// MakeThreads makes the threads of a stub, in memory that is rebuilt. Those with
// descriptors of their own have copies of the process's.
func (t *Tree) MakeThreads(s *Stub) error {
	p, r := s.Image, s.Remote
	// Before: with threads a registration of membarrier(2) takes the kernel longer.
	if err := restorePrctl(r, p); err != nil {
		return err
	}
	others := p.Threads
	s.TIDs, s.threads = nil, nil
	if p.Leader == nil {
		s.TIDs, s.threads = []int{s.PID}, []*tracer.Remote{r}
		others = p.Threads[1:]
	}
	const shared = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD | unix.CLONE_SYSVSEM
	for i := range others {
		th, of := &others[i], r
		if th.BornOf != 0 {
			var ok bool
			if of, ok = s.thread(th.BornOf); !ok {
				return fmt.Errorf("make thread %d: thread %d, of which it is born, is not there", th.TID, th.BornOf)
			}
		}
		tid, err := pod.Clone(t.tr, of, pod.CloneArgs{Flags: shared, PID: th.TID})
		if err != nil {
			return err
		}
		tr, err := t.tr.EnterBare(tid, t.vdso)
		if err != nil {
			return err
		}
		tr.Join(r)
		s.TIDs, s.threads = append(s.TIDs, tid), append(s.threads, tr)
		if err := unshareThread(tr, th); err != nil {
			return err
		}
	}
	return nil
}

func unshareThread(r *tracer.Remote, th *image.Thread) error {
	var flags uint64
	if th.OwnFiles {
		flags |= unix.CLONE_FILES
	}
	if th.FS != nil {
		flags |= unix.CLONE_FS
	}
	if flags == 0 {
		return nil
	}
	if _, err := r.Syscall(unix.SYS_UNSHARE, flags); err != nil {
		return fmt.Errorf("give thread %d descriptors or a directory of its own: %w", th.TID, err)
	}
	return nil
}

// thread finds a thread that has been made by its id in the pod.
func (s *Stub) thread(tid int) (*tracer.Remote, bool) {
	for i, r := range s.threads {
		if s.Image.Threads[i].TID == tid {
			return r, true
		}
	}
	return nil, false
}

// Thread finds a thread of any stub by its id in the pod.
func (t *Tree) Thread(tid int) (*tracer.Remote, bool) {
	for _, s := range t.Stubs {
		if r, ok := s.thread(tid); ok {
			return r, true
		}
	}
	return nil, false
}
