package ckptlib

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/mem"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// Commands of shmctl(2), semctl(2) and msgctl(2).
// nextID makes the next System V object of a kind ("shm", "sem", "msg") get an
// id. The file shows the namespace of who opens it.
func nextID(init *tracer.Remote, kind string, id int) error {
	path := "/proc/sys/kernel/" + kind + "_next_id"
	addr, err := init.Put(0, append([]byte(path), 0))
	if err != nil {
		return err
	}
	at := int64(unix.AT_FDCWD)
	fd, err := init.Syscall(unix.SYS_OPENAT, uint64(at), addr, unix.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("open %s in the pod (Linux 5.19 lets an ordinary user, with CONFIG_CHECKPOINT_RESTORE): %w", path, err)
	}
	text := []byte(strconv.Itoa(id))
	if addr, err = init.Put(0, text); err != nil {
		return err
	}
	_, err = init.Syscall(unix.SYS_WRITE, fd, addr, uint64(len(text)))
	_, errClose := init.Syscall(unix.SYS_CLOSE, fd)
	if err != nil {
		return fmt.Errorf("write %d to %s: %w", id, path, err)
	}
	return errClose
}

// shmHugeTLB is SHM_HUGETLB of shmget(2).
const shmHugeTLB = 0o4000

// segmentSize is how much of a segment can be mapped.
func segmentSize(s *image.Shared) uint64 {
	if page := s.HugePage; page != 0 {
		return (uint64(s.Size) + page - 1) / page * page
	}
	return uint64(s.Size)
}

// restoreSysV makes the objects with their ids. Segments are filled by the
// caller through the attachments in the init that it returns, by shared object,
// and finishSysV takes away.
func (r *Restart) restoreSysV(init *tracer.Remote) (map[image.SharedID]uint64, error) {
	s := &r.im.SysV
	attached := map[image.SharedID]uint64{}
	make := func(kind string, id int, nr uint64, args ...uint64) error {
		if err := nextID(init, kind, id); err != nil {
			return err
		}
		got, err := init.Syscall(nr, args...)
		if err != nil {
			return fmt.Errorf("restore System V %s %d: %w", kind, id, err)
		}
		if int(got) != id {
			return fmt.Errorf("restore System V %s %d: the kernel gave it the id %d", kind, id, got)
		}
		return nil
	}
	for _, m := range s.Shm {
		get := func(size, flags uint64) error {
			return make("shm", m.ID, unix.SYS_SHMGET, uint64(uint32(m.Key)), size, uint64(m.Mode)|ipcCreat|ipcExcl|flags)
		}
		size, err := uint64(m.Size), error(nil)
		if o := &r.im.Shared[m.Shared-1]; o.HugePage == 0 {
			err = get(size, 0)
		} else if err = get(size, shmHugeTLB|uint64(mem.HugeFlags(o.HugePage))); mem.NoHugePages(err) {
			size = segmentSize(o)
			r.c.warn("System V segment %d has ordinary memory instead of %d huge pages: %v", m.ID, size/o.HugePage, err)
			err = get(size, 0)
		}
		if err != nil {
			return nil, err
		}
		addr, err := init.Syscall(unix.SYS_SHMAT, uint64(m.ID), 0, 0)
		if err != nil {
			return nil, fmt.Errorf("attach System V segment %d: %w", m.ID, err)
		}
		attached[m.Shared] = addr
	}
	for _, m := range s.Sem {
		if err := make("sem", m.ID, unix.SYS_SEMGET, uint64(uint32(m.Key)), uint64(len(m.Values)), uint64(m.Mode)|ipcCreat|ipcExcl); err != nil {
			return nil, err
		}
		var b []byte
		for _, v := range m.Values {
			b = binary.LittleEndian.AppendUint16(b, v)
		}
		addr, err := init.Put(0, b)
		if err != nil {
			return nil, err
		}
		if _, err := init.Syscall(unix.SYS_SEMCTL, uint64(m.ID), 0, semSetAl, addr); err != nil {
			return nil, fmt.Errorf("set System V semaphores %d: %w", m.ID, err)
		}
	}
	for _, m := range s.Msg {
		if err := make("msg", m.ID, unix.SYS_MSGGET, uint64(uint32(m.Key)), uint64(m.Mode)|ipcCreat|ipcExcl); err != nil {
			return nil, err
		}
		if err := restoreQueue(init, &m); err != nil {
			return nil, fmt.Errorf("restore System V message queue %d: %w", m.ID, err)
		}
	}
	return attached, nil
}

// finishSysV detaches the init, and marks for deletion what was marked: every
// process that had it attached has it again.
func finishSysV(init *tracer.Remote, s *image.SysV, attached map[image.SharedID]uint64) error {
	for _, m := range s.Shm {
		if m.Dest {
			if _, err := init.Syscall(unix.SYS_SHMCTL, uint64(m.ID), ipcRMID, 0); err != nil {
				return fmt.Errorf("mark System V segment %d for deletion: %w", m.ID, err)
			}
		}
		if _, err := init.Syscall(unix.SYS_SHMDT, attached[m.Shared]); err != nil {
			return fmt.Errorf("detach System V segment %d: %w", m.ID, err)
		}
	}
	return nil
}
