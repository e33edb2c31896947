package ckptlib

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/gompirun/gompirun/ckptlib/conn"
	"github.com/gompirun/gompirun/ckptlib/kobj"
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
