package ckptlib

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/linux"
	"github.com/gompirun/gompirun/ckptlib/kobj"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// mqueues captures the POSIX message queues that have a name in the pod.
func (c *Checkpoint) mqueues(init *tracer.Remote) error {
	dir, err := mqueueDir(init)
	if dir == nil || err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("capture message queue /%s: open it: %w", name, err)
		}
		err = c.mqueue(fd, name, false)
		_ = unix.Close(fd) // it is a queue, not a file
		if err != nil {
			return fmt.Errorf("capture message queue /%s: %w", name, err)
		}
	}
	return nil
}

// mqueueDir opens the directory of the pod's queues, which may be mounted
// nowhere; nil on a kernel without them.
func mqueueDir(init *tracer.Remote) (*os.File, error) {
	name, err := init.Put(0, []byte("mqueue\x00"))
	if err != nil {
		return nil, err
	}
	context, err := init.Syscall(unix.SYS_FSOPEN, name, 0)
	if errors.Is(err, unix.ENODEV) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at the pod's message queues: fsopen: %w", err)
	}
	mount, err := uint64(0), error(nil)
	if _, err = init.Syscall(unix.SYS_FSCONFIG, context, unix.FSCONFIG_CMD_CREATE, 0, 0, 0); err == nil {
		mount, err = init.Syscall(unix.SYS_FSMOUNT, context, 0, 0)
	}
	if err != nil {
		_, e := init.Syscall(unix.SYS_CLOSE, context)
		return nil, errors.Join(fmt.Errorf("look at the pod's message queues: mount: %w", err), e)
	}
	fd, err := linux.GetFD(init.TID, int(mount))
	for _, n := range []uint64{context, mount} {
		_, e := init.Syscall(unix.SYS_CLOSE, n)
		err = errors.Join(err, e)
	}
	if err != nil {
		return nil, err
	}
	// What fsmount(2) gives is O_PATH.
	dir, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	_ = unix.Close(fd) // it was never read
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(dir), "mqueue"), nil
}

// MQueue returns the queue of a descriptor; one that was unlinked is captured
// now.
func (c capturer) MQueue(s *kobj.Source) (uint64, error) {
	for _, q := range c.im.MQueues {
		if q.ID == s.Stat.Ino {
			return q.ID, nil
		}
	}
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", s.FD), unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	name := strings.TrimSuffix(strings.TrimPrefix(s.Link, "/"), " (deleted)")
	return s.Stat.Ino, c.mqueue(fd, name, true)
}

// mqAttr is struct mq_attr.
type mqAttr struct {
	flags, maxMsg, msgSize, curMsgs int64
	_                               [4]int64
}

// mqueue captures one queue. Nobody can look at its messages without receiving
// them, so they are received and sent again; nobody else is there to see it.
func (c *Checkpoint) mqueue(fd int, name string, deleted bool) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	var attr mqAttr
	if _, _, e := unix.Syscall(unix.SYS_MQ_GETSETATTR, uintptr(fd), 0, uintptr(unsafe.Pointer(&attr))); e != 0 {
		return fmt.Errorf("mq_getattr: %w", e)
	}
	if err := notified(fd, name); err != nil {
		return err
	}
	q := image.MQueue{ID: st.Ino, Name: name, Deleted: deleted, Mode: st.Mode & 0o7777, MaxMsg: attr.maxMsg, MsgSize: attr.msgSize}
	var err error
	if attr.curMsgs > 0 {
		if q.Messages, err = receiveAll(fd, int(attr.msgSize)); err != nil {
			err = fmt.Errorf("receive: %w", err)
		}
		if e := sendAll(fd, q.Messages); e != nil {
			err = errors.Join(err, fmt.Errorf("put its messages back, of which some are now lost: %w", e))
		}
	}
	c.im.MQueues = append(c.im.MQueues, q)
	return err
}

// notified refuses a queue of which a program is to be told that a message has
// come (mq_notify(3)): the kernel does not tell how.
func notified(fd int, name string) error {
	b := make([]byte, 200)
	n, err := unix.Pread(fd, b, 0)
	if err != nil {
		return fmt.Errorf("read its state: %w", err)
	}
	_, pid, ok := strings.Cut(string(b[:n]), "NOTIFY_PID:")
	if !ok || strings.TrimSpace(pid) == "0" {
		return nil
	}
	return &kobj.UnsupportedError{
		Source: "message queue /" + name, Hint: "a program waits to be notified by it (mq_notify): let it wait by mq_receive or poll",
	}
}

