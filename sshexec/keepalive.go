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
		select {
		case err := <-answer:
			// Any answer will do: sshd says no to this request.
			if err != nil {
				return
			}
		case <-time.After(2 * interval):
			c.close(fmt.Errorf("no sign of life for %v", 3*interval))
			return
		case <-done:
			return
		}
	}
}
