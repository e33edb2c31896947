package ckptlib_test

import "testing"

func TestSemaphoresAndMutexesBetweenProcesses(t *testing.T) {
	asUser(t)
	j := victim(t, "posixipc")
	j.unharmed()
	j.checkpoint()
	j.want("wake", "scd held 1")
	for range 2 {
		j.restart()
		j.checkpoint()
		j.want("wake", "scd held 1")
	}
}
