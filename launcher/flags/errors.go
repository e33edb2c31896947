package flags

import "fmt"

// ExitUsage is the exit status for a command line that cannot be understood.
const ExitUsage = 2

// A UsageError says what is wrong with the command line, in one sentence that
// names the word at fault.
type UsageError struct {
	// Verb is the verb that was given, "run" where there was none.
	Verb Verb
	// Option is the option at fault as the user wrote it, empty where it is
	// no option.
	Option string
	// Reason is a clause without the option.
	Reason string
}

func (e *UsageError) Error() string {
	if e.Option == "" {
		return e.Reason
	}
	return e.Option + ": " + e.Reason
}

// ExitStatus is the status gompirun exits with after this error.
func (e *UsageError) ExitStatus() int { return ExitUsage }

func usagef(option, format string, args ...any) *UsageError {
	return &UsageError{Option: option, Reason: fmt.Sprintf(format, args...)}
}
