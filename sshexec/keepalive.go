package sshexec

import (
	"fmt"
	"time"
)

// keepAlive asks the host for a sign of life each interval, until done is
// closed, and closes the connection when one took two intervals: so a network
// that died is noticed within three. TCP alone would wait for a quarter of an
// hour (net.ipv4.tcp_retries2), or for ever if nothing is being sent.
func (c *conn) keepAlive(interval time.Duration, done <-chan struct{}, ping func() error) {
	for {
		select {
		case <-time.After(interval):
		case <-done:
			return
		}
		// On its own goroutine, since sending blocks too once the socket's
		// buffer is full. Closing the connection ends it.
		answer := make(chan error, 1)
		go func() { answer <- ping() }()
		looks := time.NewTicker(2 * interval / silentLooks)
		alive, silent := heard(looks.C, answer, done)
		looks.Stop()
		if silent {
			c.close(fmt.Errorf("no sign of life for %v", 3*interval))
		}
		if !alive {
			return
		}
	}
}

// silentLooks is how often an answer is looked for before a host counts as dead.
const silentLooks = 20

// heard waits for an answer. A process that did not run for a while, because the
// user stopped it or the machine has too much to do, must not take that for the
// host's silence: a time.Ticker keeps one tick for those that were missed, and
// between two of them there is time to read what has come meanwhile.
func heard(looks <-chan time.Time, answer <-chan error, done <-chan struct{}) (alive, silent bool) {
	for range silentLooks {
		select {
		case err := <-answer:
			// Any answer will do: sshd says no to this request.
			return err == nil, false
		case <-done:
			return false, false
		case <-looks:
		}
	}
	return false, true
}
