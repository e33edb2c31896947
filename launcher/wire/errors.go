package wire

import (
	"context"
	"errors"
)

// Error is how an error crosses the wire. Kind is a word by which the other side
// can tell what to do about it; the empty one says nothing.
type Error struct {
	Kind string `json:"kind,omitempty"`
	Text string `json:"text"`
}

// Error implements error.
func (e *Error) Error() string { return e.Text }

// Kinds of errors.
const (
	KindRetry    = "retry"    // it passes by itself: let the job run and try again
	KindCanceled = "canceled" // the caller has given up
	KindMissing  = "missing"  // no such file
	KindNotExec  = "not-exec" // a file that cannot be executed
	KindBadDir   = "bad-dir"  // the working directory is at fault
	KindDamaged  = "damaged"  // a file of the checkpoint is
	KindUnknown  = "unknown"  // no such method
)

// ErrGone means that the other side has ended or cannot be reached any more.
// Errors that mean it wrap it.
var ErrGone = errors.New("the connection is gone")

// KindOf returns the kind of an error that came over the wire, or "".
func KindOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

// toError makes any error fit for the wire.
func toError(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return &Error{e.Kind, err.Error()}
	case errors.Is(err, context.Canceled):
		return &Error{KindCanceled, err.Error()}
	}
	return &Error{Text: err.Error()}
}
