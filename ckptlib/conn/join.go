package conn

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Plan says how one end in this pod is made anew.
type Plan struct {
	ID ID `json:"id"`
	// Family is AF_INET or AF_INET6: that of this end's socket.
	Family int `json:"family"`
	// Peer is where a dialer finds the joiner of the other end's pod: Addrs.For
	// of that end's family. It is not used for an end that accepts.
	Peer netip.AddrPort `json:"peer"`
	// Room is the number of bytes that Refill will put into this end's receive
	// queue. It is best known before the first byte arrives: see makeRoom.
	Room int `json:"room,omitempty"`
	// About says what the connection is, for messages: its old addresses, its
	// processes. It may be "".
	About string `json:"about,omitempty"`
}

func (p Plan) String() string {
	s := "connection " + p.ID.String()
	if p.About != "" {
		s += " (" + p.About + ")"
	}
	if p.ID.Dialer {
		return s + " to " + p.Peer.String()
	}
	return s
}

// maxDialing is the number of connections that a joiner makes at once, far below
// net.core.somaxconn (4096) even if several pods dial the same one.
const maxDialing = 256

// attemptTime is how long one attempt of a dialer may take, and how long a
// stranger who connects is borne.
const attemptTime = 10 * time.Second

// Join makes the connections of the plan anew: it dials those that this pod
// dials, and accepts the others, with both ends of a connection in this pod if
// the plan has both. The sockets are the caller's; they are blocking and
// close-on-exec, as socket(2) makes them with SOCK_CLOEXEC, and have nothing in
// their queues. All agents call it at about the same time with the same token,
// which is a secret of one restart. Connections from elsewhere are dropped.
//
// It returns when all connections are made, or with an error that names what is
// missing when ctx ends, which should have a deadline; then all are closed.
func (j *Joiner) Join(ctx context.Context, plan []Plan, token [32]byte) (map[ID]int, error) {
	jn := &joining{secret: secret(token), joined: map[ID]int{}, expected: map[string]Plan{}, slots: map[int32]*slot{}}
	defer jn.close()
	if err := jn.begin(plan, j.listeners); err != nil {
		return nil, err
	}
	for len(jn.joined) < len(plan) {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", jn.missing(plan), context.Cause(ctx))
		}
		if err := jn.turn(); err != nil {
			return nil, err
		}
	}
	for id, fd := range jn.joined {
		if err := unix.SetNonblock(fd, false); err != nil {
			return nil, fmt.Errorf("make the socket of connection %s blocking: %w", id, err)
		}
	}
	fds := jn.joined
	jn.joined = nil
	return fds, nil
}

// joining is the state of one Join: an epoll loop over listeners, dialers and
// those who have been accepted.
type joining struct {
	secret   secret
	ep       int
	joined   map[ID]int
	expected map[string]Plan // ends that accept, by the hash of the name
	waiting  []*slot         // dialers whose time has not come
	slots    map[int32]*slot // by descriptor
	accepted int             // slots of somebody who has not proved himself
	swept    time.Time
}

func (jn *joining) begin(plan []Plan, listeners []int) (err error) {
	if jn.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("make an epoll set: %w", err)
	}
	seen := map[ID]bool{}
	for _, p := range plan {
		if seen[p.ID] {
			return fmt.Errorf("%s is in the plan twice", p)
		}
		seen[p.ID] = true
		if p.ID.Dialer {
			if !p.Peer.IsValid() {
				return fmt.Errorf("%s: the other end's host has no address of its family: restart it on a host with IPv4 and IPv6", p)
			}
			if p.Family == unix.AF_INET && !p.Peer.Addr().Unmap().Is4() {
				return fmt.Errorf("%s: an IPv4 socket cannot reach an IPv6 address: restart it on hosts that have IPv4", p)
			}
			jn.waiting = append(jn.waiting, &slot{fd: -1, plan: p})
			continue
		}
		sum := sha256.Sum256([]byte(p.ID.Name))
		jn.expected[string(sum[:])] = p
	}
	for _, fd := range listeners {
		if err := jn.watch(&slot{fd: fd, do: jn.accept}, unix.EPOLLIN); err != nil {
			return err
		}
	}
	return nil
}

// turn starts the dialers whose time has come, and serves one wakeup.
func (jn *joining) turn() error {
	now := time.Now()
	if now.Sub(jn.swept) > tick {
		jn.swept = now
		for _, s := range jn.slots {
			if !s.deadline.IsZero() && now.After(s.deadline) {
				jn.drop(s, errors.New("no answer"))
			}
		}
	}
	dialing := len(jn.slots) - jn.accepted
	jn.waiting = slices.DeleteFunc(jn.waiting, func(s *slot) bool {
		if dialing >= maxDialing || now.Before(s.next) {
			return false
		}
		dialing++
		jn.dial(s)
		return s.fd >= 0
	})
	var events [256]unix.EpollEvent
	n, err := unix.EpollWait(jn.ep, events[:], int(tick/time.Millisecond)/5)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for connections: %w", err)
	}
	for _, ev := range events[:max(n, 0)] {
		if s := jn.slots[ev.Fd]; s != nil {
			if err := s.do(s); err != nil {
				jn.drop(s, err)
			}
		}
	}
	return nil
}

func (jn *joining) missing(plan []Plan) error {
	var names []string
	for _, p := range plan {
		if _, ok := jn.joined[p.ID]; ok {
			continue
		}
		s := p.String()
		for _, w := range jn.waiting {
			if w.plan.ID == p.ID && w.err != nil {
				s += ": " + w.err.Error()
			}
		}
		if names = append(names, s); len(names) == 3 {
			break
		}
	}
	return fmt.Errorf("join %d of %d connections: %s (a firewall between the hosts must let their ephemeral ports through)",
		len(plan)-len(jn.joined), len(plan), strings.Join(names, "; "))
}

// close ends what is not finished.
func (jn *joining) close() {
	for _, s := range jn.slots {
		if s.do != nil && !s.deadline.IsZero() { // listeners have none and are the Joiner's
			_ = unix.Close(s.fd)
		}
	}
	for _, fd := range jn.joined {
		_ = unix.Close(fd)
	}
	_ = unix.Close(jn.ep)
}
