package conn

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// drainAll runs the drains of pods as agents and coordinator do, until nothing
// is pending.
func drainAll(t testing.TB, pods ...*Drainer) error {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		total := 0
		for _, d := range pods {
			stuck, pending, err := d.Poll()
			if err != nil {
				return err
			}
			total += pending
			for _, id := range stuck {
				for _, other := range pods {
					if other.ends[id.Peer()] != nil {
						if err := other.Read([]ID{id.Peer()}); err != nil {
							return err
						}
					}
				}
			}
		}
		if total == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d ends are still pending after half a minute", total)
		}
	}
}

// settle empties both ends of a connection, as agents and coordinator do.
func settle(t testing.TB, a *Drainer, ida ID, b *Drainer, idb ID) {
	t.Helper()
	for quiet := 0; quiet < 2; {
		na, err := a.Settle([]ID{ida})
		if err != nil {
			t.Fatal(err)
		}
		nb, err := b.Settle([]ID{idb})
		if err != nil {
			t.Fatal(err)
		}
		if quiet++; na+nb > 0 {
			quiet = 0
		}
	}
}

func drained(fd, peer int) (a, b *Drainer, ida ID) {
	a, b, ida = &Drainer{}, &Drainer{}, ID{"x", true}
	a.Add(ida, fd)
	b.Add(ida.Peer(), peer)
	return a, b, ida
}

// TestFullConnectionsAreDrainedAndPutBack fills a connection in both directions
// until neither end can send, as an all-to-all of large messages does.
func TestFullConnectionsAreDrainedAndPutBack(t *testing.T) {
	fd, peer := connection(t)
	fullAreDrainedAndPutBack(t, fd, peer, func() {})
}

// A buffer that its program has made small holds more than it would take again, and a
// small part of a segment at a time.
func TestFullConnectionsWithSmallBuffersAreDrainedAndPutBack(t *testing.T) {
	const small = 4 << 10
	fd, peer := connection(t)
	set := func(name int) {
		for _, s := range []int{fd, peer} {
			if err := unix.SetsockoptInt(s, unix.SOL_SOCKET, name, small); err != nil {
				t.Fatal(err)
			}
		}
	}
	set(unix.SO_SNDBUF)
	fullAreDrainedAndPutBack(t, fd, peer, func() { set(unix.SO_RCVBUF) })
	for _, s := range []int{fd, peer} {
		for _, b := range buffers {
			if n, err := unix.GetsockoptInt(s, unix.SOL_SOCKET, b.option); err != nil || n != 2*small {
				t.Errorf("a buffer has %d bytes (%v), want the %d that were set, twice", n, err, small)
			}
		}
	}
}

func fullAreDrainedAndPutBack(t *testing.T, fd, peer int, then func()) {
	t.Helper()
	toPeer, toFD := noise(1, 40<<20), noise(2, 40<<20)
	toPeer = toPeer[:stuff(t, fd, toPeer)]
	toFD = toFD[:stuff(t, peer, toFD)]
	then()
	a, b, id := drained(fd, peer)
	for round := range 2 { // and all this again at the next checkpoint
		if err := drainAll(t, a, b); err != nil {
			t.Fatal(err)
		}
		ids := append(a.Drained(), b.Drained()...)
		// Being read has made the buffers grow: the second time all may fit.
		if round == 0 && len(ids) == 0 {
			t.Fatal("nothing was read although both ends were full")
		}
		for range 2 { // asking twice shows that nothing is consumed
			for _, q := range []struct {
				d    *Drainer
				id   ID
				want []byte
			}{{a, id, toFD}, {b, id.Peer(), toPeer}} {
				got, err := q.d.Queue(q.id)
				if err != nil || !bytes.Equal(got, q.want) {
					t.Fatalf("round %d: Queue(%s) = %d bytes, %v, want the %d bytes that were sent", round, q.id, len(got), err, len(q.want))
				}
			}
		}
		settle(t, a, id, b, id.Peer())
		sa, err := a.Streams([]ID{id})
		if err != nil {
			t.Fatal(err)
		}
		sb, err := b.Streams([]ID{id.Peer()})
		if err != nil {
			t.Fatal(err)
		}
		if got := append(a.Drained(), b.Drained()...); len(got) != 0 {
			t.Errorf("Drained after Streams = %v, want none", got)
		}
		if err := putBack(t, []transfer{{"x", fd, peer, sa[0].Queue, sb[0].Queue}}); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(a.Narrow(), b.Narrow()); err != nil {
			t.Fatal(err)
		}
	}
	wantReadable(t, peer, toPeer)
	wantReadable(t, fd, toFD)
	wantQuiet(t, peer)
	wantQuiet(t, fd)
	wantBlocking(t, fd)
}

