package mem

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/pod"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// mapAll makes every mapping of the image. The files are opened here and handed
// to the process, some hundred at a time.
func mapAll(p *pod.Pod, r *tracer.Remote, im *image.Process, src Source) error {
	var group []*image.Mapping
	b := r.Batch() // of anonymous memory
	flush := func() error {
		err := b.Run()
		if err == nil {
			err = mapFiles(p, r, im, group, src)
		}
		group = group[:0]
		return err
	}
	for i := range im.Mappings {
		m := &im.Mappings[i]
		var err error
		switch shmid, size, sysv := 0, uint64(0), false; {
		case Kernel(m.Name):
			continue
		case m.SharedID != 0:
			if shmid, size, sysv = src.ShmID(m.SharedID); sysv {
				if err = b.Run(); err == nil {
					err = attach(r, im, m, shmid, roundUp(size))
				}
				break
			}
			fallthrough
		case m.File != nil, src.Lazy(im, m):
			if group = append(group, m); len(group) == pod.MaxHand {
				err = flush()
			}
		case m.HugePage != 0:
			if err = b.Run(); err == nil {
				err = mapHuge(r, im, m, src)
			}
		default:
			err = mapAt(b, m, ^uint64(0), unix.MAP_ANONYMOUS|unix.MAP_FIXED_NOREPLACE, m.Offset)
		}
		if err != nil {
			return err
		}
	}
	if err := flush(); err != nil {
		return err
	}
	return adviseAll(r, im)
}

// mapFiles opens, hands over and maps.
func mapFiles(p *pod.Pod, r *tracer.Remote, im *image.Process, ms []*image.Mapping, src Source) error {
	if len(ms) == 0 {
		return nil
	}
	type opened struct {
		file   image.MappedFile
		shared image.SharedID
		flags  int
	}
	index := map[opened]int{}
	var fds []int
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd) // the process has its own
		}
	}()
	which := make([]int, len(ms))
	for i, m := range ms {
		o := opened{shared: m.SharedID, flags: unix.O_RDONLY}
		if m.File != nil {
			o.file = *m.File
		}
		if m.Shared && !m.ReadOnly {
			o.flags = unix.O_RDWR
		}
		n, ok := index[o]
		if !ok {
			var fd int
			var err error
			switch {
			case m.SharedID != 0:
				fd, err = src.Shared(m.SharedID, o.flags)
			case m.File != nil:
				fd, err = src.File(m.File, o.flags)
			default:
				fd, err = src.Pages(im)
			}
			if err != nil {
				return fmt.Errorf("map %s: %w", m.Name, err)
			}
			n = len(fds)
			fds, index[o] = append(fds, fd), n
		}
		which[i] = n
	}
	got, err := p.Hand(r, pod.HandFD, fds)
	if err != nil {
		return err
	}
	b := r.Batch()
	for i, m := range ms {
		offset := m.Offset
		if m.SharedID == 0 && m.File == nil {
			offset = m.Start // the file has the pages of the process at their addresses
		}
		if err := mapAt(b, m, uint64(got[which[i]]), unix.MAP_FIXED_NOREPLACE, offset); err != nil {
			return err
		}
	}
	return errors.Join(b.Tell("close what was mapped", nil, unix.SYS_CLOSE_RANGE, pod.HandFD+1, ^uint64(0)>>32, 0), b.Run())
}

// mapAt adds to a batch the call that makes a mapping.
func mapAt(b *tracer.Batch, m *image.Mapping, fd uint64, flags uint64, offset uint64) error {
	if m.Shared {
		flags |= unix.MAP_SHARED
	} else {
		flags |= unix.MAP_PRIVATE
	}
	if m.GrowsDown {
		flags |= unix.MAP_GROWSDOWN
	}
	if m.NoReserve {
		flags |= unix.MAP_NORESERVE
	}
	return b.Ask(0, func(_ uint64, _ []byte, err error) error {
		if err != nil {
			err = fmt.Errorf("map %#x-%#x %s: %w", m.Start, m.End, m.Name, err)
		}
		return err
	}, unix.SYS_MMAP, m.Start, m.End-m.Start, uint64(m.Prot), flags, fd, offset)
}

