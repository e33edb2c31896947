package kobj

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/internal/linux"
)

// FDInfo is /proc/PID/fdinfo/N: what the kernel tells of a description without
// being asked by its holder.
type FDInfo struct {
	Pos   int64
	Flags int // as open(2) has them, O_CLOEXEC of the descriptor included
	MntID int
	Ino   uint64 // 0 on kernels before 5.15, which do not tell
	// Lines are those of the kind of object, in the kernel's order.
	Lines []string
}

// ParseFDInfo parses the text of a fdinfo file.
func ParseFDInfo(text string) (FDInfo, error) {
	var i FDInfo
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		var err error
		switch key {
		case "pos":
			i.Pos, err = strconv.ParseInt(value, 10, 64)
		case "flags":
			var n int64
			n, err = strconv.ParseInt(value, 8, 64)
			i.Flags = int(n)
		case "mnt_id":
			i.MntID, err = strconv.Atoi(value)
		case "ino":
			i.Ino, err = strconv.ParseUint(value, 10, 64)
		default:
			i.Lines = append(i.Lines, line)
		}
		if err != nil {
			return i, fmt.Errorf("parse line %q of fdinfo: %w", line, err)
		}
	}
	return i, nil
}

// Value returns what follows the first line's "key:", without spaces around
// it, and whether there is such a line.
func (i FDInfo) Value(key string) (string, bool) {
	for _, line := range i.Lines {
		if k, v, ok := strings.Cut(line, ":"); ok && k == key {
			return strings.TrimSpace(v), true
		}
	}
	return "", false
}

// Uint returns a number of the kind's lines, written in the given base.
func (i FDInfo) Uint(key string, base int) (uint64, error) {
	v, ok := i.Value(key)
	if !ok {
		return 0, fmt.Errorf("fdinfo has no line %q", key)
	}
	n, err := strconv.ParseUint(v, base, 64)
	if err != nil {
		return 0, fmt.Errorf("parse %q of fdinfo: %w", key, err)
	}
	return n, nil
}

// ReadFDInfo reads the fdinfo of a process's descriptor.
func ReadFDInfo(pid, num int) (FDInfo, error) {
	text, err := readProc(fmt.Sprintf("/proc/%d/fdinfo/%d", pid, num))
	if err != nil {
		return FDInfo{}, fmt.Errorf("read fdinfo of descriptor %d of process %d: %w", num, pid, err)
	}
	return ParseFDInfo(string(text))
}

// readProc is os.ReadFile without the calls by which that finds out what file it has.
// The pod stands still until this has been done for every descriptor.
func readProc(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var text []byte
	for {
		text = slices.Grow(text, 512)
		n, err := unix.Read(fd, text[len(text):cap(text)])
		if err != nil {
			return nil, &os.PathError{Op: "read", Path: path, Err: err}
		}
		if n == 0 {
			return text, nil
		}
		text = text[:len(text)+n]
	}
}

// ReadSource looks at a descriptor of a stopped process from outside. It takes
// a duplicate, which the caller owns and closes: Source.FD. The caller must be
// allowed to ptrace the process.
func ReadSource(pid, num, podPID int) (*Source, error) {
	s := &Source{FD: -1, PID: pid, Num: num, PodPID: podPID}
	if err := s.read(); err != nil {
		if s.FD >= 0 {
			_ = unix.Close(s.FD) // nothing was written to it
		}
		return nil, fmt.Errorf("look at descriptor %d of process %d: %w", num, podPID, err)
	}
	return s, nil
}

func (s *Source) read() error {
	var err error
	if s.FD, err = linux.GetFD(s.PID, s.Num); err != nil {
		return err
	}
	return s.look()
}

// look fills in all but FD, which is open.
func (s *Source) look() error {
	err := unix.Fstat(s.FD, &s.Stat)
	if err != nil {
		return fmt.Errorf("stat it: %w", err)
	}
	if s.Flags, err = unix.FcntlInt(uintptr(s.FD), unix.F_GETFL, 0); err != nil {
		return fmt.Errorf("get its flags: %w", err)
	}
	if s.Stat.Mode&unix.S_IFMT == unix.S_IFSOCK && s.Flags&unix.O_PATH == 0 {
		s.Link = fmt.Sprintf("socket:[%d]", s.Stat.Ino) // sockfs_dname, and there may be very many
	} else if s.Link, err = os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", s.PID, s.Num)); err != nil {
		// It is read in the process, not here: files that only differ in how they
		// were opened (/dev/tty) have the holder's name there.
		return err
	}
	s.Info, err = ReadFDInfo(s.PID, s.Num)
	return err
}

// refresh reads fdinfo again, after something has been asked of the kernel that
// brings it up to date.
func (s *Source) refresh() error {
	i, err := ReadFDInfo(s.PID, s.Num)
	if err == nil {
		s.Info = i
	}
	return err
}
