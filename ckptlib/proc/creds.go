package proc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/pod"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// captureCreds notes the credentials.
func captureCreds(b *tracer.Batch, t *Task, p *image.Process) error {
	s := &t.Status
	p.Creds = image.Creds{
		UIDs: s.UIDs, GIDs: s.GIDs, Groups: s.Groups,
		Inherited: s.CapInh, Permitted: s.CapPrm, Effective: s.CapEff, Bounding: s.CapBnd, Ambient: s.CapAmb,
		NoNewPrivs: s.NoNewPrivs,
	}
	return b.Ask(0, func(ret uint64, _ []byte, err error) error {
		p.Creds.SecureBits = int(ret)
		return err
	}, unix.SYS_PRCTL, unix.PR_GET_SECUREBITS)
}

// restoreCreds gives up what a stub's thread has more than the process had.
// For an ordinary user that is all: his pod knows one user and one group. It
// comes after everything that needs a capability. Credentials are a thread's:
// each gives up its own.
func restoreCreds(r *tracer.Remote, p *image.Process) error {
	c := &p.Creds
	if os.Geteuid() == 0 {
		if err := restoreIDs(r, c); err != nil {
			return err
		}
	}
	if _, err := r.Syscall(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("drop the stub's capabilities: %w", err)
	}
	if err := pod.SetCapabilities(r, c.Effective, c.Permitted, c.Inherited); err != nil {
		return err
	}
	for n := range 64 {
		if c.Ambient&(1<<n) == 0 {
			continue
		}
		if _, err := r.Syscall(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uint64(n), 0, 0); err != nil {
			return fmt.Errorf("raise ambient capability %d: %w", n, err)
		}
	}
	if c.NoNewPrivs {
		if _, err := r.Syscall(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("set no_new_privs: %w", err)
		}
	}
	return nil
}

// restoreIDs sets users and groups of a pod of root's, where capabilities are
// kept over the change, and drops from the bounding set what the job had
// dropped.
func restoreIDs(r *tracer.Remote, c *image.Creds) error {
	have, err := readStatus(r.TID, r.TID)
	if err != nil {
		return err
	}
	for n := range 64 {
		if (have.CapBnd&^c.Bounding)&(1<<n) == 0 {
			continue
		}
		if _, err := r.Syscall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, uint64(n)); err != nil {
			return fmt.Errorf("drop capability %d from the bounding set: %w", n, err)
		}
	}
	list := make([]byte, 0, 4*len(c.Groups))
	for _, g := range c.Groups {
		list = append(list, byte(g), byte(g>>8), byte(g>>16), byte(g>>24))
	}
	addr, err := r.Put(0, list)
	if err != nil {
		return err
	}
	if _, err := r.Syscall(unix.SYS_SETGROUPS, uint64(len(c.Groups)), addr); err != nil {
		return fmt.Errorf("setgroups: %w", err)
	}
	if c.UIDs == [4]int{} && c.GIDs == [4]int{} {
		return nil
	}
	if _, err := r.Syscall(unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1); err != nil {
		return err
	}
	if _, err := r.Syscall(unix.SYS_SETRESGID, uint64(c.GIDs[0]), uint64(c.GIDs[1]), uint64(c.GIDs[2])); err != nil {
		return fmt.Errorf("setresgid: %w", err)
	}
	if _, err := r.Syscall(unix.SYS_SETRESUID, uint64(c.UIDs[0]), uint64(c.UIDs[1]), uint64(c.UIDs[2])); err != nil {
		return fmt.Errorf("setresuid: %w", err)
	}
	_, err = r.Syscall(unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 0)
	return err
}

// Commands of membarrier(2). GET_REGISTRATIONS answers with the mask of the commands
// that registered, QUERY with that of all there are.
const (
	membarrierQuery            = 0
	membarrierGetRegistrations = 1 << 9
	membarrierRegister         = 1<<2 | 1<<4 | 1<<6 | 1<<8
)

const archGetXCompPerm, archReqXCompPerm, xfeatureTileData = 0x1022, 0x1023, 18

