package ckptlib_test

import (
	"strings"
	"testing"

	"github.com/gompirun/gompirun/ckptlib/internal/linux"
)

func TestProcessesGoOnWithoutTheirFirstThread(t *testing.T) {
	asUser(t)
	j := victim(t, "outlived")
	same := j.same("who", "children")
	before := j.unharmed()
	same("after the checkpoint")
	for range 2 {
		j.reborn(before)
		same("after the restart")
		j.want("signal", "handled")
		j.want("grow", "x")
		j.checkpoint() // of a process with a tracker, and by a copy
		same("after another checkpoint")
		before = j.visible()
	}
	j.want("end", "5 5 15")
	j.checkpoint()
	j.restart()
	j.want("signal", "handled")
}

func TestAProcessWithoutItsFirstThreadIsRefusedUnharmedByOldKernels(t *testing.T) {
	asUser(t)
	j := victim(t, "outlived")
	same := j.same("who", "children")
	before := j.settled()
	have := linux.ThreadPIDFDs
	linux.ThreadPIDFDs = func() bool { return false }
	got := j.refused()
	linux.ThreadPIDFDs = have
	if !strings.Contains(got, "(outlived)") || !strings.Contains(got, "Linux 6.9 is needed") {
		t.Errorf("the refusal is %q", got)
	}
	j.invisible("the refused checkpoint", before)
	same("after the refusal")
	j.unharmed()
}