// Agents are not told to exchange at the same moment: what the first one sends
// must not be taken for the program's by one that has not begun.
func TestQueueIsTheProgramsHoweverEarlyTheOtherAgentSends(t *testing.T) {
	fd, peer := connection(t)
	toPeer, toFD := noise(1, 3000), noise(2, 500)
	write(t, fd, toPeer)
	write(t, peer, toFD)
	a, b, id := drained(fd, peer)
	if err := drainAll(t, a, b); err != nil {
		t.Fatal(err)
	}
	if err := a.Read([]ID{id}); err != nil {
		t.Fatal(err)
	}
	settle(t, a, id, b, id.Peer())
	sa, err := a.Streams([]ID{id})
	if err != nil {
		t.Fatal(err)
	}
	first := make(chan error, 1)
	go func() { first <- Exchange(t.Context(), sa) }()
	for deadline := time.Now().Add(10 * time.Second); ; {
		if n, err := unix.IoctlGetInt(peer, unix.SIOCINQ); err != nil || n >= headSize {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the first agent has sent nothing after 10 s")
		}
	}
	sb, err := b.Streams([]ID{id.Peer()})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(Exchange(t.Context(), sb), <-first); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(sa[0].Peer, toPeer) || !bytes.Equal(sb[0].Peer, toFD) {
		t.Errorf("the agents have got %d and %d bytes of queues, want the %d and %d that were sent", len(sa[0].Peer), len(sb[0].Peer), len(toPeer), len(toFD))
	}
	if err := errors.Join(Refill(t.Context(), sa), Refill(t.Context(), sb)); err != nil {
		t.Fatal(err)
	}
	wantReadable(t, peer, toPeer)
	wantReadable(t, fd, toFD)
}

func TestAQuietConnectionIsNotTouched(t *testing.T) {
	fd, peer := connection(t)
	write(t, fd, []byte("42 bytes"))
	a, b, id := drained(fd, peer)
	if err := drainAll(t, a, b); err != nil {
		t.Fatal(err)
	}
	if ids := append(a.Drained(), b.Drained()...); len(ids) != 0 {
		t.Errorf("Drained = %v, want none", ids)
	}
	if got, err := b.Queue(id.Peer()); err != nil || string(got) != "42 bytes" {
		t.Errorf("Queue = %q, %v, want the bytes sent", got, err)
	}
	if n, err := unix.IoctlGetInt(peer, unix.SIOCINQ); err != nil || n != 8 {
		t.Errorf("SIOCINQ afterwards = %d, %v, want 8", n, err)
	}
}

func TestWhatTheKernelHoldsBackIsDrainedAtOnce(t *testing.T) {
	fd, peer := connection(t)
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_CORK, 1); err != nil {
		t.Fatal(err)
	}
	write(t, fd, []byte("corked"))
	a, b, id := drained(fd, peer)
	if err := drainAll(t, a, b); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Queue(id.Peer()); err != nil || string(got) != "corked" {
		t.Errorf("Queue = %q, %v, want what was corked", got, err)
	}
	if got, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_CORK); err != nil || got != 1 {
		t.Errorf("TCP_CORK = %d, %v, want 1 as before", got, err)
	}
}

