// Package reaper ends whatever is left of jobs that this process started, for
// programs that kill jobs on purpose: everything below the process, however
// deep, whether it wants to or not.
package reaper

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Adopt makes orphans among the descendants of this process its children, so
// that none is out of reach.
func Adopt() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become the reaper of descendants: %w", err)
	}
	return nil
}

// EndAll ends every descendant of this process, which has called Adopt, and
// returns when none is left or after 10 s. A child that somebody waits for
// may be reaped here.
func EndAll() {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		list := descendants()
		if len(list) == 0 {
			return
		}
		for _, pid := range list {
			_ = unix.Kill(pid, unix.SIGKILL) // it may be gone already
			// Those that have a waiter are waited for there.
			if _, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); err != nil && !errors.Is(err, unix.ECHILD) {
				return
			}
		}
	}
}

// descendants lists the processes below this one, parents first.
func descendants() []int {
	children := map[int][]int{}
	for _, pid := range Processes() {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has ended
		}
		// The name in parentheses may hold anything.
		f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if len(f) < 2 {
			continue
		}
		if parent, err := strconv.Atoi(f[1]); err == nil {
			children[parent] = append(children[parent], pid)
		}
	}
	list := slices.Clone(children[os.Getpid()])
	for i := 0; i < len(list); i++ {
		list = append(list, children[list[i]]...)
	}
	return list
}

// Processes lists all process ids of the host.
func Processes() []int {
	names, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var list []int
	for _, n := range names {
		if pid, err := strconv.Atoi(n.Name()); err == nil {
			list = append(list, pid)
		}
	}
	return list
}
