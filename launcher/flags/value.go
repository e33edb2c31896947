package flags

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// maxDuration bounds intervals and timeouts: a year is surely a slip.
const maxDuration = 366 * 24 * time.Hour

// ParseDuration reads a time as people write it: 10m, 1h30m, 0.2s, 2d, or a
// bare number of seconds. It is never negative, and a year at most.
func ParseDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf("%q is no time; write 90s, 10m, 1h30m or a number of seconds", s)
	if s == "" || strings.ContainsAny(s, "+- ") {
		return 0, bad
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		number, unit := s, time.Second
		if n, ok := strings.CutSuffix(s, "d"); ok {
			number, unit = n, 24*time.Hour
		}
		f, err := strconv.ParseFloat(number, 64)
		if err != nil || math.IsNaN(f) || strings.ContainsAny(number, "xXpP_") {
			return 0, bad
		}
		if f*float64(unit) > float64(maxDuration) {
			d = maxDuration + 1
		} else {
			d = time.Duration(f * float64(unit))
		}
	}
	if d > maxDuration {
		return 0, fmt.Errorf("%q is longer than a year", s)
	}
	return d, nil
}

// signals that may ask for a checkpoint. Those that the kernel raises for a
// fault, that stop, and that nobody can catch are left out.
var signals = map[string]syscall.Signal{
	"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "QUIT": syscall.SIGQUIT, "USR1": syscall.SIGUSR1,
	"USR2": syscall.SIGUSR2, "ALRM": syscall.SIGALRM, "TERM": syscall.SIGTERM, "XCPU": syscall.SIGXCPU,
	"PWR": syscall.SIGPWR,
}

// parseSignals reads a list such as TERM,SIGUSR1,15 or the word none.
func parseSignals(s string) ([]syscall.Signal, error) {
	out := []syscall.Signal{}
	if strings.EqualFold(s, "none") {
		return out, nil
	}
	seen := make(map[syscall.Signal]bool)
	for _, word := range strings.Split(s, ",") {
		sig, ok := signals[strings.TrimPrefix(strings.ToUpper(word), "SIG")]
		if n, err := strconv.Atoi(word); err == nil {
			for _, known := range signals {
				if known == syscall.Signal(n) {
					sig, ok = known, true
				}
			}
		}
		if !ok {
			return nil, fmt.Errorf("%q is no signal that can ask for a checkpoint; HUP, INT, QUIT, USR1, USR2, ALRM, TERM, XCPU and PWR can", word)
		}
		if !seen[sig] {
			out = append(out, sig)
		}
		seen[sig] = true
	}
	return out, nil
}

// parseCount reads a number of things, of which there is one at least.
func parseCount(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 1<<20 || strings.HasPrefix(s, "+") {
		return 0, fmt.Errorf("%q is not a whole number from 1 to %d", s, 1<<20)
	}
	return n, nil
}

// oneOf matches a word against the choices without regard to case.
func oneOf[T ~string](s string, choices ...T) (T, error) {
	var names []string
	for _, c := range choices {
		if strings.EqualFold(s, string(c)) {
			return c, nil
		}
		names = append(names, string(c))
	}
	return "", fmt.Errorf("%q is none of %s", s, strings.Join(names, ", "))
}

// checkEnvName refuses names that no shell can set and that would break the
// NAME=VALUE form the kernel passes on.
func checkEnvName(s string) error {
	if s == "" {
		return fmt.Errorf("the name of the variable is missing")
	}
	if strings.ContainsAny(s, "=\x00 \t\n") {
		return fmt.Errorf("%q is no name of a variable", s)
	}
	return nil
}
