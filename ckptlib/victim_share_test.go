package ckptlib_test

import "testing"

func TestProcessesAndThreadsShareWhatTheyShared(t *testing.T) {
	asUser(t)
	j := victim(t, "share")
	same := j.same("where", "files", "locks")
	before := j.unharmed()
	same("after the checkpoint")
	j.checkpoint()
	// Who reads what each has opened: the two children, the threads, the orphans
	// and the parent.
	j.want("files", "0:+-+-----+ 1:-+------- 2:+-+-----+ 3:---++---- 4:---++---- 5:-----+++- 6:-----+++- 7:-----+++- ")
	j.want("locks", "---++---")
	j.want("move", "moved")
	moved := "parent /proc 77 child /proc 77 child /proc 77 child /sys 27 child /proc 77 child /proc 77 child /proc 77 child /proc 77 child /proc 77 "
	j.want("where", moved)
	for range 2 {
		j.reborn(before)
		same("after the restart")
		j.checkpoint()
		j.want("move", "moved")
		j.want("where", moved)
	}
}
