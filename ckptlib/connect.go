package ckptlib

import (
	"context"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/conn"
	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/kobj"
	"github.com/gompirun/gompirun/ckptlib/pod"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// ConnEnd is an end of a connection of the job that lies in this pod.
type ConnEnd struct {
	ID     conn.ID `json:"id"`
	Family int     `json:"family"`
	// Queue is the number of bytes that had arrived and not been read.
	Queue int `json:"queue"`
}

// Conns lists the ends that Connect has to make, always in the same order.
func (r *Restart) Conns() []ConnEnd {
	var out []ConnEnd
	for i := range r.im.Files {
		if in := r.im.Files[i].Inet; in != nil && in.Conn != "" {
			e := ConnEnd{ID: conn.ID{Name: in.Conn, Dialer: in.Dialer}, Family: in.Family}
			if in.Queue != nil {
				e.Queue = int(in.Queue.Size)
			}
			out = append(out, e)
		}
	}
	return out
}

// Connect makes the TCP connections of the job anew, then everything else that
// descriptors refer to, and hands all to the processes. peers says where the
// joiner of the other end of each of Conns listens; token is the restart's secret.
// All agents call it at the same time.
func (r *Restart) Connect(ctx context.Context, peers []netip.AddrPort, token [32]byte) error {
	ends := r.Conns()
	if len(peers) != len(ends) {
		return fmt.Errorf("the peers of %d connections are told, and pod %d has %d", len(peers), r.c.ID, len(ends))
	}
	var plan []conn.Plan
	for i, e := range ends {
		plan = append(plan, conn.Plan{ID: e.ID, Family: e.Family, Peer: peers[i], Room: e.Queue})
	}
	var err error
	if r.conns, err = r.joiner.Join(ctx, plan, token); err != nil {
		return err
	}
	for i := range r.im.Files {
		f := &r.im.Files[i]
		if f.PTY != nil {
			continue // restoreTerminals has made it
		}
		fd, err := kobj.Restore(r.maker, f)
		if err != nil {
			return err
		}
		r.files[f.ID] = fd
	}
	return r.handAll()
}

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
	high := 3
	if n := len(fds); n > 0 {
		high = fds[n-1].Num + 1
	}
	// One more than the highest, for the socket that they come by.
	if err := raiseFileLimit(pid, uint64(max(high, sparse)+2)); err != nil {
		return err
	}
	hand, err := p.Syscall(unix.SYS_FCNTL, pod.HandFD, unix.F_DUPFD, uint64(high))
	if err != nil {
		return fmt.Errorf("set the hand socket aside: %w", err)
	}
	if _, err := p.Syscall(unix.SYS_CLOSE_RANGE, 0, hand-1, 0); err != nil {
		return err
	}
	if _, err := p.Syscall(unix.SYS_CLOSE_RANGE, hand+1, ^uint64(0)>>32, 0); err != nil {
		return err
	}
	if err := r.place(p, int(hand), fds); err != nil {
		return err
	}
	for _, fd := range fds {
		if fd.CloExec {
			if _, err := p.Syscall(unix.SYS_FCNTL, uint64(fd.Num), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
				return err
			}
		}
	}
	_, err = p.Syscall(unix.SYS_CLOSE, hand)
	return err
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
	for _, n := range gaps {
		if _, err := p.Syscall(unix.SYS_CLOSE, uint64(n)); err != nil {
			return err
		}
	}
	return nil
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

// Refill puts what was in flight back into the connections. All agents call it
// at the same time.
func (r *Restart) Refill(ctx context.Context) error {
	var streams []*conn.Stream
	for i := range r.im.Files {
		in := r.im.Files[i].Inet
		if in == nil || in.Conn == "" {
			continue
		}
		s := &conn.Stream{ID: conn.ID{Name: in.Conn, Dialer: in.Dialer}, FD: r.files[r.im.Files[i].ID]}
		if in.Queue != nil {
			var err error
			if s.Queue, err = r.blob(*in.Queue); err != nil {
				return err
			}
		}
		streams = append(streams, s)
	}
	if err := conn.Exchange(ctx, streams); err != nil {
		return err
	}
	if err := conn.Refill(ctx, streams); err != nil {
		return err
	}
	return r.settle()
}

// settle completes what descriptors refer to. It comes after the refill: it
// ends directions of connections that were shut down.
func (r *Restart) settle() error {
	for i := range r.im.Files {
		if err := kobj.Settle(r.maker, &r.im.Files[i]); err != nil {
			return err
		}
	}
	return nil
}
