package ckptlib

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/pod"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// handAll gives every process its descriptors, and every thread that has its own.
func (r *Restart) handAll() error {
	return r.pod.Tracer.Do(func(tracer.Tracing) error {
		for _, s := range r.tree.Stubs {
			if s.Image.Zombie != nil {
				continue
			}
			if !s.Image.SharesFiles {
				if err := r.hand(s.Remote, s.PID, s.Image.FDs); err != nil {
					return fmt.Errorf("process %d: %w", s.Image.PID, err)
				}
			}
			for i := range s.Image.Threads {
				th := &s.Image.Threads[i]
				if !th.OwnFiles {
					continue
				}
				p, err := r.remote(th.TID)
				if err == nil {
					err = r.hand(p, s.PID, th.FDs)
				}
				if err != nil {
					return fmt.Errorf("thread %d: %w", th.TID, err)
				}
			}
		}
		return nil
	})
}

// sparse is the number from which on descriptors are moved to their place one
// by one: bash keeps one at 255, others go as high as their limit.
const sparse = 1024

// hand fills a descriptor table of a process. What is received gets the lowest
// free numbers, so descriptors are sent in the order of their numbers with a
// stand-in for each gap, and come to lie where they belong.
func (r *Restart) hand(p *tracer.Remote, pid int, fds []image.FD) error {
	hand := uint64(pod.HandFD + 1)
	if n := len(fds); n > 0 {
		hand = max(hand, uint64(fds[n-1].Num)+1)
	}
	// One more than the highest, for the socket that they come by.
	if err := raiseFileLimit(pid, max(hand, sparse)+2); err != nil {
		return err
	}
	b := p.Batch()
	err := errors.Join(
		b.Tell("set the hand socket aside", nil, unix.SYS_DUP3, pod.HandFD, hand, 0),
		b.Tell("close the stub's descriptors", nil, unix.SYS_CLOSE_RANGE, 0, hand-1, 0),
		b.Tell("close the stub's descriptors", nil, unix.SYS_CLOSE_RANGE, hand+1, ^uint64(0)>>32, 0),
		b.Run(),
	)
	if err != nil {
		return err
	}
	if err := r.place(p, int(hand), fds); err != nil {
		return err
	}
	for _, fd := range fds {
		if fd.CloExec {
			err = errors.Join(err, b.Tell("F_SETFD", nil, unix.SYS_FCNTL, uint64(fd.Num), unix.F_SETFD, unix.FD_CLOEXEC))
		}
	}
	return errors.Join(err, b.Tell("close the hand socket", nil, unix.SYS_CLOSE, hand), b.Run())
}

// place hands descriptors over to where they belong.
func (r *Restart) place(p *tracer.Remote, hand int, fds []image.FD) error {
	var batch, gaps []int
	flush := func() error {
		_, err := r.pod.Hand(p, hand, batch)
		batch = batch[:0]
		return err
	}
	next := 0
	for _, fd := range fds {
		if fd.Num >= sparse {
			break
		}
		for ; next <= fd.Num; next++ {
			own := r.files[fd.File]
			if next < fd.Num {
				own = r.src.root // any will do
				gaps = append(gaps, next)
			}
			if batch = append(batch, own); len(batch) == pod.MaxHand {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	for _, fd := range fds {
		if fd.Num < sparse {
			continue
		}
		got, err := r.pod.Hand(p, hand, []int{r.files[fd.File]})
		if err != nil {
			return err
		}
		if got[0] == fd.Num {
			continue
		}
		if _, err := p.Syscall(unix.SYS_DUP3, uint64(got[0]), uint64(fd.Num), 0); err != nil {
			return err
		}
		if _, err := p.Syscall(unix.SYS_CLOSE, uint64(got[0])); err != nil {
			return err
		}
	}
	b := p.Batch()
	for _, n := range gaps {
		if err := b.Tell("close a stand-in", nil, unix.SYS_CLOSE, uint64(n)); err != nil {
			return err
		}
	}
	return b.Run()
}

// raiseFileLimit makes room for descriptors; the process's own limit is set
// later.
func raiseFileLimit(pid int, n uint64) error {
	var l unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &l); err != nil {
		return err
	}
	if l.Cur >= n {
		return nil
	}
	if l.Max < n {
		return fmt.Errorf("it has descriptors up to %d and this host allows %d: raise the hard limit of open files (ulimit -Hn)", n-2, l.Max)
	}
	l.Cur = l.Max
	return unix.Prlimit(pid, unix.RLIMIT_NOFILE, &l, nil)
}
