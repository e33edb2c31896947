package ckptlib_test

import (
	"strings"
	"testing"
	"time"
)

// during asks a question and makes checkpoints, one every 200 ms, until it is
// answered.
func (j *job) during(question string, checkpoint func()) (answer string, n int) {
	j.t.Helper()
	if _, err := j.in.WriteString(question + "\n"); err != nil {
		j.t.Fatal(err)
	}
	got := make(chan string, 1)
	go func() {
		s, _ := j.out.ReadString('\n')
		got <- strings.TrimSuffix(s, "\n")
	}()
	for tick := time.NewTicker(200 * time.Millisecond); ; n++ {
		select {
		case s := <-got:
			tick.Stop()
			return s, n
		case <-tick.C:
		}
		if n == 75 {
			j.t.Fatalf("%q was not answered during %d checkpoints in 15 s", question, n)
		}
		checkpoint()
	}
}

// checkLimits checks times in milliseconds of waits with a limit of 1000: they
// may be longer by what had passed before the first interruption.
func checkLimits(t *testing.T, answer string, n int, names ...string) {
	t.Helper()
	t.Logf("%d checkpoints: %s", n, answer)
	const slack = 1500 // other work on this host
	for _, name := range names {
		if ms := field(t, answer, name); ms < 990 || ms > 1400+slack {
			t.Errorf("%s took %d ms, want 1000 to 1400", name, ms)
		}
	}
	if !strings.HasSuffix(answer, " ok") {
		t.Errorf("the waits ended with %q, want ok", answer)
	}
	if n < 4 {
		t.Errorf("%d checkpoints met the waits, which is too few to tell", n)
	}
}

var limits = []string{"epoll_wait", "epoll_pwait", "epoll_pwait2", "recv", "read", "write", "accept", "sigtimedwait", "semtimedop"}

func TestTimeLimitsHoldUnderFrequentCheckpoints(t *testing.T) {
	asUser(t)
	j := victim(t, "limits")
	answer, n := j.during("wait", j.checkpoint)
	checkLimits(t, answer, n, limits...)
	if got, n := j.during("loop", j.checkpoint); got != "late=0" {
		t.Errorf("after %d checkpoints, loop = %q: a wait ended by the time of the one before it", n, got)
	}
	if _, err := j.in.WriteString("wait\n"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	j.checkpoint()
	j.restart()
	// The question is not asked again: the restarted program is in the middle of it.
	answer, n = j.during("", j.checkpoint)
	checkLimits(t, answer, n, limits...)
	if got, n := j.during("loop", j.checkpoint); got != "late=0" {
		t.Errorf("after the restart and %d checkpoints, loop = %q", n, got)
	}
}

// A program with a context of io_setup(2) cannot be checkpointed, and must not be
// harmed by attempts.
func TestTimeLimitHoldsUnderFrequentAttempts(t *testing.T) {
	asUser(t)
	j := victim(t, "limits", "aio")
	answer, n := j.during("wait", func() { j.refused() })
	checkLimits(t, answer, n, "io_getevents")
}
