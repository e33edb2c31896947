package ckptlib_test

import "testing"

func TestMessageQueuesKeepTheirMessages(t *testing.T) {
	asUser(t)
	j := victim(t, "sysv")
	same := j.same("queues", "values")
	j.unharmed()
	same("after the checkpoint")
	j.checkpoint()
	messages := j.ask("take")
	if want := "1:0:- 1:7:e | 3:5:a 3:1:c 2:3000:d | 1099511627776:8192:f 1:8192:g "; messages != want {
		t.Fatalf("the queues held %q, want %q", messages, want)
	}
	for range 2 {
		j.restart()
		same("after the restart")
		j.want("wake", "y")
		j.want("wake", "y")
		j.restart()
		j.checkpoint()
		j.want("take", messages)
	}
}

func TestEndsOfProcessesUndoSemaphores(t *testing.T) {
	asUser(t)
	j := victim(t, "sysv")
	j.checkpoint()
	j.checkpoint()
	end := func(when string) {
		t.Helper()
		// What the first owes is undone as far as the values allow.
		for _, q := range [][2]string{
			{"values", "0 2772 32767 0 9 2"}, {"end0", "ended"}, {"values", "1 32767 0 0 0 2"},
			{"end1", "ended"}, {"values", "1 32762 0 0 0 0"},
		} {
			if got := j.ask(q[0]); got != q[1] {
				t.Errorf("%s, ask(%q) = %q, want %q", when, q[0], got, q[1])
			}
		}
	}
	end("after two checkpoints")
	for range 2 {
		j.restart()
		j.checkpoint() // the adjustments of a restored process are found again
		end("after a restart and a checkpoint")
	}
	j.restart()
	end("after a restart")
}
