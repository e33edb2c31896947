package ckptlib_test

import "testing"

func TestThreadsInEveryKindOfWaitGoOn(t *testing.T) {
	asUser(t)
	j := victim(t, "threads")
	who := j.same("who")
	before := j.unharmed()
	who("after the checkpoint")
	j.checkpoint()
	j.want("wake", "ok")
	j.reborn(before)
	who("after the restart")
	j.checkpoint()
	j.want("wake", "ok")
	j.reborn(before)
	j.want("wake", "ok")
}
