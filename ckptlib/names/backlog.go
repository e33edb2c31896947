package names

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"
)

// A backlog is what the notifier has of a listener: connections that it accepted
// and whose thread was interrupted before it got them. The next accept takes
// them. There are never more than threads that were interrupted at that moment.
type backlog struct {
	held []held
	// stuck is set while an accept of ours waits although the listener was
	// readable: somebody took the connection in between.
	stuck bool
}

// held is a connection and the thread for which it was accepted.
type held struct{ fd, tid int }

// close closes the connections of which drop is true.
func (b *backlog) close(drop func(held) bool) {
	b.held = slices.DeleteFunc(b.held, func(h held) bool {
		if drop(h) {
			unix.Close(h.fd)
			return true
		}
		return false
	})
}

func gone(tid int) bool { return errors.Is(unix.Kill(tid, 0), unix.ESRCH) }

// backlog is the listener's, made if there is none. The caller holds n.mu.
func (v *visit) backlog() *backlog {
	b := v.backlogs[v.id.cookie]
	if b == nil {
		b = &backlog{}
		v.backlogs[v.id.cookie] = b
	}
	return b
}

// tidy forgets a backlog that says nothing. The caller holds n.mu.
func (v *visit) tidy(b *backlog) {
	if len(b.held) == 0 && !b.stuck {
		delete(v.backlogs, v.id.cookie)
	}
}

// putDown ends the time that a connection is in hand. A thread that was killed
// might as well have been so right after accept: its connection is closed.
func (v *visit) putDown(conn int, delivered bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.inHand--
	if delivered || gone(v.tid) {
		unix.Close(conn)
		return
	}
	b := v.backlog()
	b.held = append(b.held, held{conn, v.tid})
}
