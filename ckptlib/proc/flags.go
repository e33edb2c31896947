package proc

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
)

// quickFlags is the memory in use, in bytes, up to which the VmFlags of a
// process's mappings are read while it is stopped: the kernel walks all page
// tables for them, which takes 15 to 20 ms for each GiB.
const quickFlags = 64 << 20

// ReadFlags reads the VmFlags of a process's mappings if that is quick, or if
// must is set, or if they cannot be learnt later: a copy of the process has no
// locks (MAP_LOCKED), what is swapped out only the stopped process tells, and the
// files in /proc of one that is not dumpable are readable only while it is
// stopped.
func (t *Task) ReadFlags(must bool) error {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", t.Lead))
	if err != nil {
		return err
	}
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return fmt.Errorf("parse /proc/%d/statm: %q", t.Lead, b)
	}
	resident, err := strconv.ParseInt(f[1], 10, 64)
	if err != nil {
		return fmt.Errorf("parse /proc/%d/statm: %w", t.Lead, err)
	}
	if !must && !t.hidden && resident*int64(os.Getpagesize()) > quickFlags && !t.Status.Locked && !swapping() {
		return nil
	}
	t.VMAs, err = procfs.Maps(t.Lead, true)
	return err
}

// swapping tells whether anything on this host is swapped out.
func swapping() bool {
	var s unix.Sysinfo_t
	return unix.Sysinfo(&s) != nil || s.Freeswap != s.Totalswap
}

// Flagged tells whether the VmFlags of the mappings are known.
func (t *Task) Flagged() bool { return len(t.VMAs) == 0 || t.VMAs[0].Flags != nil }
