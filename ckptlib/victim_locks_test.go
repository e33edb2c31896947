package ckptlib_test

import (
	"strings"
	"testing"
)

func TestFileLocksAreHeldAndWaitedFor(t *testing.T) {
	asUser(t)
	for name, args := range map[string][]string{"disk": {t.TempDir()}, "private tmpfs": {"/dev/shm", "no lease"}} {
		t.Run(name, func(t *testing.T) {
			j := victim(t, "locks", args...)
			same := j.same("held")
			before := j.unharmed()
			same("after the checkpoint")
			j.checkpoint()
			for i := range 3 {
				if len(args) == 1 {
					j.want("break", "kept out, told of 61")
				}
				j.want("release", "pof")
				if i == 2 {
					break
				}
				j.reborn(before)
				same("after the restart")
				j.checkpoint()
			}
		})
	}
}

func TestALeaseOnAFileInMemoryIsRefusedUnharmed(t *testing.T) {
	asUser(t)
	j := victim(t, "locks", "/dev/shm")
	same := j.same("held")
	before := j.settled()
	for range 2 {
		if got := j.refused(); !strings.Contains(got, "fd 61 (/dev/shm/lease)") || !strings.Contains(got, "give it up") {
			t.Errorf("the refusal is %q", got)
		}
	}
	j.invisible("the refused checkpoint", before)
	same("after the refused checkpoint")
	j.want("break", "kept out, told of 61")
	j.checkpoint()
	j.restart()
	j.want("release", "pof")
}