func TestAClosingConnectionThatIsStuckAsksForAnotherTry(t *testing.T) {
	for _, side := range []string{"the sender is closing", "the reader has closed"} {
		t.Run(side, func(t *testing.T) {
			fd, peer := connection(t)
			sent := noise(1, 40<<20)
			sent = sent[:stuff(t, fd, sent)]
			closer := fd
			if side == "the reader has closed" {
				closer = peer
			}
			if err := unix.Shutdown(closer, unix.SHUT_WR); err != nil {
				t.Fatal(err)
			}
			a, b, id := drained(fd, peer)
			var half *HalfClosedError
			if err := drainAll(t, a, b); !errors.As(err, &half) {
				t.Fatalf("drain = %v, want a HalfClosedError", err)
			}
			if ids := append(a.Drained(), b.Drained()...); len(ids) != 0 {
				t.Errorf("Drained = %v, want none, for it cannot be put back", ids)
			}
			// The job runs on, and reads.
			var read []byte
			buf := make([]byte, 1<<20)
			for n := 1; n > 0; {
				m, _, err := unix.Recvfrom(peer, buf, unix.MSG_DONTWAIT)
				if err != nil && !errors.Is(err, unix.EAGAIN) {
					t.Fatal(err)
				}
				read = append(read, buf[:max(m, 0)]...)
				if n, err = Unsent(fd); err != nil {
					t.Fatal(err)
				}
			}
			a, b, _ = drained(fd, peer)
			if err := drainAll(t, a, b); err != nil {
				t.Fatalf("drain after the job has read = %v", err)
			}
			// A FIN is no byte.
			if n, err := Unsent(fd); n != 0 || err != nil {
				t.Errorf("Unsent = %d, %v, want 0", n, err)
			}
			if got, err := b.Queue(id.Peer()); err != nil || !bytes.Equal(slices.Concat(read, got), sent) {
				t.Errorf("%d bytes were read and Queue = %d bytes, %v, want %d in all", len(read), len(got), err, len(sent))
			}
		})
	}
}

func TestAResetEndIsDrained(t *testing.T) {
	fd, peer := connection(t)
	stuff(t, fd, noise(1, 40<<20))
	if err := unix.SetsockoptLinger(peer, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Shutdown(peer, unix.SHUT_RDWR); err != nil {
		t.Fatal(err)
	}
	other, err := unix.FcntlInt(uintptr(peer), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range []int{peer, other} { // the last of them resets
		if err := unix.Close(fd); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLHUP}}, 5000); err != nil {
		t.Fatal(err)
	}
	d := &Drainer{}
	d.Add(ID{"x", true}, fd)
	if err := drainAll(t, d); err != nil {
		t.Errorf("drain of a reset end = %v, want nil", err)
	}
	if e, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || e == 0 {
		t.Errorf("SO_ERROR afterwards = %d, %v, want the program's error still there", e, err)
	}
}

func TestPeekReturnsAQueueOfMegabytesAndConsumesNothing(t *testing.T) {
	fd, peer := connection(t)
	want := noise(1, 7<<20)
	if err := putBack(t, []transfer{{"x", peer, fd, want, nil}}); err != nil {
		t.Fatal(err)
	}
	for n := 1; n > 0; { // until it has all arrived: some may wait in the sender
		var err error
		if n, err = Unsent(fd); err != nil {
			t.Fatal(err)
		}
		if queued, err := unix.IoctlGetInt(peer, unix.SIOCINQ); err != nil || queued >= 3<<20 {
			break
		}
	}
	var last []byte
	for range 2 {
		got, err := Peek(peer)
		if err != nil || len(got) < 3<<20 || !bytes.HasPrefix(want, got) {
			t.Fatalf("Peek = %d bytes, %v, want a beginning of what was sent", len(got), err)
		}
		if last != nil && !slices.Equal(last, got[:len(last)]) {
			t.Error("the second Peek differs from the first")
		}
		last = got
	}
	wantReadable(t, peer, want)
	if got, err := Peek(peer); err != nil || len(got) != 0 {
		t.Errorf("Peek of an empty queue = %d bytes, %v, want none", len(got), err)
	}
	if err := unix.Shutdown(fd, unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	if got, err := Peek(peer); err != nil || len(got) != 0 {
		t.Errorf("Peek after a FIN = %d bytes, %v, want none", len(got), err)
	}
}
