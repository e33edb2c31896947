package ckptlib

import (
	"fmt"

	"github.com/gompirun/gompirun/ckptlib/conn"
	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/kobj"
	"github.com/gompirun/gompirun/ckptlib/proc"
	"github.com/gompirun/gompirun/ckptlib/store"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// newMaker says what kinds of kernel objects may ask of this restart.
func (r *Restart) newMaker() *kobj.Maker {
	return &kobj.Maker{
		Pod:  r.im,
		Root: r.src.root,
		Blob: r.blob,
		Pages: func(b image.Blob, each func(int64, []byte) error) error {
			return r.readObject(b.Object, func(page uint64, p []byte) error { return each(int64(page)*store.PageSize, p) })
		},
		Shared: r.src.Shared,
		File: func(id image.FileID) (int, error) {
			fd, ok := r.files[id]
			if !ok {
				return -1, fmt.Errorf("file %d is not restored", id)
			}
			return fd, nil
		},
		MQueue:     r.openMQueue,
		Stdio:      r.stdio,
		PIDOf:      r.pidOf,
		Syscall:    r.syscall,
		Conn:       r.takeConn,
		Bound:      r.table.Bound,
		RealAddr:   r.table.RealAddr,
		FilePolicy: r.c.FilePolicy,
		Warn:       r.c.warn,
	}
}

func (r *Restart) stdio(stream string, role int) (int, error) {
	s, ok := r.streams[stream]
	if !ok || role < 0 || role > 2 {
		return -1, fmt.Errorf("the launcher knows no program %q", stream)
	}
	return int(s[role].Fd()), nil
}

func (r *Restart) stub(pid int) (*proc.Stub, error) {
	for _, s := range r.tree.Stubs {
		if s.Image.PID == pid && s.Image.Zombie == nil {
			return s, nil
		}
	}
	return nil, fmt.Errorf("process %d is not in the image", pid)
}

func (r *Restart) pidOf(pid int) (int, error) {
	s, err := r.stub(pid)
	if err != nil {
		return 0, err
	}
	return s.PID, nil
}

// remote finds a process that is being restored, or a thread.
func (r *Restart) remote(id int) (*tracer.Remote, error) {
	s, err := r.stub(id)
	if err == nil {
		return s.Remote, nil
	}
	if th, ok := r.tree.Thread(id); ok {
		return th, nil
	}
	return nil, err
}

// syscall makes a system call in a process or thread that is being restored. Byte
// slices are put into its scratch memory one after another.
func (r *Restart) syscall(id int, nr uintptr, args ...any) (result uint64, err error) {
	p, err := r.remote(id)
	if err != nil {
		return 0, err
	}
	err = r.pod.Tracer.Do(func(tracer.Tracing) error {
		result, err = remoteCall(p, nr, args...)
		return err
	})
	return result, err
}

func remoteCall(p *tracer.Remote, nr uintptr, args ...any) (result uint64, err error) {
	words := make([]uint64, len(args))
	at := 0
	for i, a := range args {
		switch v := a.(type) {
		case []byte:
			if words[i], err = p.Put(at, v); err != nil {
				return 0, err
			}
			at += (len(v) + 15) / 16 * 16
		case int:
			words[i] = uint64(v)
		case uint64:
			words[i] = v
		case uintptr:
			words[i] = uint64(v)
		case uint32:
			words[i] = uint64(v)
		default:
			return 0, fmt.Errorf("system call %d: argument %d is a %T", nr, i, a)
		}
	}
	if result, err = p.Syscall(uint64(nr), words...); err != nil {
		return result, err
	}
	// What the call wrote comes back.
	at = 0
	for _, a := range args {
		if v, ok := a.([]byte); ok {
			if err := p.Get(at, v); err != nil {
				return result, err
			}
			at += (len(v) + 15) / 16 * 16
		}
	}
	return result, nil
}

// takeConn gives a socket that Connect made to the description it becomes, and
// tells the translator by which names its program knows it.
func (r *Restart) takeConn(name string, dialer bool) (int, error) {
	id := conn.ID{Name: name, Dialer: dialer}
	fd, ok := r.conns[id]
	if !ok {
		return -1, fmt.Errorf("connection %s was not made", id)
	}
	for i := range r.im.Files {
		in := r.im.Files[i].Inet
		if in != nil && in.Conn == name && in.Dialer == dialer {
			if err := r.table.Record(fd, in.Local, in.Remote); err != nil {
				return -1, err
			}
		}
	}
	delete(r.conns, id)
	return fd, nil
}
