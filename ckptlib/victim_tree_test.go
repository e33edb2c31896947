package ckptlib_test

import (
	"slices"
	"strings"
	"testing"
)

// family asks for the ids of all members, in a fixed order.
func family(j *job) string {
	j.t.Helper()
	head, list, _ := strings.Cut(j.ask("ids"), ": ")
	l := strings.Split(strings.TrimSuffix(list, ";"), ";")
	slices.Sort(l)
	return head + ": " + strings.Join(l, "; ")
}

func TestFamilyIsTheSameAfterARestart(t *testing.T) {
	asUser(t)
	j := victim(t, "tree")
	first := family(j)
	t.Log(first)
	before := j.unharmed()
	if got := family(j); got != first {
		t.Errorf("after the checkpoint the family is\n%s\nwant\n%s", got, first)
	}
	ends := j.ask("reap")
	t.Log(ends)
	for range 2 {
		j.reborn(before)
		if got := family(j); got != first {
			t.Errorf("after the restart the family is\n%s\nwant\n%s", got, first)
		}
		j.checkpoint()
		j.want("reap", ends)
	}
}

func TestSignalsAreKept(t *testing.T) {
	asUser(t)
	j := victim(t, "signals")
	same := j.same("actions", "pending", "stopped")
	before := j.unharmed()
	same("after the checkpoint")
	j.checkpoint()
	taken := j.ask("take")
	t.Log(taken)
	for range 2 {
		j.reborn(before)
		same("after the restart")
		j.checkpoint()
		j.want("take", taken)
	}
}
