package clustertest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// instancePrefix begins the names of clusters that belong to tests; the number of the test's process follows.
const instancePrefix = "test-"

// sweep removes the clusters of test binaries that are no more: one that ran into its timeout, or was killed, had
// no chance to do it.
func sweep(script string) error {
	base, err := lockBase()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for clusters that were left behind: %w", err)
	}
	defer base.Close()
	return sweepLocked(script, base)
}

// lockBase keeps other sweeps away until the caller closes the file: go test runs packages side by side, and two
// downs of one cluster would trip over each other.
func lockBase() (*os.File, error) {
	base, err := os.Open(baseDir())
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(base.Fd()), unix.LOCK_EX); err != nil {
		base.Close()
		return nil, fmt.Errorf("locking %s: %w", base.Name(), err)
	}
	return base, nil
}

// sweepLocked is sweep under the lock.
func sweepLocked(script string, base *os.File) error {
	entries, err := base.ReadDir(-1)
	if err != nil {
		return fmt.Errorf("looking for clusters that were left behind: %w", err)
	}
	for _, entry := range entries {
		if !orphaned(entry.Name()) {
			continue
		}
		if err := run(scriptCommand(script, entry.Name(), "down")); err != nil {
			return fmt.Errorf("removing cluster %s, which was left behind: %w", entry.Name(), err)
		}
	}
	return nil
}

// orphaned says whether the instance belongs to a test whose process has ended.
func orphaned(instance string) bool {
	rest, ok := strings.CutPrefix(instance, instancePrefix)
	if !ok {
		return false
	}
	number, _, _ := strings.Cut(rest, "-")
	pid, err := strconv.Atoi(number)
	return err == nil && pid > 0 && syscall.Kill(pid, 0) == syscall.ESRCH
}
