package ckptlib_test

import "testing"

func TestDeletedFilesMappedSharedStayOneFile(t *testing.T) {
	asUser(t)
	j := victim(t, "ghost")
	same := j.same("content")
	j.unharmed()
	same("after the checkpoint")
	for range 2 {
		j.restart()
		same("after the restart")
		j.want("one file", "written mapped cp")
		j.checkpoint()
		same = j.same("content")
	}
}