// attach maps a System V segment of size bytes, or the part of it that was
// mapped: that is moved into place from a room where the whole is attached.
func attach(r *tracer.Remote, im *image.Process, m *image.Mapping, shmid int, size uint64) error {
	const shmRDOnly, shmExec = 0o10000, 0o100000
	var flags uint64
	if m.ReadOnly {
		flags |= shmRDOnly
	}
	if m.Prot&unix.PROT_EXEC != 0 {
		flags |= shmExec
	}
	part := m.End - m.Start
	whole := m.Offset == 0 && part == size
	at := m.Start
	if !whole {
		var err error
		scratch := procfs.VMA{Start: uint64(r.Scratch()), End: uint64(r.Scratch()) + tracer.RoomSize}
		if at, err = hole(size, []procfs.VMA{scratch}, im); err != nil {
			return err
		}
	}
	if _, err := r.Syscall(unix.SYS_SHMAT, uint64(shmid), at, flags); err != nil {
		return fmt.Errorf("attach System V segment %d at %#x: %w", shmid, at, err)
	}
	if !whole {
		if _, err := r.Syscall(unix.SYS_MREMAP, at+m.Offset, part, part, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED, m.Start); err != nil {
			return fmt.Errorf("move System V segment %d to %#x: %w", shmid, m.Start, err)
		}
		if _, err := r.Syscall(unix.SYS_MUNMAP, at, size); err != nil {
			return fmt.Errorf("unmap the rest of System V segment %d: %w", shmid, err)
		}
	}
	if _, err := r.Syscall(unix.SYS_MPROTECT, m.Start, part, uint64(m.Prot)); err != nil {
		return fmt.Errorf("protect System V segment %d: %w", shmid, err)
	}
	return nil
}

// prSetVMA, of prctl(2), names anonymous memory (Linux 5.17, CONFIG_ANON_VMA_NAME).
const prSetVMA, prSetVMAAnonName = 0x53564d41, 0

const madvGuardInstall = 102 // Linux 6.13

// adviseAll repeats madvise(2), mlock(2) and names. What this host's kernel or
// limits forbid is left out where it changes no content.
func adviseAll(r *tracer.Remote, im *image.Process) error {
	for i := range im.Mappings {
		m := &im.Mappings[i]
		size := m.End - m.Start
		for _, a := range m.Advice {
			_, err := r.Syscall(unix.SYS_MADVISE, m.Start, size, uint64(a))
			if err != nil && (a == unix.MADV_DONTFORK || a == unix.MADV_WIPEONFORK) {
				return fmt.Errorf("madvise %#x %s: %w", m.Start, m.Name, err)
			}
		}
		for _, g := range m.Guards {
			_, _ = r.Syscall(unix.SYS_MADVISE, g.Start, g.End-g.Start, madvGuardInstall)
		}
		if m.Locked {
			_, _ = r.Syscall(unix.SYS_MLOCK, m.Start, size)
		}
		if name, ok := strings.CutPrefix(m.Name, "[anon:"); ok {
			addr, err := r.Put(0, append([]byte(strings.TrimSuffix(name, "]")), 0))
			if err != nil {
				return err
			}
			_, _ = r.Syscall(unix.SYS_PRCTL, prSetVMA, prSetVMAAnonName, m.Start, size, addr)
		}
	}
	return nil
}

// setMM sets what the kernel keeps of a process's layout, for brk(2) and /proc.
func setMM(p *pod.Pod, r *tracer.Remote, im *image.Process, src Source) error {
	exe, err := src.Exe(im.Exe)
	if err != nil {
		return fmt.Errorf("open the program %s: %w", im.Exe, err)
	}
	got, err := p.Hand(r, pod.HandFD, []int{exe})
	_ = unix.Close(exe) // the process has its own
	if err != nil {
		return err
	}
	// struct prctl_mm_map, include/uapi/linux/prctl.h: eleven addresses, auxv and
	// its size, the descriptor of the program.
	const mapSize, prSetMMMap = 104, 14
	m := &im.MM
	auxv := uint64(r.Scratch()) + mapSize // behind it
	layout := tracer.Words(
		m.StartCode, m.EndCode, m.StartData, m.EndData, m.StartBrk, m.Brk, m.StartStack,
		m.ArgStart, m.ArgEnd, m.EnvStart, m.EnvEnd, auxv, uint64(len(m.Auxv))|uint64(got[0])<<32,
	)
	b := r.Batch()
	return errors.Join(
		b.Tell("prctl PR_SET_MM_MAP", append(layout, m.Auxv...), unix.SYS_PRCTL, unix.PR_SET_MM, prSetMMMap, tracer.In, mapSize, 0),
		b.Tell("close the program", nil, unix.SYS_CLOSE, uint64(got[0])),
		b.Run(),
	)
}
