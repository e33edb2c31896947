package tracer

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// ReadMemory fills b from another process's memory, which must be readable.
func ReadMemory(pid int, a Addr, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	l := []unix.Iovec{{Base: &b[0]}}
	l[0].SetLen(len(b))
	n, err := unix.ProcessVMReadv(pid, l, []unix.RemoteIovec{{Base: uintptr(a), Len: len(b)}}, 0)
	if err != nil {
		return fmt.Errorf("read %d bytes of process %d at %#x: %w", len(b), pid, a, err)
	}
	if n != len(b) {
		return fmt.Errorf("read %d bytes of process %d at %#x: got %d", len(b), pid, a, n)
	}
	return nil
}

// WriteMemory copies b to another process's memory, which must be writable.
func WriteMemory(pid int, a Addr, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	l := []unix.Iovec{{Base: &b[0]}}
	l[0].SetLen(len(b))
	n, err := unix.ProcessVMWritev(pid, l, []unix.RemoteIovec{{Base: uintptr(a), Len: len(b)}}, 0)
	if err != nil {
		return fmt.Errorf("write %d bytes of process %d at %#x: %w", len(b), pid, a, err)
	}
	if n != len(b) {
		return fmt.Errorf("write %d bytes of process %d at %#x: wrote %d", len(b), pid, a, n)
	}
	return nil
}

// ownVDSO is a copy of this process's vdso.
func ownVDSO() ([]byte, error) {
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		if !strings.HasSuffix(s.Text(), "[vdso]") {
			continue
		}
		var start, end uint64
		if _, err := fmt.Sscanf(s.Text(), "%x-%x", &start, &end); err != nil {
			return nil, fmt.Errorf("parse %q of /proc/self/maps: %w", s.Text(), err)
		}
		b := make([]byte, end-start)
		return b, ReadMemory(os.Getpid(), Addr(start), b)
	}
	return nil, errors.New("this process has no vdso: is the kernel booted with vdso=0? Boot it without")
}
