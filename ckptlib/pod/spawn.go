package pod

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// Command is a program to start in a pod.
type Command struct {
	Path  string   // absolute
	Args  []string // with the program's name first
	Env   []string
	Dir   string // absolute
	Stdio [3]int // descriptors of this process for 0, 1 and 2
	// Terminal says that they are a terminal, which is to be the controlling one.
	Terminal bool
}

// ExecError says that a program could not be executed.
type ExecError struct {
	Op, Path string
	Err      error
}

func (e *ExecError) Error() string { return fmt.Sprintf("%s %s: %v", e.Op, e.Path, e.Err) }
func (e *ExecError) Unwrap() error { return e.Err }

// Spawn starts a program as a child of the pod's init, the leader of a session
// of its own, and returns its pid in the pod. An error that the program's file
// or directory caused is an *ExecError.
func (p *Pod) Spawn(c Command) (pid int, err error) {
	err = p.With(func(tr tracer.Tracing, init *tracer.Remote) (err error) {
		child, err := Clone(tr, init, CloneArgs{ExitSignal: unix.SIGCHLD})
		if err != nil {
			return err
		}
		if err := tr.SetOptions(child, tracer.Stub); err != nil {
			return err
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, tr.Kill(child)) // it is a stub yet, and nobody's job
			}
		}()
		r, err := tr.EnterBare(child, p.VDSO)
		if err != nil {
			return err
		}
		r.UseScratch(init.Scratch())
		r.SetMask(init.Mask()) // it was born with all signals blocked, as init is while it is entered
		n, err := r.Syscall(unix.SYS_GETPID)
		if err != nil {
			return err
		}
		pid = int(n)
		if err := p.become(r, c); err != nil {
			return err
		}
		return tr.Detach(child)
	})
	return pid, err
}

// become turns a copy of the stub into the program.
func (p *Pod) become(r *tracer.Remote, c Command) error {
	if _, err := r.Syscall(unix.SYS_SETSID); err != nil {
		return fmt.Errorf("setsid in the pod: %w", err)
	}
	// The stub has nothing at 0 to 2 but what the setup left there.
	if _, err := r.Syscall(unix.SYS_CLOSE_RANGE, 0, 2, 0); err != nil {
		return fmt.Errorf("close_range in the pod (Linux 5.9): %w", err)
	}
	if _, err := p.Hand(r, HandFD, c.Stdio[:]); err != nil {
		return err
	}
	if _, err := r.Syscall(unix.SYS_CLOSE_RANGE, 3, ^uint64(0)>>32, 0); err != nil {
		return fmt.Errorf("close_range in the pod: %w", err)
	}
	if c.Terminal {
		if _, err := r.Syscall(unix.SYS_IOCTL, 0, unix.TIOCSCTTY, 0); err != nil {
			return fmt.Errorf("make the terminal the program's: ioctl TIOCSCTTY: %w", err)
		}
	}
	if err := dropCapabilities(r); err != nil {
		return err
	}
	dir, err := r.Put(0, append([]byte(c.Dir), 0))
	if err != nil {
		return err
	}
	if _, err := r.Syscall(unix.SYS_CHDIR, dir); err != nil {
		return &ExecError{"change to the directory", c.Dir, err}
	}
	path, argv, envp, err := putStrings(r, c)
	if err != nil {
		return err
	}
	// The registers that a program starts with are the kernel's to set; the mask
	// is the stub's, which is empty.
	if _, err := r.Syscall(unix.SYS_EXECVE, path, argv, envp); err != nil && !errors.Is(err, unix.ENOSYS) {
		return &ExecError{"execute", c.Path, err}
	}
	return r.SetThreadMask()
}

// dropCapabilities takes from an ordinary user's process what the stub has in
// the pod's user namespace. Root's processes keep what root has.
func dropCapabilities(r *tracer.Remote) error {
	if unix.Geteuid() == 0 {
		return nil
	}
	if _, err := r.Syscall(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("drop the stub's capabilities: %w", err)
	}
	return SetCapabilities(r, 0, 0, 0)
}

// SetCapabilities sets a process's effective, permitted and inheritable sets.
func SetCapabilities(r *tracer.Remote, eff, prm, inh uint64) error {
	// struct __user_cap_header_struct and two of __user_cap_data_struct
	// (capset(2)), whose words are 32 bits.
	hdr := uint64(unix.LINUX_CAPABILITY_VERSION_3)
	lo := func(v uint64) uint64 { return v & 0xffffffff }
	addr, err := r.PutWords(0, hdr,
		lo(eff)|lo(prm)<<32, lo(inh)|eff>>32<<32, prm>>32|inh>>32<<32)
	if err != nil {
		return err
	}
	if _, err := r.Syscall(unix.SYS_CAPSET, addr, addr+8); err != nil {
		return fmt.Errorf("set capabilities: %w", err)
	}
	return nil
}

// putStrings lays path, argv and envp out in memory of their own: they may be
// longer than the scratch memory.
func putStrings(r *tracer.Remote, c Command) (path, argv, envp uint64, err error) {
	words := len(c.Args) + len(c.Env) + 2
	size := 8*words + len(c.Path) + 1
	for _, l := range [][]string{c.Args, c.Env} {
		for _, s := range l {
			size += len(s) + 1
		}
	}
	base, err := r.Syscall(unix.SYS_MMAP, 0, uint64(size), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS, ^uint64(0), 0)
	if err != nil {
		return 0, 0, 0, fmt.Errorf("map %d bytes for arguments and environment: %w", size, err)
	}
	b := make([]byte, 8*words, size)
	at := 0
	add := func(s string) uint64 {
		addr := base + uint64(len(b))
		b = append(append(b, s...), 0)
		return addr
	}
	list := func(l []string) uint64 {
		start := base + uint64(8*at)
		for _, s := range l {
			putWord(b, at, add(s))
			at++
		}
		at++ // the NULL at the end
		return start
	}
	argv, envp = list(c.Args), list(c.Env)
	path = add(c.Path)
	return path, argv, envp, tracer.WriteMemory(r.TID, tracer.Addr(base), b)
}
