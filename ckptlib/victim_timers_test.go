package ckptlib_test

import (
	"testing"
	"time"
)

// rises waits until both repeating timers have expired more often.
func rises(j *job) {
	j.t.Helper()
	first := j.ask("counts")
	for end := time.Now().Add(10 * time.Second); ; {
		got := j.ask("counts")
		if field(j.t, got, "real") > field(j.t, first, "real")+2 && field(j.t, got, "fired") > field(j.t, first, "fired")+2 {
			return
		}
		if time.Now().After(end) {
			j.t.Fatalf("timers stand still: %q, then %q", first, got)
		}
	}
}

func TestTimersGoOn(t *testing.T) {
	asUser(t)
	j := victim(t, "timers")
	ids := j.same("ids", "use")
	rises(j)
	left, clock, began := j.ask("left"), j.ask("clock"), time.Now()
	before := j.unharmed()
	rises(j)
	ids("after the checkpoint")
	used := time.Since(began).Milliseconds()
	const dead = 2 * time.Second
	time.Sleep(dead)
	for range 2 {
		again := time.Now()
		j.reborn(before)
		rises(j)
		ids("after the restart")
		now := j.ask("left")
		used += time.Since(again).Milliseconds() + 50
		for _, name := range []string{"none", "oneshot", "realtime", "cpu", "virtual", "prof"} {
			was, is := field(t, left, name), field(t, now, name)
			const tick = 10 // of the clocks that count the processor's time
			if is > was+tick || is < was-used {
				t.Errorf("timer %s had %d ms left and has %d, %d ms later", name, was, is, used)
			}
		}
		t.Log(clock, j.ask("clock"))
		for _, name := range []string{"mono", "boot"} {
			was, is := field(t, clock, name), field(t, j.ask("clock"), name)
			if is < was || is > was+used+200 {
				t.Errorf("clock %s was %d and is %d, %d ms later", name, was, is, used)
			}
		}
		before = j.unharmed()
	}
}
