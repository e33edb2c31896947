package hosts

import (
	"fmt"
	"net/netip"
	"strings"
)

// Limits beyond which a typing error is more likely than a machine.
const (
	// MaxSlots is the largest number of slots one host may have.
	MaxSlots = 1 << 20
	// MaxHosts is the largest number of hosts one list may name.
	MaxHosts = 1 << 16
)

// A Host is one machine of a job.
type Host struct {
	// Name is a host name or a numeric address; IPv6 addresses are without
	// brackets. It never starts with a dash.
	Name string
	// User is the name to log in as, empty for the default.
	User string
	// Port is the port of the SSH server, 0 for the default.
	Port int
	// Slots is how many ranks the host takes before it is oversubscribed,
	// 1 or more.
	Slots int
	// Max is how many ranks the host takes at most even when
	// oversubscribing is allowed, 0 for no limit.
	Max int
	// SlotsGiven tells whether the user wrote the number of slots. Where it
	// is false, Slots counts how often the host was named.
	SlotsGiven bool
}

// String gives the host as one word of a -host list, which ParseList reads
// back to the same host but for Port and Max, which lists cannot express.
func (h Host) String() string {
	var b strings.Builder
	if h.User != "" {
		b.WriteString(h.User + "@")
	}
	if strings.Contains(h.Name, ":") {
		b.WriteString("[" + h.Name + "]")
	} else {
		b.WriteString(h.Name)
	}
	if h.SlotsGiven {
		fmt.Fprintf(&b, ":%d", h.Slots)
	}
	return b.String()
}

// Local tells whether the name means this machine whatever machine this is:
// localhost or a loopback address.
func (h Host) Local() bool {
	if strings.EqualFold(h.Name, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(h.Name)
	return err == nil && a.IsLoopback()
}

// A ParseError says which word of which source is wrong, and why.
type ParseError struct {
	// Source is the file, the option or the variable that holds the word.
	Source string
	// Line counts from 1; it is 0 where the source has no lines.
	Line int
	// Word is the offending word as the user wrote it.
	Word string
	// Reason is a clause that says what is wrong and what would be right.
	Reason string
}

func (e *ParseError) Error() string {
	at := e.Source
	if e.Line > 0 {
		at = fmt.Sprintf("%s:%d", e.Source, e.Line)
	}
	if e.Word == "" {
		return at + ": " + e.Reason
	}
	return fmt.Sprintf("%s: %q: %s", at, e.Word, e.Reason)
}

// merge adds the slots of hosts with the same name together, in the order in
// which they were first named. Two users or two ports for one host are an
// error: a host has one pod, started over one connection.
func merge(list []mention) ([]Host, error) {
	var out []Host
	at := make(map[string]int, len(list))
	for _, m := range list {
		i, again := at[m.Name]
		if !again {
			at[m.Name] = len(out)
			out = append(out, m.Host)
			continue
		}
		h := &out[i]
		switch {
		case m.User != "" && h.User != "" && m.User != h.User:
			return nil, m.fail(fmt.Sprintf("host %s has user %s above; a host has one user", h.Name, h.User))
		case m.Port != 0 && h.Port != 0 && m.Port != h.Port:
			return nil, m.fail(fmt.Sprintf("host %s has port %d above; a host has one port", h.Name, h.Port))
		case h.Slots+m.Slots > MaxSlots:
			return nil, m.fail(fmt.Sprintf("host %s has more than %d slots in all", h.Name, MaxSlots))
		}
		if h.User == "" {
			h.User = m.User
		}
		if h.Port == 0 {
			h.Port = m.Port
		}
		if (h.Max == 0) != (m.Max == 0) {
			h.Max = 0
		} else {
			h.Max += m.Max
		}
		h.Slots += m.Slots
		h.SlotsGiven = h.SlotsGiven || m.SlotsGiven
	}
	return out, nil
}

// A mention is a host together with the place where it was named.
type mention struct {
	Host
	source string
	line   int
	word   string
}

func (m mention) fail(reason string) error {
	return &ParseError{Source: m.source, Line: m.line, Word: m.word, Reason: reason}
}
