package conn

import (
	"fmt"
	"strings"
)

// ID names one end of a connection inside the job: the connection's name, and
// whether it is the end that dials at a restart. In text, as JSON has it, it is
// the name followed by "#dial" or "#accept".
type ID struct {
	Name   string
	Dialer bool
}

// Peer returns the other end of the same connection.
func (id ID) Peer() ID { return ID{id.Name, !id.Dialer} }

// String returns the text form.
func (id ID) String() string {
	if id.Dialer {
		return id.Name + "#dial"
	}
	return id.Name + "#accept"
}

// MarshalText returns the text form.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText accepts what MarshalText returns.
func (id *ID) UnmarshalText(b []byte) error {
	name, end, ok := strings.Cut(string(b), "#")
	if !ok || (end != "dial" && end != "accept") {
		return fmt.Errorf("%q names no end of a connection: it must end in #dial or #accept", b)
	}
	*id = ID{name, end == "dial"}
	return nil
}
