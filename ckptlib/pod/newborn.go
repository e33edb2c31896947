package pod

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// MaxHand is how many descriptors one Hand can pass (SCM_MAX_FD).
const MaxHand = 250

// With stops the stub, calls fn with a Remote in it and lets it go on. Only
// one With runs at a time.
func (p *Pod) With(fn func(tr tracer.Tracing, init *tracer.Remote) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.Tracer.Do(func(tr tracer.Tracing) (err error) {
		if err := p.stopInit(tr); err != nil {
			return fmt.Errorf("stop the pod's init: %w", err)
		}
		defer func() { err = errors.Join(err, tr.Detach(p.Init)) }()
		init, err := tr.Enter(p.Init, p.VDSO)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, init.Leave()) }()
		return fn(tr, init)
	})
	return errors.Join(err, p.ring())
}

// CloneArgs are what a caller of Clone can choose; see clone(2).
type CloneArgs struct {
	Flags      uint64
	ExitSignal unix.Signal
	PID        int // in the pod; 0 is any
}

// Clone makes a child or thread of a stopped one by clone3(2) and waits until
// the child has stopped. It returns the child's id as the tracer sees it. The
// child is traced with its parent's options, has the registers of the parent's
// Remote at the call and a copy of its memory, scratch memory included.
//
// Preconditions: parent was seized with tracer.Stub or tracer.Parent.
func Clone(tr tracer.Tracing, parent *tracer.Remote, a CloneArgs) (int, error) {
	// struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack,
	// stack_size, tls, set_tid, set_tid_size, cgroup.
	const idOffset = 88
	args := make([]byte, idOffset, idOffset+4)
	le := binary.LittleEndian
	le.PutUint64(args, a.Flags)
	le.PutUint64(args[32:], uint64(a.ExitSignal))
	if a.PID != 0 {
		le.PutUint64(args[64:], uint64(parent.Scratch())+idOffset)
		le.PutUint64(args[72:], 1)
	}
	addr, err := parent.Put(0, le.AppendUint32(args, uint32(a.PID)))
	if err != nil {
		return 0, err
	}
	if _, err := parent.Syscall(unix.SYS_CLONE3, addr, idOffset); err != nil {
		if errors.Is(err, unix.EEXIST) {
			return 0, fmt.Errorf("make process %d of the pod: its id is taken", a.PID)
		}
		return 0, fmt.Errorf("make process %d of the pod: clone3: %w", a.PID, err)
	}
	child := parent.Child()
	if child == 0 {
		return 0, fmt.Errorf("make process %d of the pod: the tracer saw no child", a.PID)
	}
	_, err = tr.WaitStop(child)
	return child, err
}

// Hand passes descriptors of this process to a stopped process of the pod that
// still has the stub's descriptors or a copy of HandFD at number hand. They
// get the lowest free numbers, in order, which Hand returns.
func (p *Pod) Hand(r *tracer.Remote, hand int, fds []int) ([]int, error) {
	if len(fds) == 0 {
		return nil, nil
	}
	if len(fds) > MaxHand {
		return nil, fmt.Errorf("hand over %d descriptors: at most %d go at once", len(fds), MaxHand)
	}
	if err := unix.Sendmsg(p.hand, []byte{0}, unix.UnixRights(fds...), nil, unix.MSG_NOSIGNAL); err != nil {
		return nil, fmt.Errorf("hand %d descriptors to the pod: %w", len(fds), err)
	}
	// struct msghdr, struct iovec, one byte of data and the control message lie in
	// the scratch memory, in this order.
	const iovOff, dataOff, ctlOff = 56, 72, 80
	ctlLen := unix.CmsgSpace(4 * len(fds))
	base := uint64(r.Scratch())
	hdr := make([]byte, ctlOff)
	le := binary.LittleEndian
	le.PutUint64(hdr[16:], base+iovOff)
	le.PutUint64(hdr[24:], 1)
	le.PutUint64(hdr[32:], base+ctlOff)
	le.PutUint64(hdr[40:], uint64(ctlLen))
	le.PutUint64(hdr[iovOff:], base+dataOff)
	le.PutUint64(hdr[iovOff+8:], 1)
	addr, err := r.Put(0, hdr)
	if err != nil {
		return nil, err
	}
	if _, err := r.Syscall(unix.SYS_RECVMSG, uint64(hand), addr, unix.MSG_DONTWAIT); err != nil {
		return nil, fmt.Errorf("take descriptors in the pod: recvmsg: %w", err)
	}
	out := make([]byte, ctlLen)
	if err := r.Get(ctlOff, out); err != nil {
		return nil, err
	}
	got := make([]int, len(fds))
	if n := int(le.Uint64(out)) - unix.SizeofCmsghdr; n != 4*len(fds) {
		return nil, fmt.Errorf("take descriptors in the pod: %d of %d came: is its limit of open files (RLIMIT_NOFILE) too low?", max(n, 0)/4, len(fds))
	}
	for i := range got {
		got[i] = int(int32(le.Uint32(out[unix.SizeofCmsghdr+4*i:])))
	}
	return got, nil
}

// putWord writes a 64-bit word of an array.
func putWord(b []byte, index int, v uint64) { binary.LittleEndian.PutUint64(b[8*index:], v) }