// capturePrctl notes the state of prctl(2) and its kin for the process.
func capturePrctl(b *tracer.Batch, t *Task, p *image.Process) error {
	var barriers uint64
	err := errors.Join(
		b.Ask(0, func(ret uint64, _ []byte, err error) error {
			p.Prctl.Dumpable = int(ret)
			if m := t.memoryOf(); m.hidden { // it is the memory's
				p.Prctl.Dumpable = int(m.dumpable)
			}
			return err
		}, unix.SYS_PRCTL, unix.PR_GET_DUMPABLE),
		b.Ask(8, func(_ uint64, out []byte, err error) error {
			p.Prctl.Subreaper = out[0] != 0
			return err
		}, unix.SYS_PRCTL, unix.PR_GET_CHILD_SUBREAPER, tracer.Out),
		b.Ask(0, func(ret uint64, _ []byte, err error) error {
			p.Prctl.THPDisable = ret != 0
			return err
		}, unix.SYS_PRCTL, unix.PR_GET_THP_DISABLE),
		b.Ask(8, func(_ uint64, out []byte, err error) error {
			if err == nil { // kernels before 5.16 and processors without AMX do not know the call
				p.Prctl.XCompPerm = binary.LittleEndian.Uint64(out)
			}
			return nil
		}, unix.SYS_ARCH_PRCTL, archGetXCompPerm, tracer.Out),
		b.Ask(0, func(ret uint64, _ []byte, err error) error {
			if err == nil {
				barriers = ret
			}
			return nil
		}, unix.SYS_MEMBARRIER, membarrierQuery, 0, 0),
		b.Ask(0, func(ret uint64, _ []byte, err error) error {
			if err != nil {
				// Kernels before 6.3 do not tell. One registration too many harms nobody, one
				// that is missing is an error where the program expects none.
				ret = barriers & membarrierRegister
			}
			p.Prctl.Membarrier = ret
			return nil
		}, unix.SYS_MEMBARRIER, membarrierGetRegistrations, 0, 0),
	)
	if err != nil {
		return err
	}
	if p.Prctl.Personality, err = number(t.Lead, "personality", 16); err != nil {
		return err
	}
	// A kernel without ELF core dumps has no such file.
	if filter, err := number(t.Lead, "coredump_filter", 16); err == nil {
		p.Prctl.CoreFilter = &filter
	}
	oom, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", t.Lead))
	if err != nil {
		return err
	}
	p.Prctl.OOMScoreAdj, err = strconv.Atoi(strings.TrimSpace(string(oom)))
	return err
}

func number(pid int, file string, base int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(b)), base, 64)
}

// restorePrctl sets it, but for restoreDumpable.
func restorePrctl(r *tracer.Remote, p *image.Process) error {
	s := &p.Prctl
	if s.XCompPerm&(1<<xfeatureTileData) != 0 {
		if _, err := r.Syscall(unix.SYS_ARCH_PRCTL, archReqXCompPerm, xfeatureTileData); err != nil {
			return fmt.Errorf("ask for AMX tiles, which the process uses: %w", err)
		}
	}
	for _, c := range []struct {
		set  bool
		call []uint64
	}{
		{s.Subreaper, []uint64{unix.PR_SET_CHILD_SUBREAPER, 1}},
		{s.THPDisable, []uint64{unix.PR_SET_THP_DISABLE, 1, 0, 0, 0}},
	} {
		if !c.set {
			continue
		}
		if _, err := r.Syscall(unix.SYS_PRCTL, c.call...); err != nil {
			return fmt.Errorf("prctl %d: %w", c.call[0], err)
		}
	}
	for bit := range 64 {
		if s.Membarrier&(1<<bit) == 0 {
			continue
		}
		if _, err := r.Syscall(unix.SYS_MEMBARRIER, 1<<bit, 0, 0); err != nil {
			return fmt.Errorf("register membarrier %#x: %w", uint64(1)<<bit, err)
		}
	}
	if s.Personality != 0 {
		if _, err := r.Syscall(unix.SYS_PERSONALITY, s.Personality); err != nil {
			return fmt.Errorf("personality: %w", err)
		}
	}
	return nil
}

// restoreDumpable comes after the credentials: a change of user clears it.
func restoreDumpable(r *tracer.Remote, p *image.Process) error {
	if _, err := r.Syscall(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, settable(uint64(p.Prctl.Dumpable))); err != nil {
		return fmt.Errorf("prctl PR_SET_DUMPABLE: %w", err)
	}
	return nil
}

// restoreOOM sets how readily the kernel kills the process when memory is
// short; only root may make it less than this host's agent has.
func restoreOOM(pid int, p *image.Process) {
	set(pid, "oom_score_adj", strconv.Itoa(p.Prctl.OOMScoreAdj))
}

// restoreCoreFilter sets which memory goes into a core dump.
func restoreCoreFilter(pid int, p *image.Process) {
	if f := p.Prctl.CoreFilter; f != nil {
		set(pid, "coredump_filter", fmt.Sprintf("%#x", *f))
	}
}

// set writes to a control file of a process. An error is not one of the restart:
// the process was started with more rights, or this kernel has no such file.
func set(pid int, file, value string) {
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/%s", pid, file), os.O_WRONLY, 0)
	if err != nil {
		return
	}
	_, _ = f.WriteString(value)
	_ = f.Close()
}
