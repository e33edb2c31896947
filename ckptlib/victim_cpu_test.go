package ckptlib_test

import (
	"testing"
	"time"
)

// checkSleeps checks times in milliseconds of sleeps of 3000: some may be
// longer, by what was lost.
func checkSleeps(t *testing.T, answer string, most map[string]int64) {
	t.Helper()
	const slack = 1500 // other work on this host
	for _, name := range []string{"nanosleep", "sleep", "clock", "absolute", "cond", "null", "futex", "poll", "epoll", "sigtimedwait", "semtimedop"} {
		if ms := field(t, answer, name); ms < 2990 || ms > 3000+most[name]+slack {
			t.Errorf("%s took %d ms, want 3000 to %d", name, ms, 3000+most[name])
		}
	}
	if answer[len(answer)-3:] != " ok" {
		t.Errorf("slept = %q, want ok", answer)
	}
}

func TestSleepsEndWhenTheyShould(t *testing.T) {
	asUser(t)
	j := victim(t, "sleep")
	start := time.Now()
	time.Sleep(500 * time.Millisecond)
	j.checkpoint()
	time.Sleep(500 * time.Millisecond)
	j.checkpoint()
	lost := time.Since(start).Milliseconds()
	// What the kernel itself starts anew at each stop loses what had passed.
	anew := map[string]int64{"epoll": lost, "sigtimedwait": lost, "semtimedop": lost}
	checkSleeps(t, j.ask("slept"), anew)
	j.restart()
	// And of these nobody knows any more how much was left.
	anew["null"], anew["futex"], anew["poll"] = lost, lost, lost
	checkSleeps(t, j.ask("slept"), anew)
}

func TestRegistersAreKept(t *testing.T) {
	asUser(t)
	j := victim(t, "registers")
	t.Logf("kinds: %s", j.ask("kinds"))
	j.checkpoint()
	j.checkpoint()
	j.want("check", "ok")
	j.restart()
	j.checkpoint()
	j.want("check", "ok")
	j.restart()
	j.want("check", "ok")
}

func TestRestartableSequenceIsAborted(t *testing.T) {
	asUser(t)
	j := victim(t, "rseq")
	j.want("registered", "1")
	j.checkpoint() // most likely in the middle of a sequence
	for i := range 4 {
		before := field(t, j.ask("entries"), "entries")
		j.checkpoint()
		if i%2 == 1 {
			j.restart()
		}
		for end := time.Now().Add(5 * time.Second); field(t, j.ask("entries"), "entries") <= before; {
			if time.Now().After(end) {
				t.Fatalf("the sequence goes on in the middle of itself: %d entries", before)
			}
		}
	}
}
