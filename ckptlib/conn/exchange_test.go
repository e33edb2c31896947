package conn

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// transfer is one connection with what its two ends had in their queues.
type transfer struct {
	name           string
	a, b           int
	queueA, queueB []byte
}

// putBack does what the agents of two pods do, each in its own goroutine.
func putBack(t testing.TB, transfers []transfer) error {
	t.Helper()
	var a, b []*Stream
	for _, x := range transfers {
		a = append(a, &Stream{ID: ID{x.name, true}, FD: x.a, Queue: x.queueA})
		b = append(b, &Stream{ID: ID{x.name, false}, FD: x.b, Queue: x.queueB})
	}
	ctx := within(t, 60*time.Second)
	errs := make([]error, 2)
	var wg sync.WaitGroup
	for i, streams := range [][]*Stream{a, b} {
		wg.Go(func() {
			if errs[i] = Exchange(ctx, streams); errs[i] == nil {
				errs[i] = Refill(ctx, streams)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (x transfer) check(t testing.TB) {
	t.Helper()
	for _, end := range []struct {
		fd   int
		want []byte
	}{{x.a, x.queueA}, {x.b, x.queueB}} {
		wantBlocking(t, end.fd)
		wantReadable(t, end.fd, end.want)
		wantQuiet(t, end.fd)
	}
}

func TestQueuesOfAnySizeArePutBackInBothDirectionsAtOnce(t *testing.T) {
	const mib = 1 << 20
	for _, size := range [][2]int{{0, 0}, {0, 42}, {42, 42}, {mib, 0}, {mib, mib}, {4 * mib, 4 * mib}, {9 * mib, 42}, {9 * mib, 9 * mib}} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			a, b := roomy(t, size[0], size[1])
			x := transfer{"x", a, b, noise(1, size[0]), noise(2, size[1])}
			if err := putBack(t, []transfer{x}); err != nil {
				t.Fatal(err)
			}
			x.check(t)
		})
	}
}

func TestManyConnectionsArePutBackAtOnce(t *testing.T) {
	var all []transfer
	for i := range 64 {
		a, b := connection(t)
		all = append(all, transfer{fmt.Sprint(i), a, b, noise(uint64(2*i), 1<<20), noise(uint64(2*i+1), 1<<20)})
	}
	if err := putBack(t, all); err != nil {
		t.Fatal(err)
	}
	for _, x := range all {
		x.check(t)
	}
}

func TestBothEndsInOnePodArePutBack(t *testing.T) {
	a, b := connection(t)
	x := transfer{"x", a, b, noise(1, 3<<20), noise(2, 3<<20)}
	streams := []*Stream{{ID: ID{"x", true}, FD: a, Queue: x.queueA}, {ID: ID{"x", false}, FD: b, Queue: x.queueB}}
	ctx := within(t, 60*time.Second)
	if err := Exchange(ctx, streams); err != nil {
		t.Fatal(err)
	}
	if err := Refill(ctx, streams); err != nil {
		t.Fatal(err)
	}
	x.check(t)
}

func TestAProgramsReceiveLowWaterMarkSurvives(t *testing.T) {
	a, b := connection(t)
	if err := unix.SetsockoptInt(b, unix.SOL_SOCKET, unix.SO_RCVLOWAT, 5000); err != nil {
		t.Fatal(err)
	}
	x := transfer{"x", a, b, noise(1, 100), noise(2, 1<<20)}
	if err := putBack(t, []transfer{x}); err != nil {
		t.Fatal(err)
	}
	for fd, want := range map[int]int{a: 1, b: 5000} {
		if got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT); err != nil || got != want {
			t.Errorf("SO_RCVLOWAT = %d, %v, want %d", got, err, want)
		}
	}
	x.check(t)
}

func TestBytesThatDoNotFitAreATypedErrorInTime(t *testing.T) {
	a, b := connection(t)
	for _, fd := range []int{a, b} { // as small as they get, and locked
		for _, opt := range []int{unix.SO_RCVBUF, unix.SO_SNDBUF} {
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, opt, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	streams := []*Stream{{ID: ID{"tight", true}, FD: a, Peer: make([]byte, 1<<20)}}
	err := refill(within(t, time.Minute), streams, 300*time.Millisecond)
	var room *RoomError
	if !errors.As(err, &room) || room.Bytes != 1<<20 || room.Written <= 0 || room.Written >= room.Bytes {
		t.Errorf("refill of 1 MiB through the smallest buffers = %v, want a RoomError", err)
	}
	err = Refill(within(t, 100*time.Millisecond), streams)
	if !errors.As(err, &room) {
		t.Errorf("Refill with a deadline = %v, want a RoomError", err)
	}
}

func TestAnAgentThatNeverComesIsATypedErrorInTime(t *testing.T) {
	a, _ := connection(t)
	err := Exchange(within(t, 100*time.Millisecond), []*Stream{{ID: ID{"lonely", true}, FD: a, Queue: []byte("x")}})
	var stall *StallError
	if !errors.As(err, &stall) || stall.ID.Name != "lonely" {
		t.Errorf("Exchange with nobody = %v, want a StallError", err)
	}
}

func TestAnAgentThatIsGoneEndsTheExchange(t *testing.T) {
	a, b := connection(t)
	if err := unix.Shutdown(b, unix.SHUT_RDWR); err != nil {
		t.Fatal(err)
	}
	err := Exchange(within(t, time.Minute), []*Stream{{ID: ID{"gone", true}, FD: a}})
	if err == nil {
		t.Error("Exchange with a closed connection = nil, want an error")
	}
}

func TestWhatIsNoAgentIsFoundOut(t *testing.T) {
	a, b := connection(t)
	write(t, b, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	err := Exchange(within(t, time.Minute), []*Stream{{ID: ID{"x", true}, FD: a}})
	var stall *StallError
	if err == nil || errors.As(err, &stall) {
		t.Errorf("Exchange with a web client = %v, want an error about its first bytes", err)
	}
}
