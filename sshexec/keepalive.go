package sshexec

import (
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// hungAfter is how many intervals a host may keep silent whose kernel
// acknowledges what it is sent. Its processes live, but with 64 ranks on each
// processor sshd has been seen to get none for 15 seconds.
const hungAfter = 25

// keepAlive asks the host for a sign of life each interval, until done is
// closed, and closes the connection when one took two intervals: so a network
// that died is noticed within three. TCP alone would wait for a quarter of an
// hour (net.ipv4.tcp_retries2), or for ever if nothing is being sent.
func (c *conn) keepAlive(interval time.Duration, done <-chan struct{}, ping func() error) {
	c.probe(interval)
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
		alive, silent, passed := false, true, 1
		for silent && (passed == 1 || passed < hungAfter && c.acknowledged(interval)) {
			looks := time.NewTicker(2 * interval / silentLooks)
			alive, silent = heard(looks.C, answer, done)
			looks.Stop()
			passed += 2
		}
		if silent {
			c.close(fmt.Errorf("no sign of life for %v", time.Duration(passed)*interval))
		}
		if !alive {
			return
		}
	}
}

// probe has the kernel ask the host's kernel for a sign of life while all that was
// sent is acknowledged. The connection ends when none came for three intervals, or
// three seconds, since the kernel counts in those.
func (c *conn) probe(interval time.Duration) {
	if tcp, ok := c.tcp.(*net.TCPConn); ok {
		interval = max(interval, time.Second)
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: interval, Interval: interval, Count: 2})
	}
}

// acknowledged tells whether the host's kernel has taken in all that was sent, or
// some of it within the last interval. It is false where the connection is not a
// TCP connection of our own.
func (c *conn) acknowledged(interval time.Duration) bool {
	tcp, ok := c.tcp.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	var info *unix.TCPInfo
	if e := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }); e != nil || err != nil {
		return false
	}
	return info.Unacked == 0 || time.Duration(info.Last_ack_recv)*time.Millisecond < interval
}

// silentLooks is how often an answer is looked for in two intervals.
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
