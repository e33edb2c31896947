package kobj

import "golang.org/x/sys/unix"

// refuseUrgent refuses a stream with an out-of-band byte (MSG_OOB) that has not
// been read: nobody can look behind it without taking it.
func refuseUrgent(s *Source) error {
	p := []unix.PollFd{{Fd: int32(s.FD), Events: unix.POLLPRI}}
	if n, err := unix.Poll(p, 0); err != nil || n == 0 || p[0].Revents&unix.POLLPRI == 0 {
		return nil
	}
	return &RetryError{
		Source: s.String(), Reason: "has an out-of-band byte (MSG_OOB) that it has not read",
		Hint: "have the program read it",
	}
}
