package kobj

// UnsupportedError says that an object cannot be checkpointed.
type UnsupportedError struct {
	Source string
	// Hint is the remedy, a sentence, or "".
	Hint string
}

func (e *UnsupportedError) Error() string {
	s := e.Source + " cannot be checkpointed"
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// RetryError says that an object is in a state that passes by itself and cannot
// be captured: the job should run on for a few milliseconds before the
// checkpoint is tried again.
type RetryError struct {
	Source string // the process and its descriptor
	Reason string // what is in the way, after "it"
	Hint   string // what to do if it does not pass, a sentence
}

func (e *RetryError) Error() string {
	return e.Source + " cannot be checkpointed at this moment: it " + e.Reason + "; " + e.Hint
}
