package launcher

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/launcher/hosts"
)

// Exit statuses of gompirun itself. All others are the job's.
const (
	StatusUsage        = 2   // the command line is wrong
	StatusSlots        = 3   // the job does not fit on its hosts
	StatusCheckpointed = 75  // checkpointed and stopped on purpose
	StatusNoRestart    = 76  // a restart is impossible
	StatusTimeout      = 124 // the job ran longer than --timeout
	StatusFailed       = 125 // gompirun failed
	StatusNotExec      = 126 // the program cannot be executed
	StatusNotFound     = 127 // the program was not found
)

// A StatusError is an error that has a say in the exit status.
type StatusError struct {
	Status int
	Err    error
}

// Error implements error.
func (e *StatusError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *StatusError) Unwrap() error { return e.Err }

// ExitStatus is the status gompirun exits with after this error.
func (e *StatusError) ExitStatus() int { return e.Status }

func withStatus(status int, format string, args ...any) error {
	return &StatusError{status, fmt.Errorf(format, args...)}
}

// StatusOf returns the exit status for an error: what the error says itself,
// else StatusFailed.
func StatusOf(err error) int {
	var e interface{ ExitStatus() int }
	var slots *hosts.SlotsError
	var parse *hosts.ParseError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e.ExitStatus()
	case errors.As(err, &slots):
		return StatusSlots
	case errors.As(err, &parse):
		return StatusUsage
	}
	return StatusFailed
}

// statusOfWait is what a shell makes of the status of a process.
func statusOfWait(w unix.WaitStatus) int {
	if w.Signaled() {
		return 128 + int(w.Signal())
	}
	return w.ExitStatus()
}