func receiveAll(fd, size int) (all []image.MQMessage, err error) {
	buf := make([]byte, max(size, 1))
	for {
		var prio uint32
		n, _, e := unix.Syscall6(unix.SYS_MQ_TIMEDRECEIVE, uintptr(fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(size), uintptr(unsafe.Pointer(&prio)), 0, 0)
		switch e {
		case 0:
			all = append(all, image.MQMessage{Priority: prio, Data: append([]byte{}, buf[:n]...)})
		case unix.EAGAIN:
			return all, nil
		case unix.EINTR:
		default:
			return all, e
		}
	}
}

// sendAll sends messages in the order in which they were received: the kernel
// keeps it among those of one priority.
func sendAll(fd int, all []image.MQMessage) error {
	for _, m := range all {
		data := append(m.Data[:len(m.Data):len(m.Data)], 0) // whose address can be taken
		for {
			_, _, e := unix.Syscall6(unix.SYS_MQ_TIMEDSEND, uintptr(fd), uintptr(unsafe.Pointer(&data[0])), uintptr(len(m.Data)), uintptr(m.Priority), 0, 0)
			if e == 0 {
				break
			}
			if e != unix.EINTR {
				return fmt.Errorf("send a message of %d bytes: %w", len(m.Data), e)
			}
		}
	}
	return nil
}

// restoreMQueues makes the queues with their messages. Until finishMQueues they
// all have names, and a mode with which they can be opened.
func (r *Restart) restoreMQueues(init *tracer.Remote) error {
	r.mqueues = map[uint64]*madeQueue{}
	names := map[string]bool{}
	for i := range r.im.MQueues {
		names[r.im.MQueues[i].Name] = !r.im.MQueues[i].Deleted || names[r.im.MQueues[i].Name]
	}
	for i := range r.im.MQueues {
		q := &r.im.MQueues[i]
		made := &madeQueue{MQueue: q, name: q.Name}
		if q.Deleted && names[q.Name] {
			made.name = fmt.Sprintf(".gompirun-%d", q.ID) // another has its name
		}
		var err error
		if made.fd, err = made.create(init); err == nil {
			r.mqueues[q.ID] = made
			err = sendAll(made.fd, q.Messages)
		}
		if err != nil {
			return fmt.Errorf("restore message queue /%s: %w", q.Name, err)
		}
	}
	return nil
}

// madeQueue is a queue that has been restored.
type madeQueue struct {
	*image.MQueue
	name string
	fd   int // of this process
}

func (q *madeQueue) create(init *tracer.Remote) (int, error) {
	const attrAt = 512
	var attr []byte
	for _, v := range [8]int64{1: q.MaxMsg, 2: q.MsgSize} {
		attr = binary.LittleEndian.AppendUint64(attr, uint64(v))
	}
	addr, err := init.Put(attrAt, attr)
	if err != nil {
		return -1, err
	}
	fd, err := q.open(init, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NONBLOCK, addr)
	if err != nil {
		return -1, fmt.Errorf("make it for %d messages of %d bytes (fs.mqueue.msg_max, fs.mqueue.msgsize_max and ulimit -q of this host): %w", q.MaxMsg, q.MsgSize, err)
	}
	return fd, nil
}

// open has the init open the queue, by mq_open(3), and takes the descriptor over.
func (q *madeQueue) open(init *tracer.Remote, flags int, attr uint64) (int, error) {
	name, err := init.Put(0, append([]byte(q.name), 0))
	if err != nil {
		return -1, err
	}
	n, err := init.Syscall(unix.SYS_MQ_OPEN, name, uint64(flags|unix.O_CLOEXEC), 0o600, attr)
	if err != nil {
		return -1, fmt.Errorf("mq_open: %w", err)
	}
	fd, err := linux.GetFD(init.TID, int(n))
	_, e := init.Syscall(unix.SYS_CLOSE, n)
	return fd, errors.Join(err, e)
}

// openMQueue opens a restored queue as a program had it open.
func (r *Restart) openMQueue(id uint64, flags int) (fd int, err error) {
	q, ok := r.mqueues[id]
	if !ok {
		return -1, fmt.Errorf("message queue %d is not in the image", id)
	}
	err = r.pod.With(func(_ tracer.Tracing, init *tracer.Remote) (err error) {
		fd, err = q.open(init, flags&(unix.O_ACCMODE|unix.O_NONBLOCK), 0)
		return err
	})
	return fd, err
}

// finishMQueues gives the queues their modes, and takes the names of those that
// had none.
func (r *Restart) finishMQueues(init *tracer.Remote) error {
	for _, q := range r.mqueues {
		err := unix.Fchmod(q.fd, q.Mode)
		if err == nil && q.Deleted {
			var name uint64
			if name, err = init.Put(0, append([]byte(q.name), 0)); err == nil {
				_, err = init.Syscall(unix.SYS_MQ_UNLINK, name)
			}
		}
		if err != nil {
			return fmt.Errorf("restore message queue /%s: %w", q.Name, err)
		}
	}
	return nil
}
