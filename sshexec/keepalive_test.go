package sshexec

import (
	"testing"
	"time"
)

func TestMissedTicksAreNoSilence(t *testing.T) {
	looks, answer, done := make(chan time.Time), make(chan error, 1), make(chan struct{})
	result := make(chan [2]bool)
	ask := func() {
		alive, silent := heard(looks, answer, done)
		result <- [2]bool{alive, silent}
	}
	go ask()
	for range silentLooks - 1 {
		looks <- time.Now() // after a stop there is one, however long it was
	}
	answer <- nil
	if got := <-result; got != [2]bool{true, false} {
		t.Errorf("an answer before the last look: alive, silent = %v, want true, false", got)
	}
	go ask()
	for range silentLooks {
		looks <- time.Now()
	}
	if got := <-result; got != [2]bool{false, true} {
		t.Errorf("no answer: alive, silent = %v, want false, true", got)
	}
	go ask()
	close(done)
	if got := <-result; got != [2]bool{false, false} {
		t.Errorf("the connection has ended: alive, silent = %v, want false, false", got)
	}
}
