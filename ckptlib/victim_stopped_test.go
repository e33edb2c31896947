package ckptlib_test

import "testing"

func TestStoppedJobsStayStoppedAndContinue(t *testing.T) {
	asUser(t)
	j := victim(t, "stopped")
	j.want("ask", "ok")
	for i := range 8 {
		j.want("stop", "stopped")
		for range i % 3 {
			j.checkpoint()
		}
		if i%4 > 1 {
			j.checkpoint()
			j.restart()
		}
		if i%4 > 2 {
			j.checkpoint()
		}
		j.want("states", "TTT")
		j.want("continue", "continued")
		j.want("ask", "ok")
		j.checkpoint()
		j.want("ask", "ok")
	}
}

func TestCheckpointsInAStormOfStops(t *testing.T) {
	asUser(t)
	j := victim(t, "stopped")
	for i := range 6 {
		j.want("storm", "storm")
		for range 3 {
			j.checkpoint()
		}
		if i%2 == 1 {
			j.restart()
		}
		j.want("calm", "calm")
		j.want("ask", "ok")
	}
}
