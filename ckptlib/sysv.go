package ckptlib

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/linux"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// Commands of shmctl(2), semctl(2) and msgctl(2).
const (
	ipcRMID  = 0
	ipcSet   = 1
	ipcStat  = 2
	ipcCreat = 0o1000
	ipcExcl  = 0o2000
	semGetAl = 13
	semSetAl = 17
	shmDest  = 0o1000
)

// sysV captures the pod's System V objects. The init is asked: it is in the
// pod's ipc namespace, and nothing but the pod is.
func (c *Checkpoint) sysV(tr tracer.Tracing, init *tracer.Remote) error {
	table, err := c.sysVTable(init, "shm")
	if err != nil {
		return err
	}
	for _, row := range table {
		if err := c.segment(init, row); err != nil {
			return fmt.Errorf("capture System V segment %d: %w", row["shmid"], err)
		}
	}
	if table, err = c.sysVTable(init, "sem"); err != nil {
		return err
	}
	for _, row := range table {
		if err := c.semaphores(init, row); err != nil {
			return fmt.Errorf("capture System V semaphores %d: %w", row["semid"], err)
		}
	}
	if table, err = c.sysVTable(init, "msg"); err != nil {
		return err
	}
	for _, row := range table {
		q, err := captureQueue(init, row)
		if err != nil {
			return fmt.Errorf("capture System V message queue %d: %w", row["msqid"], err)
		}
		c.im.SysV.Msg = append(c.im.SysV.Msg, q)
	}
	return c.captureUndos(tr)
}

// sysVTable reads a table of /proc/sysvipc, which shows the namespace of who
// opens it: the init does.
func (c *Checkpoint) sysVTable(init *tracer.Remote, kind string) ([]map[string]int64, error) {
	path := "/proc/sysvipc/" + kind
	addr, err := init.Put(0, append([]byte(path), 0))
	if err != nil {
		return nil, err
	}
	at := int64(unix.AT_FDCWD)
	fd, err := init.Syscall(unix.SYS_OPENAT, uint64(at), addr, unix.O_RDONLY, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil // CONFIG_SYSVIPC is off: there are none
	}
	if err != nil {
		return nil, fmt.Errorf("open %s in the pod: %w", path, err)
	}
	n, err := linux.GetFD(c.p.pod.Init, int(fd))
	_, closeErr := init.Syscall(unix.SYS_CLOSE, fd)
	if err != nil {
		return nil, fmt.Errorf("take %s of the pod: %w", path, err)
	}
	f := os.NewFile(uintptr(n), path)
	defer f.Close()
	if closeErr != nil {
		return nil, closeErr
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	keys := strings.Fields(lines[0])
	var out []map[string]int64
	for _, l := range lines[1:] {
		row := map[string]int64{}
		for i, v := range strings.Fields(l) {
			if i >= len(keys) {
				break
			}
			base := 10
			if keys[i] == "perms" {
				base = 8
			}
			row[keys[i]], _ = strconv.ParseInt(v, base, 64)
		}
		out = append(out, row)
	}
	return out, nil
}

// segment captures a shared memory segment. One that nobody has attached is
// attached to the init until its pages are read, which is before Resume.
func (c *Checkpoint) segment(init *tracer.Remote, row map[string]int64) error {
	s := image.ShmSegment{
		ID: int(row["shmid"]), Key: int32(row["key"]), Mode: uint32(row["perms"]) & 0o777, Size: row["size"],
		Dest: row["perms"]&shmDest != 0,
	}
	id, mapped := c.shared.Segment(0, s.ID, s.Size)
	s.Shared = id
	if !mapped {
		const shmRDOnly = 0o10000
		addr, err := init.Syscall(unix.SYS_SHMAT, uint64(s.ID), 0, shmRDOnly)
		if err != nil {
			return fmt.Errorf("shmat: %w", err)
		}
		c.attached = append(c.attached, addr)
		if err := c.shared.AddView(id, c.p.pod.Init, addr); err != nil {
			return err
		}
	}
	c.im.SysV.Shm = append(c.im.SysV.Shm, s)
	return nil
}

// detach takes from the init what segment attached.
func (c *Checkpoint) detach() error {
	if len(c.attached) == 0 {
		return nil
	}
	return c.p.pod.Tracer.Do(func(tr tracer.Tracing) (err error) {
		init, err := tr.Enter(c.p.pod.Init, c.p.pod.VDSO)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, init.Leave()) }()
		for _, a := range c.attached {
			if _, err := init.Syscall(unix.SYS_SHMDT, a); err != nil {
				return fmt.Errorf("shmdt: %w", err)
			}
		}
		c.attached = nil
		return nil
	})
}

func (c *Checkpoint) semaphores(init *tracer.Remote, row map[string]int64) error {
	s := image.SemSet{ID: int(row["semid"]), Key: int32(row["key"]), Mode: uint32(row["perms"]) & 0o777}
	n := int(row["nsems"])
	if _, err := init.Syscall(unix.SYS_SEMCTL, uint64(s.ID), 0, semGetAl, uint64(init.Scratch())); err != nil {
		return fmt.Errorf("semctl GETALL: %w", err)
	}
	b := make([]byte, 2*n)
	if err := init.Get(0, b); err != nil {
		return err
	}
	for i := range n {
		s.Values = append(s.Values, binary.LittleEndian.Uint16(b[2*i:]))
	}
	c.im.SysV.Sem = append(c.im.SysV.Sem, s)
	return nil
}
