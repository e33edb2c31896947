package sshexec

import (
	"log/slog"
	"net"
	"strconv"
	"time"
)

const (
	defaultConnectTimeout = 15 * time.Second
	defaultKeepAlive      = 5 * time.Second

	// authTimeout bounds the login once the host has proved who it is. It is
	// longer than the connect timeout: directory services are slow, and an
	// agent may wait for a touch or a confirmation.
	authTimeout = 30 * time.Second
)

// A Target says which host to reach.
type Target struct {
	Host string // name, address or alias, as one would give it to ssh
	User string // login name; empty: what the configuration says
	Port int    // TCP port, 1 to 65535; 0: what the configuration says
}

// String returns the target as ssh takes it: [user@]host[:port].
func (t Target) String() string {
	s := t.Host
	if t.Port != 0 {
		s = net.JoinHostPort(s, strconv.Itoa(t.Port))
	}
	if t.User != "" {
		s = t.User + "@" + s
	}
	return s
}

// Options are the same for all hosts of a job. The zero value, and a nil
// pointer, mean the defaults. Options must not change while a Host made with
// them is in use.
type Options struct {
	// ConfigFile is read instead of the user's and the system's ssh_config
	// (ssh -F). Empty: those two.
	ConfigFile string

	// SSH is the OpenSSH client asked for the configuration. Empty: ssh on
	// PATH. Where there is none, OpenSSH's defaults hold.
	SSH string

	// ConnectTimeout bounds the TCP connection and the key exchange with one
	// host. 0: ConnectTimeout of the configuration, else 15 seconds.
	ConnectTimeout time.Duration

	// KeepAlive is the time between two signs of life asked of a host, which
	// counts as dead when its kernel gave none for three times as long, or its
	// sshd for 25 times. 0: 5 seconds; negative: never ask.
	KeepAlive time.Duration

	// CacheDir is the directory on the remote host below which Install puts
	// the executable. Empty: gompirun in $XDG_CACHE_HOME or ~/.cache there.
	CacheDir string

	// Log gets what an operator may want to know. Nil: nothing is logged.
	Log *slog.Logger
}

func (o *Options) orDefault() *Options {
	var c Options
	if o != nil {
		c = *o
	}
	if c.KeepAlive == 0 {
		c.KeepAlive = defaultKeepAlive
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &c
}

// A HostError is what every error of this package comes as: it names the host
// and, where there is one, the remedy.
type HostError struct {
	Host string // as given in Target
	Err  error
	Hint string // what to do about it, often a command; may be empty
}

// Error returns one line, and the hint on a second, indented one.
func (e *HostError) Error() string {
	s := e.Host + ": " + e.Err.Error()
	if e.Hint != "" {
		s += "\n  " + e.Hint
	}
	return s
}

// Unwrap returns the cause.
func (e *HostError) Unwrap() error { return e.Err }
