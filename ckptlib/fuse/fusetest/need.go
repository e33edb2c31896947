// Package fusetest is for tests that need file systems of package fuse.
package fusetest

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/fuse"
)

// Need skips a test where this user may have no file systems of his own. Where the
// device says that he may, the test fails instead.
func Need(t testing.TB) {
	t.Helper()
	err := fuse.Probe()
	switch {
	case err == nil:
	case unix.Access(fuse.Device, unix.R_OK|unix.W_OK) == nil:
		t.Fatalf("this host lets this user have file systems of his own (fuse), and here it fails: %v", err)
	default:
		t.Skipf("this host lets this user have no file systems of his own (fuse): %v", err)
	}
}
